"""Who is asking, and what they may do: a JWT of any OIDC issuer, roles, scopes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import jwt
from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer as BearerModel
from fastapi.security.base import SecurityBase

from shared.clock import Clock
from shared.errors import Forbidden, Unauthenticated
from shared.web.keys import ALGORITHMS, IssuerKeys
from shared.web.roles import CUSTOMER, scopes_of
from shared.web.settings import WebSettings

_LEEWAY = timedelta(seconds=30)
_MOST_TOKENS = 10_000
_LONGEST_TOKEN = 8_192
_SCHEME_NAME = "bearer"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. A customer is bound to one `customer_id`; everybody else has none."""

    id: str
    roles: frozenset[str]
    scopes: frozenset[str]
    customer_id: UUID | None = None

    def may(self, scope: str) -> bool:
        """Whether the caller holds this scope."""
        return scope in self.scopes

    def missing(self, scope: str) -> str | None:
        """The scope if the caller does not hold it."""
        return None if scope in self.scopes else scope

    def require(self, scope: str) -> None:
        """Refuse unless the caller holds this scope; for what only some requests of a route need."""
        if scope not in self.scopes:
            roles = ", ".join(sorted(self.roles)) or "none"
            raise Forbidden(
                f"This needs the scope {scope}, which your roles ({roles}) do not include; "
                "ask an administrator for a role that does.",
                missing_scope=scope,
            )

    def sees(self, customer_id: UUID) -> bool:
        """Whether what belongs to this customer is visible to the caller; if not, answer 404."""
        return self.customer_id is None or self.customer_id == customer_id


class _Known(NamedTuple):
    caller: Caller
    not_before: datetime | None
    expires_at: datetime
    generation: int


class Auth:
    """Reads callers from tokens; a verified token is remembered until it expires."""

    def __init__(self, settings: WebSettings, clock: Clock) -> None:
        self._issuer = settings.oidc_issuer
        self._audience = settings.oidc_audience
        self._keys = IssuerKeys(settings.oidc_jwks_url)
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def caller(self, authorization: str | None) -> Caller:
        """The caller that an `Authorization` header speaks for."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "Send the header Authorization: Bearer <token>, with a token of the issuer.",
                headers={"WWW-Authenticate": 'Bearer realm="patron"'},
            )
        self._keys.refresh()
        known = self._known.get(token)
        if known is None or known.generation != self._keys.generation:
            known = await self._verify(token)
        now = self._clock.now()
        if now >= known.expires_at + _LEEWAY:
            self._known.pop(token, None)
            raise _unknown(f"The token expired at {_text(known.expires_at)}; get a new one from the issuer.")
        if known.not_before is not None and now < known.not_before - _LEEWAY:
            raise _unknown(f"The token is not valid before {_text(known.not_before)}.")
        return known.caller

    async def _verify(self, token: str) -> _Known:
        if len(token) > _LONGEST_TOKEN:
            raise _unknown(f"The token is longer than {_LONGEST_TOKEN} characters.")
        claims = await self._claims(token)
        known = _Known(
            _caller(claims), _instant(claims, "nbf"), _required_instant(claims, "exp"), self._keys.generation
        )
        if len(self._known) >= _MOST_TOKENS:
            self._known.clear()
        self._known[token] = known
        return known

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            raise _unknown("The token is not a JWT.") from None
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS:
            raise _unknown(f"The token is signed with {algorithm}; accepted are {', '.join(ALGORITHMS)}.")
        key = await self._keys.find(key_id if isinstance(key_id, str) else None)
        if key is None or key.algorithm_name != algorithm:
            raise _unknown("The token is signed with a key that the issuer does not publish.")
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                # Times are judged by our clock, in `caller`.
                options={
                    "require": ["iss", "aud", "sub", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.MissingRequiredClaimError as error:
            raise _unknown(f"The token has no claim {error.claim}.") from None
        except jwt.InvalidIssuerError:
            raise _unknown(f"The token is not of the issuer {self._issuer}.") from None
        except jwt.InvalidAudienceError:
            raise _unknown(f"The token is not for the audience {self._audience}.") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _unknown("The token's signature or content is not valid.") from None


def _caller(claims: dict[str, Any]) -> Caller:
    subject = claims["sub"]
    if not (isinstance(subject, str) and 0 < len(subject) <= 255 and subject.isprintable()):
        raise _unknown("The token's claim sub must be 1 to 255 printable characters.")
    given = claims.get("roles", [])
    if not (isinstance(given, list) and all(isinstance(role, str) for role in given)):
        raise _unknown("The token's claim roles must be a list of names.")
    roles = frozenset(given)
    granted = claims.get("scope", "")
    customer_id = _bound_to(claims) if CUSTOMER in roles else None
    return Caller(subject, roles, scopes_of(roles, granted if isinstance(granted, str) else ""), customer_id)


def _bound_to(claims: dict[str, Any]) -> UUID:
    try:
        return UUID(claims["customer_id"])
    except KeyError:
        raise _unknown("The token has the role customer but no claim customer_id.") from None
    except (ValueError, TypeError, AttributeError):
        raise _unknown("The token's claim customer_id is not a UUID.") from None


def _required_instant(claims: dict[str, Any], name: str) -> datetime:
    instant = _instant(claims, name)
    assert instant is not None, f"{name} is required when decoding"
    return instant


def _instant(claims: dict[str, Any], name: str) -> datetime | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(float(seconds), UTC).replace(microsecond=0)
    except (ValueError, TypeError, OverflowError, OSError):
        raise _unknown(f"The token's claim {name} is not an instant.") from None


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def _unknown(detail: str) -> Unauthenticated:
    description = detail.encode("ascii", "replace").decode().replace("\\", "").replace('"', "'")
    visible = "".join(char if char.isprintable() else "?" for char in description)
    return Unauthenticated(
        detail,
        headers={
            "WWW-Authenticate": f'Bearer realm="patron", error="invalid_token", error_description="{visible}"'
        },
    )


async def authenticated(request: Request) -> Caller:
    """The caller of this request, read once."""
    caller: Caller | None = request.scope.get("patron.caller")
    if caller is None:
        auth: Auth = request.app.state.auth
        caller = await auth.caller(request.headers.get("authorization"))
        request.scope["patron.caller"] = caller
    return caller


class _Needed(SecurityBase):
    """The dependency behind `Needs`; being a security scheme, it shows in the API's description."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        self.model = BearerModel(bearerFormat="JWT", description="A JWT of the issuer.")
        self.scheme_name = _SCHEME_NAME

    async def __call__(self, request: Request) -> Caller:
        caller = await authenticated(request)
        caller.require(self.scope)
        return caller


def Needs(scope: str) -> Any:  # noqa: N802 -- reads as what it declares: Annotated[Caller, Needs("orders:write")]
    """The caller, who must hold this scope."""
    return Depends(_Needed(scope))
