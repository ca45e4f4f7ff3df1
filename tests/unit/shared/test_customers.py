"""Asking the customer service: its answers, its absence, and not asking it to death."""

from collections.abc import Callable
from uuid import UUID

import httpx
import pytest

from shared.customers import FAILURES_UNTIL_OPEN, OPEN_SECONDS, Breaker, CustomerDirectory, no_such_customer
from shared.errors import Unavailable

ANN = UUID(int=1)
BOB = UUID(int=2)
VIEW = (
    '{"id": "%s", "version": 3, "number": "C-000001", "type": "person", "status": "active", "level": "gold",'
    ' "class": "vip", "name": "Ann", "created_at": "2026-01-01T00:00:00Z", "tags": ["new"]}'
)

Answer = Callable[[httpx.Request], httpx.Response]


class Peer:
    """The customer service as one test wants it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._serve))

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        return self.answer(request)


def known(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text=VIEW % request.url.path.rpartition("/")[2])


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)


def unknown(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(404)


async def test_an_answer_is_read_without_what_is_personal() -> None:
    peer = Peer(known)
    found = await CustomerDirectory("http://customers:8001/").ask(peer.http, ANN)
    assert peer.asked == [f"http://customers:8001/v1/customers/{ANN}"]
    assert found is not None
    assert (found.id, found.version, found.class_, found.tags) == (ANN, 3, "vip", ("new",))
    assert not hasattr(found, "name")


async def test_an_unknown_customer_is_none() -> None:
    assert await CustomerDirectory("http://c").ask(Peer(unknown).http, ANN) is None


@pytest.mark.parametrize(
    "answer",
    [
        away,
        lambda _: httpx.Response(500),
        lambda _: httpx.Response(403),
        lambda _: httpx.Response(200, text="{}"),
    ],
    ids=["away", "failing", "token refused", "answer unreadable"],
)
async def test_no_usable_answer_is_unavailable_with_a_time_to_come_back(answer: Answer) -> None:
    with pytest.raises(Unavailable) as refused:
        await CustomerDirectory("http://c").ask(Peer(answer).http, ANN)
    assert int(refused.value.headers["Retry-After"]) >= 1


async def test_after_several_failures_nobody_asks_until_a_while_has_passed_then_one_tries() -> None:
    now = 100.0
    peer = Peer(away)
    directory = CustomerDirectory("http://c", Breaker(lambda: now))
    for _ in range(FAILURES_UNTIL_OPEN + 10):
        with pytest.raises(Unavailable):
            await directory.ask(peer.http, ANN)
    assert len(peer.asked) == FAILURES_UNTIL_OPEN
    now += OPEN_SECONDS
    for _ in range(3):
        with pytest.raises(Unavailable):
            await directory.ask(peer.http, ANN)
    assert len(peer.asked) == FAILURES_UNTIL_OPEN + 1
    now += OPEN_SECONDS
    peer.answer = known
    for _ in range(3):
        assert await directory.ask(peer.http, ANN)


async def test_an_unknown_customer_is_an_answer_and_opens_nothing() -> None:
    peer = Peer(unknown)
    directory = CustomerDirectory("http://c")
    for _ in range(3 * FAILURES_UNTIL_OPEN):
        assert await directory.ask(peer.http, ANN) is None


async def test_each_of_several_is_asked_for_once_and_the_unknown_are_left_out() -> None:
    peer = Peer(lambda request: unknown(request) if str(BOB) in request.url.path else known(request))
    found = await CustomerDirectory("http://c").ask_all(peer.http, [ANN, BOB, ANN])
    assert set(found) == {ANN}
    assert len(peer.asked) == 2


def test_the_refusal_names_field_value_and_what_to_do() -> None:
    refused = no_such_customer(ANN)
    assert refused.errors[0].field == "customer_id"
    assert str(ANN) in refused.detail
