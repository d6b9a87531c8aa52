"""The sealed form of a Clear Key license: a signed request by the worker, an encrypted answer by the server.

The request is a compact JWS by the device key over a one-time X25519 key, the KIDs, a nonce and the protection report.
The answer is a compact JWE (ECDH-ES, A256GCM) to that one-time key over a JWK Set with policy, nonce and KIDs.
drm.license.jose reads exactly these algorithms and no others.
https://www.rfc-editor.org/rfc/rfc7517 (8.5.2: `jwk-set+json`)

No I/O, and everything is imported at once: the worker's half runs after no file can be opened any more.
Nothing here prints or keeps a content key.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar

import msgspec
from joserfc.jwk import OKPKey
from msgspec import Meta

from drm.errors import InvalidArgumentError, LicenseMalformedError
from drm.keys import ContentKey, KeyId
from drm.license import jose
from drm.license.clearkey import MAX_KIDS, b64url, decode_kid, encode_jwk_set, parse_jwk_set
from drm.rights.policy import Policy, parse_policy

__all__ = [
    "MEDIA_TYPE",
    "SealedLicense",
    "SealedRequest",
    "VerifiedDevice",
    "VerifiedRequest",
    "make_registration",
    "seal",
    "verify_registration",
    "verify_request",
    "warm_up",
]

MEDIA_TYPE: Final = "application/jose"

_CONTENT: Final = "jwk-set+json"
_REQUEST_TYPE: Final = "clearkey-request+jwt"  # explicit typing, RFC 8725 3.11: neither token passes for the other
_REGISTRATION_TYPE: Final = "clearkey-registration+jwt"


class _Signed(msgspec.Struct, frozen=True):
    """What request and registration have in common."""

    iat: Annotated[int, Meta(ge=0, le=2**53)]
    nonce: Annotated[str, Meta(pattern=r"\A[\x21-\x7e]*\Z")]  # kept and compared as it is
    report: dict[str, object]
    components: dict[str, str]


class _SignedRequest(_Signed, frozen=True, kw_only=True):
    recipient: jose.PublicJwk
    kids: tuple[str, ...]


_Shape = TypeVar("_Shape", bound=_Signed)


class _Plaintext(msgspec.Struct, frozen=True):
    policy: object
    nonce: str
    kids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SealedLicense:
    """What a sealed answer holds, checked against the request that it answers."""

    keys: dict[KeyId, ContentKey]
    policy: Policy


class SealedRequest:
    """One request and the one-time key that opens its answer. Worker only."""

    def __init__(self, token: str, nonce: str, key_ids: frozenset[KeyId], one_time: OKPKey) -> None:
        self.jws = token
        self._nonce = nonce
        self._key_ids = key_ids
        self._one_time: OKPKey | None = one_time

    @classmethod
    def make(
        cls,
        device_key: bytes,
        key_ids: Iterable[KeyId],
        report: Mapping[str, object],
        components: Mapping[str, str],
    ) -> SealedRequest:
        """Make a request for `key_ids`, signed with `device_key` (the 32-byte seed of an Ed25519 key).

        `report` is the protection report; the server reads its `level`. `components` maps names to digests.
        """
        asked = tuple(dict.fromkeys(key_ids))
        if not 0 < len(asked) <= MAX_KIDS:
            raise InvalidArgumentError(f"a request names 1 to {MAX_KIDS} key ids, not {len(asked)}")
        one_time = jose.one_time_key()
        nonce = b64url(secrets.token_bytes(16))
        payload = {
            "recipient": jose.public_members(one_time),
            "kids": [kid.base64url for kid in asked],
            "nonce": nonce,
            "iat": int(time.time()),
            "report": dict(report),
            "components": dict(components),
        }
        token = jose.sign(device_key, _REQUEST_TYPE, msgspec.json.encode(payload))
        return cls(token, nonce, frozenset(asked), one_time)

    def open(self, answer: bytes) -> SealedLicense:
        """Open the answer to this request. It opens one answer; one that is refused changes nothing.

        Raises:
            LicenseMalformedError: it is not sealed, or not so, not for this worker, altered, the answer to another
                request, or it holds keys that were not asked for. The message says which.
        """
        if self._one_time is None:
            raise LicenseMalformedError("this request has had its answer: a sealed license opens once")
        plaintext = jose.decrypt(answer.strip(), self._one_time, _CONTENT)
        try:
            inner = msgspec.json.decode(plaintext, type=_Plaintext)
            told = frozenset(decode_kid(kid) for kid in inner.kids)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidArgumentError):
            raise LicenseMalformedError("the sealed license holds no JWK Set with policy, nonce and kids") from None
        if not hmac.compare_digest(inner.nonce.encode(), self._nonce.encode()):
            raise LicenseMalformedError("the sealed license answers another request: its nonce is not ours")
        if told != self._key_ids:
            raise LicenseMalformedError("the sealed license answers another request: its `kids` are not those asked")
        policy = parse_policy(inner.policy)
        keys = parse_jwk_set(plaintext)
        if surplus := keys.keys() - self._key_ids:
            raise LicenseMalformedError(
                f"the sealed license holds {len(surplus)} keys that were not asked for",
                kids=tuple(sorted(str(kid) for kid in surplus)),
            )
        self._one_time = None
        return SealedLicense(keys, policy)


def make_registration(
    device_key: bytes, report: Mapping[str, object] | None = None, components: Mapping[str, str] | None = None
) -> bytes:
    """Make the body that registers the device key with a server (individualization). Worker only."""
    payload = {
        "nonce": b64url(secrets.token_bytes(16)),
        "iat": int(time.time()),
        "report": dict(report or {}),
        "components": dict(components or {}),
    }
    return jose.sign(device_key, _REGISTRATION_TYPE, msgspec.json.encode(payload)).encode()


@dataclass(frozen=True, slots=True)
class VerifiedDevice:
    """A device that proved to hold its key; what it reports of itself is its own word."""

    device_id: str  # RFC 7638 thumbprint of the public key
    device_jwk: dict[str, str]
    nonce: str
    issued_at: int  # seconds since the epoch, by the device's clock
    report: dict[str, object]
    components: dict[str, str]

    @property
    def level(self) -> int:
        """The isolation level that the report claims; 0 when it claims none."""
        level = self.report.get("level")
        return level if isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 3 else 0


@dataclass(frozen=True, slots=True)
class VerifiedRequest(VerifiedDevice):
    """A request whose signature holds. Server only."""

    recipient_jwk: dict[str, str] = field(default_factory=dict)
    kids: tuple[KeyId, ...] = ()


def verify_request(token: str) -> VerifiedRequest:
    """Check the signature and shape of a request; freshness, nonce and device are the caller's to judge.

    Raises InvalidArgumentError.
    """
    device, raw = jose.verify(token.encode(), _REQUEST_TYPE, "sealed license request")
    payload = _payload(raw, _SignedRequest, "sealed license request")
    kids = tuple(dict.fromkeys(decode_kid(kid) for kid in payload.kids))
    if not 0 < len(kids) <= MAX_KIDS:
        raise InvalidArgumentError(f"the sealed request names {len(kids)} key ids, not 1 to {MAX_KIDS}")
    recipient = jose.import_public(payload.recipient, "X25519", "the one-time key of the sealed request")
    return VerifiedRequest(
        device_id=device.thumbprint(),
        device_jwk=jose.public_members(device),
        nonce=payload.nonce,
        issued_at=payload.iat,
        report=payload.report,
        components=payload.components,
        recipient_jwk=jose.public_members(recipient),
        kids=kids,
    )


def verify_registration(body: bytes) -> VerifiedDevice:
    """Check a registration made by `make_registration`. Raises InvalidArgumentError."""
    device, raw = jose.verify(body, _REGISTRATION_TYPE, "device registration")
    payload = _payload(raw, _Signed, "device registration")
    return VerifiedDevice(
        device_id=device.thumbprint(),
        device_jwk=jose.public_members(device),
        nonce=payload.nonce,
        issued_at=payload.iat,
        report=payload.report,
        components=payload.components,
    )


def seal(verified: VerifiedRequest, keys: Mapping[KeyId, ContentKey], policy: Policy) -> bytes:
    """Encrypt `keys` and `policy` to the one-time key of a verified request. Server only."""
    recipient = OKPKey.import_key(dict(verified.recipient_jwk))
    plaintext = encode_jwk_set(
        keys,
        policy=msgspec.to_builtins(policy),
        nonce=verified.nonce,
        kids=[kid.base64url for kid in verified.kids],
    )
    return jose.encrypt(plaintext, recipient, _CONTENT)


def warm_up() -> None:
    """Run both halves once, a good answer and a spoilt one, so that nothing is imported or loaded later."""
    kid = KeyId(bytes(16))
    request = SealedRequest.make(bytes(32), [kid], {}, {})
    answer = seal(verify_request(request.jws), {kid: ContentKey(bytes(16))}, Policy())
    for spoilt in (answer[:-4] + b"AAAA", b"eyJhbGciOiJub25lIn0..", b"{}"):
        try:
            request.open(spoilt)
        except LicenseMalformedError:
            continue
    request.open(answer)
    verify_registration(make_registration(bytes(32)))


def _payload(raw: bytes, kind: type[_Shape], what: str) -> _Shape:
    try:
        payload = msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgumentError(f"the {what} lacks something: {error}") from None
    if not 16 <= len(payload.nonce) <= 64:
        raise InvalidArgumentError(f"the nonce of the {what} has {len(payload.nonce)} characters, not 16 to 64")
    return payload
