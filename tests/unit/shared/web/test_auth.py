"""Who is let in, as whom, and what the others are told."""

import asyncio
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from shared.errors import Forbidden, Unauthenticated, Unavailable
from shared.testing import FixedClock
from shared.testing.http import bearer, client
from shared.web.auth import Auth, Caller
from shared.web.roles import ROLE_SCOPES, SCOPES, scopes_of
from shared.web.settings import WebSettings
from shared.web.tokens import ensure_keys, jwks_url, mint

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CUSTOMER = UUID("018f3f0a-0000-7000-8000-000000000001")
KEYS: dict[str, Any] = {
    "EdDSA": Ed25519PrivateKey.generate(),
    "RS256": rsa.generate_private_key(65537, 2048),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
}
WRITERS: dict[str, Any] = {
    "EdDSA": jwt.algorithms.OKPAlgorithm,
    "RS256": jwt.algorithms.RSAAlgorithm,
    "ES256": jwt.algorithms.ECAlgorithm,
}


def public(algorithm: str, key: Any = None, **members: str) -> dict[str, Any]:
    entry = WRITERS[algorithm].to_jwk((key or KEYS[algorithm]).public_key(), as_dict=True)
    return {**entry, "kid": algorithm, "alg": algorithm, **members}


def token(algorithm: str = "EdDSA", *, key: Any = None, kid: str | None = None, **changes: Any) -> str:
    claims: dict[str, Any] = {
        "iss": "https://id.example",
        "aud": "patron",
        "sub": "anna",
        "roles": ["manager"],
        "exp": NOW + timedelta(hours=1),
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key or KEYS[algorithm], algorithm=algorithm, headers={"kid": kid or algorithm})


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "with space" / "jwks.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"keys": [public(algorithm) for algorithm in KEYS]}))
    return file


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)


@pytest.fixture
def auth(key_file: Path, clock: FixedClock) -> Auth:
    return Auth(settings(key_file.as_uri()), clock)


def settings(url: str) -> WebSettings:
    return WebSettings(oidc_issuer="https://id.example", oidc_jwks_url=url, cursor_secret=SecretStr("x" * 16))


async def refused(auth: Auth, authorization: str | None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await auth.caller(authorization)
    challenge = caught.value.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer realm="patron"')
    assert challenge.isascii()
    assert challenge.isprintable()
    return caught.value.detail


@pytest.mark.parametrize("algorithm", list(KEYS))
async def test_a_token_of_the_issuer_is_accepted(auth: Auth, algorithm: str) -> None:
    caller = await auth.caller(f"Bearer {token(algorithm)}")
    assert (caller.id, list(caller.roles)) == ("anna", ["manager"])
    assert caller.may("orders:write")
    assert caller.sees(uuid4())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": "https://other.example"}, "issuer"),
        ({"aud": "other"}, "audience"),
        ({"aud": None}, "aud"),
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
        ({"exp": NOW - timedelta(hours=1)}, "expired at 2026-03-01T11:00:00Z"),
        ({"exp": "soon"}, ""),
        ({"exp": 10**30}, ""),
        ({"nbf": NOW + timedelta(hours=1)}, "not valid before 2026-03-01T13:00:00Z"),
        ({"roles": "manager"}, "roles"),
        ({"roles": [1]}, "roles"),
        ({"sub": ""}, "sub"),
        ({"sub": "a\x00b"}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"roles": ["customer"]}, "no claim customer_id"),
        ({"roles": ["customer"], "customer_id": "7"}, "not a UUID"),
        ({"roles": ["customer"], "customer_id": 7}, "not a UUID"),
    ],
)
async def test_the_answer_says_which_rule_a_token_breaks(
    auth: Auth, changes: dict[str, Any], said: str
) -> None:
    assert said in await refused(auth, f"Bearer {token(**changes)}")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic YTpi",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer é",
        "Bearer " + "x" * 9000,
    ],
)
async def test_what_is_no_token_is_refused(auth: Auth, authorization: str | None) -> None:
    assert await refused(auth, authorization)


async def test_unsigned_tokens_and_shared_secrets_are_refused(auth: Auth) -> None:
    claims = jwt.decode(token(), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none", headers={"kid": "EdDSA"})
    assert "none" in await refused(auth, f"Bearer {unsigned}")
    shared = jwt.encode(
        claims, "any secret, long enough for HS256", algorithm="HS256", headers={"kid": "RS256"}
    )
    assert "HS256" in await refused(auth, f"Bearer {shared}")


async def test_a_key_is_only_used_with_its_own_algorithm(auth: Auth) -> None:
    assert "does not publish" in await refused(auth, f"Bearer {token('ES256', kid='RS256')}")


async def test_a_foreign_signature_is_refused(auth: Auth) -> None:
    assert await refused(auth, f"Bearer {token(key=Ed25519PrivateKey.generate())}")
    head, body, signature = token().split(".")
    assert await refused(auth, f"Bearer {head}.{body}.{signature[:-4]}AAAA")


async def test_half_a_minute_of_clock_difference_is_allowed(auth: Auth, clock: FixedClock) -> None:
    given = f"Bearer {token(nbf=NOW + timedelta(seconds=29))}"
    await auth.caller(given)
    clock.at = NOW + timedelta(hours=1, seconds=29)
    await auth.caller(given)
    clock.at = NOW + timedelta(hours=1, seconds=30)
    assert "expired" in await refused(auth, given)


async def test_a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_forgotten(
    auth: Auth, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = f"Bearer {token()}"
    await auth.caller(old)
    fresh = Ed25519PrivateKey.generate()
    await asyncio.to_thread(key_file.write_text, json.dumps({"keys": [public("EdDSA", fresh, kid="next")]}))
    new = f"Bearer {token(key=fresh, kid='next')}"
    assert "does not publish" in await refused(auth, new), "keys were fetched again too soon"
    monkeypatch.setattr("shared.web.keys._BETWEEN_FETCHES_SECONDS", -1)
    assert (await auth.caller(new)).id == "anna"
    assert "does not publish" in await refused(auth, old)


async def test_unreadable_keys_mean_later_and_not_never(tmp_path: Path, clock: FixedClock) -> None:
    missing = Auth(settings((tmp_path / "none.json").as_uri()), clock)
    with pytest.raises(Unavailable):
        await missing.caller(f"Bearer {token()}")
    (tmp_path / "bad.json").write_text('{"keys": [{"kty": "oct", "k": "AAAA"}, 5, {"kty": "new"}]}')
    with pytest.raises(Unavailable):
        await Auth(settings((tmp_path / "bad.json").as_uri()), clock).caller(f"Bearer {token()}")


async def test_keys_are_fetched_over_http_and_kept_when_the_issuer_is_away(
    clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def serve(_request: httpx.Request) -> httpx.Response:
        calls.append(1)
        return httpx.Response(200 if len(calls) == 1 else 503, json={"keys": [public("EdDSA")]})

    plain = httpx.AsyncClient
    monkeypatch.setattr(
        httpx, "AsyncClient", lambda **options: plain(transport=httpx.MockTransport(serve), **options)
    )
    auth = Auth(settings("https://id.example/jwks"), clock)
    callers = await asyncio.gather(*(auth.caller(f"Bearer {token(jti=str(n))}") for n in range(9)))
    assert {caller.id for caller in callers} == {"anna"}
    assert len(calls) == 1, "those who come during a fetch wait for it"
    monkeypatch.setattr("shared.web.keys._BETWEEN_FETCHES_SECONDS", -1)
    monkeypatch.setattr("shared.web.keys._FRESH_SECONDS", -1)
    for _ in range(9):
        await auth.caller(f"Bearer {token()}")
        await asyncio.sleep(0.01)
    assert len(calls) > 1


def test_unknown_roles_and_scopes_allow_nothing() -> None:
    assert scopes_of(frozenset({"king"}), "openid everything") == frozenset()
    assert scopes_of(frozenset(), "openid orders:read") == {"orders:read"}
    assert scopes_of(frozenset({"administrator"})) == SCOPES
    assert set().union(*ROLE_SCOPES.values()) == SCOPES


def test_a_customer_sees_itself_only_whatever_else_it_is() -> None:
    customer = Caller("c", frozenset({"customer"}), frozenset(), CUSTOMER)
    assert customer.sees(CUSTOMER)
    assert not customer.sees(uuid4())


def test_a_missing_scope_is_named() -> None:
    with pytest.raises(Forbidden, match="orders:import") as caught:
        Caller("a", frozenset({"agent"}), frozenset()).require("orders:import")
    assert caught.value.extra == {"missing_scope": "orders:import"}


async def test_routes_ask_for_their_scope_and_hide_what_is_not_the_callers(api: Any) -> None:
    async with client(api, None) as http:
        for role, status in {"manager": 200, "analyst": 200, "engineer": 403}.items():
            assert (await http.get("/v1/orders/1", headers=bearer(role))).status_code == status
        assert (await http.get("/v1/orders/1")).status_code == 401
        assert (await http.get("/health/live")).status_code == 200
        own, other = bearer("customer", customer_id=CUSTOMER), bearer("customer", customer_id=uuid4())
        assert (await http.get("/v1/orders/1", headers=own)).status_code == 200
        assert (await http.get("/v1/orders/1", headers=other)).status_code == 404
        assert (await http.delete("/v1/orders/1", headers=own)).status_code == 403


@pytest.fixture
def local(tmp_path: Path, clock: FixedClock) -> tuple[Path, Auth]:
    ensure_keys(tmp_path / "keys")
    chosen = settings(jwks_url(tmp_path / "keys")).model_copy(update={"oidc_issuer": "patron-local"})
    return tmp_path / "keys", Auth(chosen, clock)


async def test_a_local_key_pair_is_made_once_and_its_tokens_are_accepted(local: tuple[Path, Auth]) -> None:
    directory, auth = local
    before = (directory / "private.pem").read_bytes()
    ensure_keys(directory)
    assert (directory / "private.pem").read_bytes() == before
    assert stat.S_IMODE(os.stat(directory / "private.pem").st_mode) == 0o600
    assert "d" not in json.loads((directory / "jwks.json").read_text())["keys"][0]
    for role in ROLE_SCOPES:
        customer_id = CUSTOMER if role == "customer" else None
        minted = mint(directory, role=role, customer_id=customer_id, now=NOW)
        caller = await auth.caller(f"Bearer {minted}")
        assert (list(caller.roles), caller.customer_id) == ([role], customer_id)


def test_no_token_is_minted_for_a_role_there_is_not(local: tuple[Path, Auth]) -> None:
    wrongs: tuple[dict[str, Any], ...] = (
        {"role": "king"},
        {"role": "customer"},
        {"role": "sales", "customer_id": CUSTOMER},
    )
    for wrong in wrongs:
        with pytest.raises(ValueError):
            mint(local[0], **wrong)
