"""JOSE, limited to what the sealed form of a license needs: Ed25519 signatures, and ECDH-ES (X25519) with A256GCM.

Exactly these algorithms and header members are read. No `none`, no `dir`, no compression, no `crit`: whatever else
a header holds is refused before any cryptography is done.
https://www.rfc-editor.org/rfc/rfc7515, 7516, 7638, 8037, 8725 (3.11), 9864

Pure, and everything is imported at once: it runs after no file can be opened any more.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from joserfc import jwe, jws
from joserfc.jwk import OKPKey

from drm.errors import InvalidArgumentError, LicenseMalformedError
from drm.license.clearkey import MAX_MESSAGE

__all__ = ["PublicJwk", "decrypt", "encrypt", "import_public", "one_time_key", "public_members", "sign", "verify"]

_SIGNATURES: Final = ("Ed25519", "EdDSA")  # RFC 9864 renamed it; older libraries know the old name alone
_JWS: Final = jws.JWSRegistry(algorithms=["Ed25519", "EdDSA"])
_JWE: Final = jwe.JWERegistry(algorithms=["ECDH-ES", "A256GCM"])


class PublicJwk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OKP public key and nothing beside it, RFC 8037 2; a private `d` is an unknown field."""

    kty: str
    crv: str
    x: str


class _Algorithms(msgspec.Struct, frozen=True):
    """Read before the rest, so that a refused algorithm is refused by its name."""

    alg: str
    enc: str = ""


class _SignedHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    typ: str
    jwk: PublicJwk


class _SealedHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: str
    enc: str
    cty: str
    epk: PublicJwk
    kid: str | None = None


def one_time_key() -> OKPKey:
    """Return a new X25519 key."""
    return OKPKey.import_key(X25519PrivateKey.generate())


def import_public(jwk: PublicJwk, curve: str, what: str) -> OKPKey:
    """Return the public key that `jwk` stands for. Raises InvalidArgumentError, which calls it `what`."""
    if (jwk.kty, jwk.crv) != ("OKP", curve):
        raise InvalidArgumentError(f"{what} is of kind {jwk.kty[:16]!r} {jwk.crv[:16]!r}, not 'OKP' {curve!r}")
    try:
        key = OKPKey.import_key({"kty": jwk.kty, "crv": jwk.crv, "x": jwk.x})
        if curve == "X25519":
            # RFC 7748 6.1: with a point of small order the shared secret would be known to everybody.
            one_time_key().exchange_derive_key(key)
    except Exception:  # noqa: BLE001 - as below
        raise InvalidArgumentError(f"{what} is not a usable {curve} key") from None
    return key


def public_members(key: OKPKey) -> dict[str, str]:
    """Return the public JWK of `key`: the members that its RFC 7638 thumbprint is made of."""
    whole = key.as_dict(private=False)
    return {name: str(whole[name]) for name in ("kty", "crv", "x")}


def sign(seed: bytes, kind: str, payload: bytes) -> str:
    """Return a compact JWS of type `kind` by the Ed25519 key of this 32-byte seed; it carries the public JWK."""
    key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed))
    header: dict[str, Any] = {"alg": "Ed25519", "typ": kind, "jwk": public_members(key)}
    return jws.serialize_compact(header, payload, key, registry=_JWS)


def verify(token: bytes, kind: str, what: str) -> tuple[OKPKey, bytes]:
    """Return the key that signed `token` and the signed payload. Raises InvalidArgumentError, which calls it `what`."""
    if len(token) > MAX_MESSAGE:
        raise InvalidArgumentError(f"the {what} has {len(token)} bytes, more than {MAX_MESSAGE}")
    if token.count(b".") != 2:
        raise InvalidArgumentError(f"the {what} is not a compact JWS: it has {token.count(b'.') + 1} parts, not 3")
    try:
        alg = msgspec.json.decode(_header_bytes(token), type=_Algorithms).alg
        if alg not in _SIGNATURES:
            raise InvalidArgumentError(f"the {what} is signed with {alg[:32]!r}, and only Ed25519 is read")
        header = msgspec.json.decode(_header_bytes(token), type=_SignedHeader)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error) as error:
        raise InvalidArgumentError(f"the header of the {what} is not one that is read here: {error}") from None
    if header.typ != kind:
        raise InvalidArgumentError(f"the {what} is of type {header.typ[:64]!r}, not {kind!r}")
    signer = import_public(header.jwk, "Ed25519", f"the device key of the {what}")
    try:
        return signer, _verified_payload(token, signer)
    except Exception:  # noqa: BLE001 - whatever a library makes of hostile bytes is a refusal
        raise InvalidArgumentError(
            f"the signature of the {what} does not hold", maybe="it was altered on its way"
        ) from None


def _verified_payload(token: bytes, signer: OKPKey) -> bytes:
    # The two names are one algorithm. joserfc warns of the old one by a warning, which may not be raised in a worker,
    # so the signature is checked with the curve's own name; the signed bytes stay as they came.
    parts = jws.extract_compact(token, registry=_JWS)
    algorithm = _JWS.get_alg("Ed25519")
    header, payload, signature = token.split(b".")
    algorithm.check_key(signer)
    if not algorithm.verify(header + b"." + payload, _unpadded(signature), signer):
        raise ValueError
    return parts.payload


def encrypt(plaintext: bytes, recipient: OKPKey, content_type: str) -> bytes:
    """Return a compact JWE to `recipient`, whose thumbprint it names as `kid`."""
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "cty": content_type, "kid": recipient.thumbprint()}
    return jwe.encrypt_compact(header, plaintext, recipient, registry=_JWE).encode()


def decrypt(token: bytes, recipient: OKPKey, content_type: str) -> bytes:
    """Return what was encrypted to `recipient`. Raises LicenseMalformedError with words for each way it may be off."""
    if len(token) > MAX_MESSAGE:
        raise LicenseMalformedError(f"the sealed license has {len(token)} bytes, more than {MAX_MESSAGE}")
    if token.count(b".") != 4:
        raise LicenseMalformedError("the answer is not a compact JWE", seen=_shape(token))
    try:
        named = msgspec.json.decode(_header_bytes(token), type=_Algorithms)
        if (named.alg, named.enc) != ("ECDH-ES", "A256GCM"):
            raise LicenseMalformedError(
                f"the license is sealed with {named.alg[:32]!r} and {named.enc[:32]!r}, not with ECDH-ES and A256GCM"
            )
        header = msgspec.json.decode(_header_bytes(token), type=_SealedHeader)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, binascii.Error) as error:
        raise LicenseMalformedError(f"the header of the sealed license is not one that is read here: {error}") from None
    if header.cty != content_type:
        raise LicenseMalformedError(f"the sealed license holds {header.cty[:64]!r}, not {content_type!r}")
    if header.kid is not None and header.kid != recipient.thumbprint():
        raise LicenseMalformedError("the license is sealed for another recipient")
    try:
        plaintext = jwe.decrypt_compact(token, recipient, registry=_JWE).plaintext
    except Exception:  # noqa: BLE001 - whatever a library makes of hostile bytes, a KeyError too, is a refusal
        plaintext = None
    if plaintext is None:
        raise LicenseMalformedError(
            "the sealed license does not open: its tag does not fit",
            maybe="it was altered on its way, or sealed for another recipient",
        )
    return plaintext


def _header_bytes(token: bytes) -> bytes:
    return _unpadded(token.partition(b".")[0])


def _unpadded(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _shape(token: bytes) -> str:
    # The shape alone: what could not be parsed may still hold a key.
    parts = token.count(b".") + 1
    if token.lstrip()[:1] == b"{":
        return "JSON, as of a license that is not sealed"
    if parts == 3:
        return "three parts, as of a signed token; a sealed license has five"
    return f"{len(token)} bytes in {parts} parts"
