"""Pages and their cursors, versions and their tags, sync tokens."""

import asyncio
from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid, Malformed
from shared.web.concurrency import etag, parse_if_match
from shared.web.fields import same_currency
from shared.web.paging import decode, encode
from shared.web.sync import SyncToken, parse_sync_tokens, parse_wait, sync_token

SECRET = b"0123456789abcdef"
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
    st.uuids(),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
)


@given(st.lists(VALUES).map(tuple))
def test_a_cursor_gives_back_the_values_it_was_made_of(
    values: tuple[bool | int | float | str | UUID | date | datetime | None, ...],
) -> None:
    again = decode(encode(values, SECRET, b"list"), SECRET, b"list")
    assert again == values
    assert [type(value) for value in again] == [type(value) for value in values]


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        decode(text, SECRET, b"list")


def test_a_cursor_serves_one_list_one_secret_and_no_change() -> None:
    cursor = encode((1,), SECRET, b"list")
    assert decode(cursor, SECRET, b"list") == (1,)
    for wrong in (
        (cursor, SECRET, b"other"),
        (cursor, b"another secret..", b"list"),
        ("A" + cursor[1:] if cursor[0] != "A" else "B" + cursor[1:], SECRET, b"list"),
        (cursor[:-1] + ("A" if cursor[-1] != "A" else "B"), SECRET, b"list"),
    ):
        with pytest.raises(Invalid):
            decode(*wrong)


async def test_following_the_cursors_gives_every_item_once(http: httpx.AsyncClient) -> None:
    for limit in (1, 2, 3, 6, 7, 8, 200):
        seen: list[int] = []
        query: dict[str, str | int] = {"limit": limit}
        while True:
            page = (await http.get("/v1/orders", params=query)).json()
            assert len(page["items"]) <= limit
            seen += [item["id"] for item in page["items"]]
            if page["next_cursor"] is None:
                break
            query["cursor"] = page["next_cursor"]
        assert seen == [1, 2, 3, 4, 5, 6, 7]


async def test_a_cursor_of_another_sort_or_filter_is_refused(http: httpx.AsyncClient) -> None:
    cursor = (await http.get("/v1/orders?limit=2")).json()["next_cursor"]
    assert (await http.get("/v1/orders", params={"cursor": cursor, "limit": 5})).status_code == 200
    for changed in ({"sort": "-id"}, {"customer_id": str(uuid4())}):
        answer = await http.get("/v1/orders", params={"cursor": cursor, **changed})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize(
    ("header", "versions"),
    [
        ('"3"', {3}),
        ('W/"3"', {3}),
        ('W/"3", "4"', {3, 4}),
        (' "3" ,"4" ', {3, 4}),
        ('"x"', set()),
        ('"3", "a,b"', {3}),
        ('"-3"', set()),
        ('"٣"', set()),
        ('"' + "9" * 30 + '"', set()),
        ("*", None),
    ],
)
def test_if_match_names_versions(header: str, versions: set[int] | None) -> None:
    if header.isascii():
        assert parse_if_match(header).versions == versions
    assert parse_if_match(etag(7)).allows(7)


@pytest.mark.parametrize("header", ["3", '"3', '"3" "4"', "W/3", '"3", *', ",", 'w/"3"', '"3",,"4"'])
def test_a_malformed_if_match_is_refused(header: str) -> None:
    with pytest.raises(Malformed):
        parse_if_match(header)


async def test_a_change_needs_the_version_it_changes(http: httpx.AsyncClient) -> None:
    async def change(**headers: str) -> httpx.Response:
        return await http.patch("/v1/orders/1", json={"reason": "x"}, headers=headers)

    assert (await change()).status_code == 428
    assert (await change(**{"If-Match": "3"})).status_code == 400
    tag = (await http.get("/v1/orders/1")).headers["etag"]
    assert (await change(**{"If-Match": tag})).headers["etag"] == '"4"'
    assert (await change(**{"If-Match": "*"})).status_code == 200
    stale = await change(**{"If-Match": '"2"'})
    assert (stale.status_code, stale.headers["etag"]) == (412, '"3"')
    assert stale.json()["current"]["id"] == 1
    assert stale.json()["current_etag"] == '"3"'


def test_sync_tokens_are_read_as_they_were_written() -> None:
    key = uuid4()
    written = f"{sync_token('orders', key, 7)}, {sync_token('service_desk', key, 1)}"
    assert parse_sync_tokens(written) == (
        SyncToken("orders", str(key), 7),
        SyncToken("service_desk", str(key), 1),
    )
    assert parse_sync_tokens(None) == parse_sync_tokens(" ") == ()


@pytest.mark.parametrize(
    "header", ["x", "orders:=7", "orders:a=-7", "orders:a=7;b", ",", "orders:a=" + "9" * 30]
)
def test_a_malformed_sync_token_is_refused(header: str) -> None:
    with pytest.raises(Malformed):
        parse_sync_tokens(header)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, 0),
        ("wait=5", 5),
        ("respond-async, wait=10", 10),
        ("wait=300", 30),
        ('wait="4"', 4),
        ("Wait = 2; x=y", 2),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("await=5", 0),
    ],
)
def test_a_read_waits_as_long_as_it_prefers_and_at_most_half_a_minute(
    prefer: str | None, seconds: int
) -> None:
    assert parse_wait(prefer) == seconds


def test_another_currency_is_refused_naming_both() -> None:
    same_currency("USD", "USD")
    same_currency(None, "USD")
    with pytest.raises(Invalid, match=r"USD.*EUR") as caught:
        same_currency("EUR", "USD", field="lines.0.currency")
    assert caught.value.errors[0].field == "lines.0.currency"


async def test_concurrent_requests_keep_their_own_traces(http: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get("/v1/orders/1") for _ in range(20)))
    assert len({answer.headers["trace-id"] for answer in answers}) == 20
