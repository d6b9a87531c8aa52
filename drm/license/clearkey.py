"""EME Clear Key formats: license request, JWK Set, and the members that the sealed form adds.

https://www.w3.org/TR/encrypted-media-2/#clear-key
Pure: bytes in, values out. The sender is never trusted, and no message repeats a key.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from drm.errors import InvalidArgumentError, LicenseMalformedError
from drm.keys import ContentKey, KeyId

__all__ = [
    "FORMS_HEADER",
    "MAX_KIDS",
    "MAX_MESSAGE",
    "PLAIN_FORM",
    "SEALED_FORM",
    "LicenseRequest",
    "b64url",
    "decode_kid",
    "encode_jwk_set",
    "encode_license_request",
    "parse_jwk_set",
    "parse_license_request",
]

MAX_MESSAGE: Final = 64 << 10  # bytes; the limit that web-platform-tests put on a license as well
MAX_KIDS: Final = 64  # in one request
_TO_URL: Final = bytes.maketrans(b"+/", b"-_")


class LicenseRequest(msgspec.Struct, frozen=True):
    """A license request. Members that are not listed are ignored, as EME has it.

    `pmp` is ours: the JWS of a PMP worker that asks for the sealed form.
    """

    kids: tuple[str, ...]
    type: str = "temporary"
    pmp: str | None = None

    @property
    def key_ids(self) -> tuple[KeyId, ...]:
        """The asked ids, each once, in order. Raises InvalidArgumentError."""
        return tuple(dict.fromkeys(decode_kid(kid) for kid in self.kids))


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: str
    k: str


class _LenientJwkSet(msgspec.Struct, frozen=True):
    keys: list[msgspec.Raw]
    type: str = "temporary"


FORMS_HEADER: Final = "Clearkey-Forms"
"""In the answer to OPTIONS of a license URL: the forms of license that are given there, separated by commas."""

PLAIN_FORM: Final = "plain"
SEALED_FORM: Final = "sealed"


def b64url(data: bytes) -> str:
    """Base64url without padding: Chromium's CDM refuses a `kid` that ends in "="."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode()


def decode_kid(text: str) -> KeyId:
    """Read a `kid`, in either base64 alphabet, padded or not: Android below 8.1 writes the standard one."""
    try:
        return KeyId(binascii.a2b_base64(text.rstrip("=").replace("-", "+").replace("_", "/") + "==", strict_mode=True))
    except (binascii.Error, ValueError):
        raise InvalidArgumentError(f"`kid` is not the base64url of a 16-byte key id: {text[:64]!r}") from None


def encode_license_request(key_ids: Iterable[KeyId], *, pmp: str | None = None) -> bytes:
    """Encode a license request; with `pmp`, one for the sealed form.

    https://www.w3.org/TR/encrypted-media-2/#clear-key-request-format
    """
    body: dict[str, object] = {"kids": [kid.base64url for kid in key_ids], "type": "temporary"}
    if pmp is not None:
        body["pmp"] = pmp
    return msgspec.json.encode(body)


def parse_license_request(body: bytes) -> LicenseRequest:
    """Read a request. Raises InvalidArgumentError with words that a developer can act on."""
    if len(body) > MAX_MESSAGE:
        raise InvalidArgumentError(f"the request has {len(body)} bytes, more than {MAX_MESSAGE}")
    try:
        request = msgspec.json.decode(body, type=LicenseRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgumentError(
            f"this is not a Clear Key license request: {error}",
            remedy='send {"kids": ["<base64url key id>"], "type": "temporary"} as the raw body',
        ) from None
    if not request.kids:
        raise InvalidArgumentError("`kids` is empty: a request names at least one key id")
    if len(request.kids) > MAX_KIDS:
        raise InvalidArgumentError(f"the request names {len(request.kids)} key ids, more than {MAX_KIDS}")
    return request


def encode_jwk_set(keys: Mapping[KeyId, ContentKey], **members: object) -> bytes:
    """Encode a license: a JWK Set, with `members` beside `keys` and `type`.

    https://www.w3.org/TR/encrypted-media-2/#clear-key-license-format
    """
    # Written by hand: base64url needs no escaping, and a busy server does little else.
    jwks = ",".join(
        [f'{{"kty":"oct","kid":"{kid.base64url}","k":"{b64url(key.secret)}"}}' for kid, key in keys.items()]
    )
    more = msgspec.json.encode(members)[1:] if members else b"}"
    return f'{{"keys":[{jwks}],"type":"temporary"'.encode() + (b"," if members else b"") + more


def parse_jwk_set(body: bytes) -> dict[KeyId, ContentKey]:
    """Read a license as a CDM does: one valid key suffices, what is not a 16-byte `oct` key is passed over.

    An empty set is returned as such: the caller knows which keys it misses.

    Raises:
        LicenseMalformedError: not a JWK Set, or one whose keys are all unusable, or not a temporary license.
    """
    if len(body) > MAX_MESSAGE:
        raise LicenseMalformedError(f"the license has {len(body)} bytes, more than {MAX_MESSAGE}")
    try:
        whole = msgspec.json.decode(body, type=_LenientJwkSet)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise LicenseMalformedError(
            "the answer is not a JWK Set",
            seen=_first_bytes(body),
            maybe="the URL is not a Clear Key license endpoint, or it answers with a page",
        ) from None
    if whole.type != "temporary":
        raise LicenseMalformedError(f"the license is of type {whole.type[:32]!r}, and a temporary one was asked for")
    keys: dict[KeyId, ContentKey] = {}
    for raw in whole.keys:
        try:
            jwk = msgspec.json.decode(raw, type=_Jwk)
            if jwk.kty == "oct":
                keys[decode_kid(jwk.kid)] = ContentKey.from_base64url(jwk.k)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidArgumentError):
            continue
    if whole.keys and not keys:
        raise LicenseMalformedError(
            f"none of the {len(whole.keys)} keys in the license is usable",
            maybe='a key needs "kty": "oct" and 16 bytes of base64url in `kid` and in `k`',
        )
    return keys


def _first_bytes(body: bytes) -> str:
    # Only the shape: what could not be parsed may still hold a key.
    start = body.lstrip()[:1]
    kinds = {
        b"<": "it begins like HTML or XML",
        b"{": "it is JSON of another shape",
        b"[": "it is a JSON array",
        b"": "it is empty",
    }
    return kinds.get(start, f"{len(body)} bytes that are not JSON")
