"""The Kafka topics of Patron, all of them, and their creation."""

from collections.abc import Mapping
from typing import NamedTuple

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from stack.trouble import Trouble

FOREVER: Mapping[str, str] = {"retention.ms": "-1"}
LATEST_ONLY: Mapping[str, str] = {"cleanup.policy": "compact"}


class Topic(NamedTuple):
    """A topic as Patron needs it."""

    name: str
    partitions: int
    settings: Mapping[str, str]


PUBLISHERS = ("customer", "orders", "service_desk", "scoring")

TOPICS = (
    *(Topic(f"patron.{publisher}", 12, FOREVER) for publisher in PUBLISHERS),
    *(Topic(f"patron.{publisher}.reference", 6, FOREVER) for publisher in PUBLISHERS),
    *(Topic(f"patron.{publisher}.state", 12, LATEST_ONLY) for publisher in ("customer", "scoring")),
)


async def create(bootstrap: str, *, replicas: int | None = None) -> list[str]:
    """Create the topics that are missing and return their names.

    Replicas: three, or as many as there are brokers. Partitions of a topic that exists are never changed,
    since that would move keys to other partitions, out of order.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        copies = replicas or min(3, len((await admin.describe_cluster())["brokers"]))
        there = {topic["topic"]: len(topic["partitions"]) for topic in await admin.describe_topics()}
        for topic in TOPICS:
            if there.get(topic.name, topic.partitions) != topic.partitions:
                raise Trouble(
                    f"The Kafka topic {topic.name} has {there[topic.name]} partitions, and Patron needs "
                    f"{topic.partitions}. Changing that in place would reorder events: use another "
                    "cluster, or delete the topic if it holds nothing of value."
                )
        missing = [topic for topic in TOPICS if topic.name not in there]
        if missing:
            new = [NewTopic(t.name, t.partitions, copies, topic_configs=dict(t.settings)) for t in missing]
            answer = await admin.create_topics(new)
            for name, code, *message in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    reason = message[0] if message else for_code(code).__name__
                    raise Trouble(f"Kafka at {bootstrap} refused to create the topic {name}: {reason}")
        return [topic.name for topic in missing]
    except KafkaError as error:
        raise Trouble(
            f"Kafka at {bootstrap} could not be reached to create the topics ({error}). Is it running, and "
            "is KAFKA_BOOTSTRAP_SERVERS right?"
        ) from error
    finally:
        await admin.close()
