"""What the customer service is told by its environment, besides what every service is."""

from typing import Annotated, cast

import phonenumbers
from fastapi import Depends, Request
from pydantic import field_validator

from shared.settings import ServiceSettings


class CustomerSettings(ServiceSettings):
    """Read once, when a process starts."""

    default_region: str = "US"
    """Where a phone number without +<country code> is dialled: two letters of ISO 3166, such as US or CN."""

    @field_validator("default_region")
    @classmethod
    def _known_region(cls, value: str) -> str:
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("DEFAULT_REGION must be two capital letters of ISO 3166, such as US or CN")
        return value


async def _settings(request: Request) -> CustomerSettings:
    return cast(CustomerSettings, request.app.state.settings)


Deployment = Annotated[CustomerSettings, Depends(_settings)]
"""For routes: what this deployment has chosen."""
