"""Who a device is: its registration (individualization), and whether its sealed requests are taken."""

from __future__ import annotations

from typing import Final

from drm.errors import InvalidArgumentError
from drm.license import sealed
from license_server.decisions import Decision, DeviceRules, DeviceSource, KeyRequest, RequestFacts, refusal
from license_server.problems import ProblemError

__all__ = ["check_fresh", "check_known", "register"]

INDIVIDUALIZE: Final = "individualize"
"""Where devices register, relative to the license URL: it holds behind any prefix of a proxy."""


def register(ask: KeyRequest, devices: DeviceSource, rules: DeviceRules, now: float) -> Decision:
    """Decide over a device registration: a proof that the device holds its key."""
    facts = RequestFacts()
    try:
        try:
            device = sealed.verify_registration(ask.body)
        except InvalidArgumentError as error:
            raise ProblemError(400, "request_malformed", error.what) from None
        facts.device_id = device.device_id
        check_fresh(device, rules, now)
        enrolled = devices.enrolled(device.device_id)  # also says that it is revoked
        if rules.enrolled_only and enrolled is not True:
            raise ProblemError(403, "device_refused", "this server takes devices only that its operator enrolled")
        devices.register(device, now)
    except ProblemError as problem:
        return refusal(problem, facts)
    body = b'{"device":"%b"}' % device.device_id.encode()
    return Decision(200, "application/json", body, "registered", device_id=device.device_id)


def check_fresh(device: sealed.VerifiedDevice, rules: DeviceRules, now: float) -> None:
    """Return if the request was signed about now. Raises ProblemError."""
    if abs(now - device.issued_at) > rules.freshness:
        raise ProblemError(
            403,
            "request_stale",
            f"the request was signed {now - device.issued_at:.0f} seconds ago by this server's clock,"
            f" and {rules.freshness:.0f} are allowed; compare the clocks",
        )


def check_known(device: sealed.VerifiedDevice, devices: DeviceSource, rules: DeviceRules) -> bool:
    """Return whether somebody vouched for the device. Raises ProblemError when it may not ask, or not yet."""
    enrolled = devices.enrolled(device.device_id)
    if rules.enrolled_only and not enrolled:
        raise ProblemError(403, "device_refused", "this server takes devices only that its operator enrolled")
    if enrolled is None:
        raise ProblemError(
            403, "individualization_required", "the device key is not known here yet", individualize=INDIVIDUALIZE
        )
    return enrolled
