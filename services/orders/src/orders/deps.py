"""What the routes of orders ask for besides the usual."""

from typing import Annotated, cast

from fastapi import Depends, Request

from shared.settings import ServiceSettings


async def _home_currency(request: Request) -> str:
    return cast(ServiceSettings, request.app.state.settings).currency


HomeCurrency = Annotated[str, Depends(_home_currency)]
"""The one currency of the deployment."""
