"""What a route asks for beyond its parameters: the database and the time."""

from typing import Annotated, cast

from fastapi import Depends, Request

from shared.clock import Clock
from shared.db import Database


async def _database(request: Request) -> Database:
    return cast(Database, request.app.state.db)


async def _clock(request: Request) -> Clock:
    return cast(Clock, request.app.state.clock)


Db = Annotated[Database, Depends(_database)]
Time = Annotated[Clock, Depends(_clock)]
