"""Tokens without an identity provider: a key pair of this installation, for local use and for services."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from shared.web.roles import CUSTOMER, ROLE_SCOPES

LOCAL_ISSUER = "patron-local"
LOCAL_AUDIENCE = "patron"

_PRIVATE = "private.pem"
_PUBLIC = "jwks.json"
_KEY_ID = "patron-local-1"


def jwks_url(directory: Path) -> str:
    """What `OIDC_JWKS_URL` must be for tokens minted from this directory."""
    return (directory.resolve() / _PUBLIC).as_uri()


def ensure_keys(directory: Path) -> None:
    """Make the key pair if there is none: the private key for our eyes only, and the public key set."""
    directory.mkdir(parents=True, exist_ok=True)
    private, public = directory / _PRIVATE, directory / _PUBLIC
    if not private.exists():
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write(private, pem, mode=0o600)
        public.unlink(missing_ok=True)
    if not public.exists():
        entry = jwt.algorithms.OKPAlgorithm.to_jwk(_load(private).public_key(), as_dict=True)
        key_set = {"keys": [{**entry, "kid": _KEY_ID, "use": "sig", "alg": "EdDSA"}]}
        _write(public, json.dumps(key_set, indent=2).encode(), mode=0o644)


def mint(
    directory: Path,
    *,
    role: str,
    sub: str | None = None,
    customer_id: UUID | None = None,
    ttl: timedelta = timedelta(hours=12),
    now: datetime | None = None,
) -> str:
    """A token for one role, signed with the key pair of this directory."""
    if role not in ROLE_SCOPES:
        raise ValueError(f"{role} is no role; there are {', '.join(ROLE_SCOPES)}")
    if (role == CUSTOMER) != (customer_id is not None):
        raise ValueError("the role customer, and no other, needs a customer_id")
    issued_at = now or datetime.now(UTC)
    claims: dict[str, object] = {
        "iss": LOCAL_ISSUER,
        "aud": LOCAL_AUDIENCE,
        "sub": sub or (f"customer:{customer_id}" if customer_id else f"local:{role}"),
        "roles": [role],
        "iat": issued_at,
        "exp": issued_at + ttl,
        "jti": uuid4().hex,
    }
    if customer_id is not None:
        claims["customer_id"] = str(customer_id)
    return jwt.encode(claims, _load(directory / _PRIVATE), algorithm="EdDSA", headers={"kid": _KEY_ID})


def _load(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def _write(path: Path, content: bytes, *, mode: int) -> None:
    # Whole or not at all, even when two processes start at once.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    partial.replace(path)
