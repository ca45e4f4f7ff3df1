"""What every service's HTTP side is told by its environment."""

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class WebSettings(BaseSettings):
    """Read from the environment when built, in a service's `app.py`; a service extends it with its own."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    oidc_issuer: str
    """The `iss` that tokens must carry."""
    oidc_audience: str = "patron"
    """The `aud` that tokens must carry."""
    oidc_jwks_url: str
    """Where the issuer's public keys are: https://, http:// or file://."""
    cursor_secret: SecretStr
    """Signs page cursors; the same for every process of a service."""
    currency: str = "USD"
    """The one currency of the deployment, ISO 4217."""
    time_zone: str = "UTC"
    """The calendar of the deployment, an IANA name, for customers that have none of their own."""
    log_format: Literal["json", "text"] = "json"

    @field_validator("currency")
    @classmethod
    def _three_capitals(cls, value: str) -> str:
        if not (len(value) == 3 and value.isascii() and value.isalpha() and value.isupper()):
            raise ValueError("CURRENCY must be three capital letters of ISO 4217, such as USD")
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("TIME_ZONE must be an IANA name, such as Europe/Berlin") from error
        return value

    @field_validator("oidc_jwks_url")
    @classmethod
    def _readable_url(cls, value: str) -> str:
        if not value.startswith(("https://", "http://", "file://")):
            raise ValueError("OIDC_JWKS_URL must start with https://, http:// or file://")
        return value

    @field_validator("cursor_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 16:
            raise ValueError("CURSOR_SECRET must have at least 16 characters")
        return value
