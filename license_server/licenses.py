"""Who gets which keys: the one function behind every way by which a license is asked for.

It knows nothing of HTTP but a status, and nothing of databases but what `KeySource` and `DeviceSource` say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from drm import sealed
from drm.clearkey import LicenseRequest, encode_jwk_set, parse_license_request
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.policy import Policy
from license_server.policies import combine, permit_plain, permit_sealed
from license_server.problems import PROBLEM_TYPE, ProblemError

__all__ = ["Decision", "DeviceRules", "DeviceSource", "HeldKey", "KeySource", "issue", "register"]

INDIVIDUALIZE: Final = "individualize"
"""Where devices register, relative to the license URL: it holds behind any prefix of a proxy."""


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that the store holds, unwrapped, and the rules under which it is issued."""

    key: ContentKey
    policy: Policy


class KeySource(Protocol):
    """Where keys come from."""

    def get_many(self, kids: Sequence[KeyId]) -> Mapping[KeyId, HeldKey]:
        """Return those of `kids` that are held."""


class DeviceSource(Protocol):
    """What is known of devices."""

    def enrolled(self, device_id: str) -> bool | None:
        """Whether somebody vouched for this device; None if it never registered."""

    def register(self, device: sealed.VerifiedDevice, now: float) -> None:
        """Remember a device that proved to hold its key."""

    def spend(self, request: sealed.VerifiedRequest, now: float, keep: float) -> bool:
        """Use up the request's nonce; False if it was used before. It may be forgotten after `keep` seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRules:
    """How the server treats devices."""

    enrolled_only: bool = False
    freshness: float = 300.0  # seconds by which the device's clock may differ from ours, either way


@dataclass(frozen=True, slots=True)
class Decision:
    """What is answered, and what the log may say of it. `body` may hold keys."""

    status: int
    media_type: str
    body: bytes = field(repr=False)
    code: str = "issued"
    kids: tuple[KeyId, ...] = ()
    device_id: str = ""
    level: str = ""  # of a sealed license: as claimed, and whether somebody vouched for the device


@dataclass(slots=True)
class _Asked:
    """What is known of a request so far; a refusal is logged with it."""

    kids: tuple[KeyId, ...] = ()
    device_id: str = ""
    level: str = ""


def issue(body: bytes, keys: KeySource, devices: DeviceSource, rules: DeviceRules, now: float) -> Decision:
    """Decide over one license request: EME Clear Key's JSON, with or without our member `pmp`.

    https://www.w3.org/TR/encrypted-media-2/#clear-key-request-format
    `now` is in seconds since the epoch. Never raises for what a client sent: a refusal is a decision too.
    """
    asked = _Asked()
    try:
        request = _parse(body, asked)
        if request.pmp is None:
            return _issue_plain(asked, keys, now)
        return _issue_sealed(request.pmp, asked, keys, devices, rules, now)
    except ProblemError as problem:
        return _refused(problem, asked)


def register(body: bytes, devices: DeviceSource, rules: DeviceRules, now: float) -> Decision:
    """Decide over a device registration (individualization): a proof that the device holds its key."""
    asked = _Asked()
    try:
        try:
            device = sealed.verify_registration(body)
        except InvalidArgumentError as error:
            raise ProblemError(400, "request_malformed", error.what) from None
        asked.device_id = device.device_id
        _check_fresh(device, rules, now)
        if rules.enrolled_only and devices.enrolled(device.device_id) is not True:
            raise ProblemError(403, "device_refused", "this server takes devices only that its operator enrolled")
        devices.register(device, now)
    except ProblemError as problem:
        return _refused(problem, asked)
    told = b'{"device":"%b"}' % device.device_id.encode()
    return Decision(200, "application/json", told, "registered", device_id=device.device_id)


def _parse(body: bytes, asked: _Asked) -> LicenseRequest:
    try:
        body.decode()  # RFC 8259 8.1, also in the members that nobody reads
    except UnicodeDecodeError:
        raise ProblemError(400, "request_malformed", "the request is not UTF-8") from None
    try:
        request = parse_license_request(body)
        asked.kids = request.key_ids
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", ". ".join(filter(None, (error.what, error.remedy)))) from None
    if request.type != "temporary":
        # EME compares the type with the session's: another type must not be answered as if it were this one.
        raise ProblemError(400, "type_not_offered", "Clear Key knows licenses of type temporary here, and no others")
    return request


def _issue_plain(asked: _Asked, keys: KeySource, now: float) -> Decision:
    held = _held(asked.kids, keys)
    permit_plain({kid: found.policy for kid, found in held.items()}, now)
    body = encode_jwk_set({kid: held[kid].key for kid in asked.kids})
    return Decision(200, "application/json", body, kids=asked.kids)


def _issue_sealed(
    token: str, asked: _Asked, keys: KeySource, devices: DeviceSource, rules: DeviceRules, now: float
) -> Decision:
    try:
        request = sealed.verify_request(token)
    except InvalidArgumentError as error:
        raise ProblemError(400, "request_malformed", f"`pmp`: {error.what}") from None
    asked.device_id = request.device_id
    if set(request.kids) != set(asked.kids):
        raise ProblemError(400, "request_malformed", "`pmp` is signed over other key ids than `kids`")
    _check_fresh(request, rules, now)
    enrolled = _check_known(request, devices, rules)
    asked.level = f"{request.level} {'enrolled' if enrolled else 'self-asserted'}"
    held = _held(asked.kids, keys)
    policies = {kid: found.policy for kid, found in held.items()}
    permit_sealed(policies, now, level=request.level, enrolled=enrolled)
    # Last, so that a refused request costs no place among the remembered nonces.
    if not devices.spend(request, now, 2 * rules.freshness):
        raise ProblemError(403, "request_replayed", "a request with this nonce was answered before; make a new one")
    body = sealed.seal(request, {kid: held[kid].key for kid in asked.kids}, combine(policies.values()))
    return Decision(200, sealed.MEDIA_TYPE, body, "sealed", asked.kids, asked.device_id, asked.level)


def _held(kids: tuple[KeyId, ...], keys: KeySource) -> Mapping[KeyId, HeldKey]:
    held = keys.get_many(kids)
    unknown = [kid for kid in kids if kid not in held]
    if unknown:
        raise ProblemError(
            404, "key_unknown", f"no key is held for {len(unknown)} of the {len(kids)} key ids asked for", kids=unknown
        )
    return held


def _check_fresh(device: sealed.VerifiedDevice, rules: DeviceRules, now: float) -> None:
    if abs(now - device.issued_at) > rules.freshness:
        raise ProblemError(
            403,
            "request_stale",
            f"the request was signed {now - device.issued_at:.0f} seconds ago by this server's clock,"
            f" and {rules.freshness:.0f} are allowed; compare the clocks",
        )


def _check_known(device: sealed.VerifiedDevice, devices: DeviceSource, rules: DeviceRules) -> bool:
    enrolled = devices.enrolled(device.device_id)
    if rules.enrolled_only and not enrolled:
        raise ProblemError(403, "device_refused", "this server takes devices only that its operator enrolled")
    if enrolled is None:
        raise ProblemError(
            403, "individualization_required", "the device key is not known here yet", individualize=INDIVIDUALIZE
        )
    return enrolled


def _refused(problem: ProblemError, asked: _Asked) -> Decision:
    return Decision(
        problem.status, PROBLEM_TYPE, problem.body(), problem.code, asked.kids, asked.device_id, asked.level
    )
