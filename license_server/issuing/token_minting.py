"""Make tokens as an operator's own service would, to try a server that asks for them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc import jws
from joserfc.jwk import OKPKey

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from drm.rights.policy import Policy

__all__ = ["SigningKey", "TokenClaims", "make_signing_key", "read_signing_key"]

_REGISTRY: Final = jws.JWSRegistry(algorithms=["Ed25519"])
_MAX_KEY_FILE: Final = 4096


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says; it covers every key if neither KIDs nor contents are named. See `entitlements`."""

    kids: tuple[KeyId, ...] = ()
    contents: tuple[str, ...] = ()
    life: int = 3600  # seconds
    audience: str | None = None
    subject: str = ""
    token_id: str | None = None  # good for one license then
    reusable: bool = False
    policy: Policy | None = None


class SigningKey:
    """A private Ed25519 key. It does not print itself."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "<SigningKey>"

    def public(self) -> dict[str, str]:
        """The JWK that verifies its tokens."""
        whole = self._key.as_dict(private=False)
        return {name: str(whole[name]) for name in ("kty", "crv", "x")} | {
            "kid": self._key.thumbprint(),
            "alg": "Ed25519",
        }

    def mint(self, claims: TokenClaims, now: int) -> str:
        """Sign a token that begins now."""
        named = claims.kids or claims.contents
        payload: dict[str, object] = {
            "iat": now,
            "exp": now + claims.life,
            "kids": [kid.base64url for kid in claims.kids] if named else "*",
        }
        more = {
            "contents": list(claims.contents),
            "aud": claims.audience,
            "sub": claims.subject,
            "jti": claims.token_id,
            "reusable": claims.reusable,
            "policy": msgspec.to_builtins(claims.policy),
        }
        payload |= {name: value for name, value in more.items() if value}
        header = {"alg": "Ed25519", "typ": "JWT", "kid": self._key.thumbprint()}
        return jws.serialize_compact(header, msgspec.json.encode(payload), self._key, registry=_REGISTRY)


def make_signing_key(path: Path) -> SigningKey:
    """Make a key in a new file that its owner alone reads. Raises OSError."""
    key = OKPKey.import_key(Ed25519PrivateKey.generate())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(key.as_dict(private=True), file)
    return SigningKey(key)


def read_signing_key(path: Path) -> SigningKey:
    """Read a private Ed25519 JWK. Raises InvalidArgumentError, which shows nothing of it."""
    try:
        with path.open("rb") as file:
            key = OKPKey.import_key(json.loads(file.read(_MAX_KEY_FILE)))
        if key.is_private and key.curve_name == "Ed25519":
            return SigningKey(key)
    except Exception:  # noqa: BLE001, S110 - whatever a library makes of a bad key; its words may repeat it
        pass
    raise InvalidArgumentError("this is no private Ed25519 JWK", where=str(path))
