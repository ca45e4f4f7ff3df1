"""Asking the customer service about a customer whose event has not arrived yet, a moment old perhaps."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, cast
from uuid import UUID

import httpx
import msgspec
import structlog
from fastapi import Depends, Request

from shared.errors import FieldError, Invalid, Unavailable
from shared.events.customer import CustomerState

log = structlog.get_logger()

FAILURES_UNTIL_OPEN = 5
OPEN_SECONDS = 5.0
_AT_ONCE = 8

_decoder = msgspec.json.Decoder(CustomerState)


class Breaker:
    """A circuit breaker: after several failures in a row nobody asks for a while, then one request tries."""

    def __init__(self, time_: Callable[[], float] = time.monotonic) -> None:
        self._time = time_
        self._failures = 0
        self._closed_again_at = 0.0

    def seconds_to_wait(self) -> float:
        """How long until asking makes sense again; 0 when it does now, and then whoever asks may try."""
        if self._failures < FAILURES_UNTIL_OPEN:
            return 0.0
        now = self._time()
        if now < self._closed_again_at:
            return self._closed_again_at - now
        self._closed_again_at = now + OPEN_SECONDS  # this one tries, the others wait for what it finds
        return 0.0

    def failed(self) -> None:
        """No answer, or none that can be used."""
        self._failures += 1
        self._closed_again_at = self._time() + OPEN_SECONDS

    def answered(self) -> None:
        """The other side is there."""
        self._failures = 0


class CustomerDirectory:
    """The customer service, as far as other services ask it. One per process, for its circuit breaker."""

    def __init__(self, customer_url: str, breaker: Breaker | None = None) -> None:
        self._customers = f"{customer_url.rstrip('/')}/v1/customers"
        self._breaker = breaker or Breaker()

    async def ask(self, http: httpx.AsyncClient, customer_id: UUID) -> CustomerState | None:
        """The customer as it now is, or None when there is no such customer; never inside a transaction.

        Raises `Unavailable` when the customer service does not answer.
        """
        wait = self._breaker.seconds_to_wait()
        if wait:
            raise _unavailable(wait)
        try:
            response = await http.get(f"{self._customers}/{customer_id}")
            if response.status_code not in (200, 404):
                raise httpx.HTTPStatusError(
                    f"answered {response.status_code}", request=response.request, response=response
                )
            customer = None if response.status_code == 404 else _decoder.decode(response.content)
        except (httpx.HTTPError, msgspec.DecodeError, OSError) as problem:  # OSError: the token file
            self._breaker.failed()
            log.warning(
                "customer service gives no answer", customer_id=str(customer_id), problem=repr(problem)
            )
            raise _unavailable(self._breaker.seconds_to_wait()) from problem
        self._breaker.answered()
        return customer

    async def ask_all(
        self, http: httpx.AsyncClient, customer_ids: Iterable[UUID]
    ) -> dict[UUID, CustomerState]:
        """Those of the customers that there are, asked for a few at a time."""
        few = asyncio.Semaphore(_AT_ONCE)

        async def ask(customer_id: UUID) -> CustomerState | None:
            async with few:
                return await self.ask(http, customer_id)

        ids = list(dict.fromkeys(customer_ids))
        answers = await asyncio.gather(*map(ask, ids))
        return {id_: found for id_, found in zip(ids, answers, strict=True) if found is not None}


AskCustomers = Callable[[Iterable[UUID]], Awaitable[dict[UUID, CustomerState]]]


async def _asking(request: Request) -> AskCustomers:
    directory = cast(CustomerDirectory, request.app.state.customer_directory)
    http = cast(httpx.AsyncClient, request.app.state.http)

    async def ask(customer_ids: Iterable[UUID]) -> dict[UUID, CustomerState]:
        return await directory.ask_all(http, customer_ids)

    return ask


Asking = Annotated[AskCustomers, Depends(_asking)]
"""For routes: asks for customers by id; the service's resources hold a `customer_directory`."""


def no_such_customer(customer_id: UUID, field: str = "customer_id") -> Invalid:
    """Nobody knows this customer: neither our copy nor the customer service."""
    return Invalid(
        f"There is no customer {customer_id}; create the customer first, or correct {field}.",
        errors=[FieldError(field, "must be the id of an existing customer", str(customer_id))],
    )


def _unavailable(seconds: float) -> Unavailable:
    return Unavailable(
        "This customer is not known here yet, and the customer service, which would know, does not answer; "
        "send the request again, with the same Idempotency-Key if it had one.",
        headers={"Retry-After": str(max(1, round(seconds + 0.5)))},
    )
