"""The keys that verify tokens: Ed25519 (RFC 8037) and HS256 (RFC 7518 3.2), each for exactly one algorithm.

A key says by its own type which algorithm it is for, and never the token: RFC 8725 3.1. So a token cannot have its
signature checked as a MAC with a public key, and `none` is no algorithm here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import OKPKey

from drm.errors import InvalidArgumentError

__all__ = ["MAX_TOKENS_FILE", "TokenError", "TokenKeys", "parse_token_keys"]

MAX_TOKENS_FILE: Final = 1 << 20  # bytes

_EDDSA: Final = frozenset({"Ed25519", "EdDSA"})  # RFC 9864 renamed it; many libraries know the old name alone
_HS256: Final = frozenset({"HS256"})
_LEAST_SECRET: Final = 32  # bytes, RFC 7518 3.2
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


class TokenError(Exception):
    """A token that is not taken. `why` tells nothing of its content."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Also `crit`, `jwk`, `jku`, `x5u` and the like are unknown: RFC 8725 3.10."""

    alg: str
    typ: str = "JWT"
    kid: str | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    algorithms: frozenset[str]
    public: Ed25519PublicKey | None = None
    mac: bytes | None = None

    def verify(self, signed: bytes, signature: bytes) -> bool:
        if self.public is None:
            assert self.mac is not None
            return hmac.compare_digest(hmac.digest(self.mac, signed, sha256), signature)
        try:
            self.public.verify(signature, signed)
        except InvalidSignature:
            return False
        return True


class TokenKeys:
    """The verifying keys by `kid`."""

    def __init__(self, keys: Mapping[str, _Key]) -> None:
        self._keys = dict(keys)

    def verify(self, token: str) -> bytes:
        """Return the payload of a compact JWS whose signature holds. Raises TokenError."""
        parts = token.split(".")
        if len(parts) != 3 or not token.isascii():
            raise TokenError("it is not a signed token of three parts")
        try:
            header = msgspec.json.decode(_bytes(parts[0]), type=_Header)
            payload, signature = _bytes(parts[1]), _bytes(parts[2])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
            raise TokenError("its header or parts are not those that are read here") from None
        if header.typ.upper() not in ("JWT", "AT+JWT"):
            raise TokenError("its `typ` is not JWT")
        key = self._key(header.kid)
        if header.alg not in key.algorithms:
            raise TokenError("its `alg` is not the one that its key is for")
        if not key.verify(f"{parts[0]}.{parts[1]}".encode(), signature):
            raise TokenError("its signature does not hold")
        return payload

    def _key(self, kid: str | None) -> _Key:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        if kid is None or kid not in self._keys:
            raise TokenError("its `kid` names none of the verifying keys")
        return self._keys[kid]


def parse_token_keys(data: bytes) -> TokenKeys:
    """Read a JWK Set (RFC 7517 5) of verifying keys, each with a `kid` of its own.

    Raises InvalidArgumentError, which shows no key.
    """
    if len(data) > MAX_TOKENS_FILE:
        raise InvalidArgumentError(f"a file of verifying keys has at most {MAX_TOKENS_FILE} bytes")
    try:
        entries = msgspec.json.decode(data, type=dict[str, object]).get("keys")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not entries:
        raise InvalidArgumentError(
            "this is no JWK Set of verifying keys", remedy='give {"keys": [{"kty": "OKP", "crv": "Ed25519", …}]}'
        )
    keys: dict[str, _Key] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"key {number} of `keys`"
        if not isinstance(entry, dict):
            raise InvalidArgumentError("a verifying key is not a JSON object", where=where)
        kid = entry.get("kid", "")
        if not isinstance(kid, str) or (not kid and len(entries) > 1) or kid in keys:
            raise InvalidArgumentError("each verifying key needs a `kid` of its own", where=where)
        keys[kid] = _parsed(entry, where)
    return TokenKeys(keys)


def _parsed(jwk: dict[str, object], where: str) -> _Key:
    kty, alg = jwk.get("kty"), jwk.get("alg")
    if "d" in jwk:
        raise InvalidArgumentError(
            "this is a private key, and the server needs the public half alone", where=where, remedy="leave out `d`"
        )
    try:
        if kty == "OKP" and jwk.get("crv") == "Ed25519" and (alg is None or alg in _EDDSA):
            public = OKPKey.import_key({name: str(jwk[name]) for name in ("kty", "crv", "x")}).public_key
            assert isinstance(public, Ed25519PublicKey)
            return _Key(_EDDSA, public=public)
        if kty == "oct" and (alg is None or alg in _HS256):
            mac = _bytes(str(jwk["k"]))
            if len(mac) < _LEAST_SECRET:
                raise InvalidArgumentError(f"a key for HS256 has {_LEAST_SECRET} bytes or more", where=where)
            return _Key(_HS256, mac=mac)
    except InvalidArgumentError:
        raise
    except Exception:  # noqa: BLE001 - whatever a library makes of a bad key; its words may repeat it
        raise InvalidArgumentError("the verifying key cannot be read", where=where) from None
    raise InvalidArgumentError(
        "this kind of verifying key is not known", where=where, remedy="Ed25519 (kty OKP), or HS256 (kty oct)"
    )


def _bytes(part: str) -> bytes:
    # Strict, since the decoder passes over characters that are no base64url (RFC 7515 2), and over bits of the last one
    # that stand for nothing (RFC 4648 3.5): with those, one token would have many spellings, each with a limit of its
    # own.
    if not _BASE64URL.fullmatch(part):
        raise ValueError
    value = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    if base64.urlsafe_b64encode(value).decode().rstrip("=") != part:
        raise ValueError
    return value
