"""Which exception becomes which problem."""

import socket

import asyncpg
import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from shared.errors import (
    Forbidden,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from shared.web.idempotency import Replay
from shared.web.middleware import MOST_BODY_BYTES
from shared.web.problems import answer_problem

log = structlog.stdlib.get_logger(__name__)

_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.InternalClientError,  # the server's last word had come, the connection's end not yet
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InvalidCachedStatementError,  # a migration changed the table; asyncpg prepares it anew
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    ConnectionError,
    socket.gaierror,
    TimeoutError,
)
_UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)


def add_handlers(app: FastAPI) -> None:
    """Have every exception that stands for an answer answered as a problem."""
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Replay, _replay)
    app.add_exception_handler(HTTPException, _by_status)
    for away in (*_AWAY, asyncpg.InterfaceError):
        app.add_exception_handler(away, _database_away)
    for unstorable in _UNSTORABLE:
        app.add_exception_handler(unstorable, _not_storable)


async def _refused(_request: Request, refused: Exception) -> Response:
    assert isinstance(refused, Refused)
    return answer_problem(refused)


async def _replay(_request: Request, replay: Exception) -> Response:
    assert isinstance(replay, Replay)
    return replay.response


async def _database_away(_request: Request, error: Exception) -> Response:
    if isinstance(error, asyncpg.InterfaceError) and "clos" not in str(error):
        raise error  # not a lost connection: a defect of ours
    log.warning("database away", error=type(error).__name__, reason=str(error))
    refused = Unavailable(
        "The database cannot be reached or is busy; send the request again, "
        "with the same Idempotency-Key if it had one.",
        headers={"Retry-After": "1"},
    )
    return answer_problem(refused)


async def _not_storable(_request: Request, _error: Exception) -> Response:
    return answer_problem(Invalid("The request contains a character that text cannot have, such as NUL."))


async def _by_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = _from_status(request, error)
    refused.headers.update(error.headers or {})
    return answer_problem(refused)


def _from_status(request: Request, error: HTTPException) -> Refused:
    detail = str(error.detail)
    match error.status_code:
        case 400:
            return Malformed(detail)
        case 401:
            return Unauthenticated(detail)
        case 403:
            return Forbidden(detail)
        case 404 if detail == "Not Found":
            return NotFound(f"There is no route {request.url.path}; see /docs for those there are.")
        case 404:
            return NotFound(detail)
        case 405:
            allowed = (error.headers or {}).get("Allow", "")
            return MethodNotAllowed(f"{request.url.path} does not take {request.method}, only {allowed}.")
        case 413:
            return TooLarge(
                f"A body may have {MOST_BODY_BYTES} bytes; send less at a time, or use the import routes.",
                limit_bytes=MOST_BODY_BYTES,
            )
        case 415:
            return UnsupportedMediaType(detail)
        case 503:
            return Unavailable(detail)
    raise error
