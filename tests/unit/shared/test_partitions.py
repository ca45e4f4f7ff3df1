"""Keys go to the partitions that Kafka's own clients would choose."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.relay import partition_of


@given(st.text() | st.uuids().map(str), st.integers(1, 1000))
def test_a_key_goes_where_every_producer_would_send_it(key: str, partitions: int) -> None:
    assert partition_of(key, partitions) == (murmur2(key.encode()) & 0x7FFFFFFF) % partitions
