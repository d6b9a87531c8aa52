"""When a license is issued, and under which rules: the server's half of a policy.

The worker enforces what travels inside the seal. A plain JWK Set carries no rules, so toward a client that asks for
one, a policy can only mean: issue, or refuse to.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Final

from drm.keys import KeyId
from drm.rights.policy import PLAIN_LICENSE_POLICY, Action, Policy, strictest
from license_server.problems import ProblemError

__all__ = ["DEFAULT_POLICY", "combine", "permit_plain", "permit_sealed"]

DEFAULT_POLICY: Final = PLAIN_LICENSE_POLICY
"""For a key that has no policy of its own: sealing a license must not take away what a plain one grants.

Whoever asks may have the key in clear then, so there is nothing that `extract` would give away.
"""


def combine(policies: Iterable[Policy]) -> Policy:
    """Return the policy that keeps all of `policies`: a license for several keys has one."""
    return strictest(policies)


def permit_plain(policies: Mapping[KeyId, Policy], now: float) -> None:
    """Return if a plain license may be issued at `now`. Raises ProblemError."""
    if all([policy is DEFAULT_POLICY for policy in policies.values()]):  # noqa: C419 - a list costs half of a generator
        return  # as nearly always, and it asks nothing
    sealed = [kid for kid, policy in policies.items() if policy.needs_worker]
    if sealed:
        raise ProblemError(
            403, "sealed_required", "the keys are issued to a protected media path only, sealed for it", kids=sealed
        )
    _permit_any(policies, now)


def permit_sealed(policies: Mapping[KeyId, Policy], now: float, *, level: int, enrolled: bool) -> None:
    """Return if a sealed license may be issued at `now` to a worker that claims `level`. Raises ProblemError.

    The claim of a device that nobody enrolled is its own word, and counts for nothing.
    """
    counted = level if enrolled else 0
    low = [kid for kid, policy in policies.items() if policy.min_level > counted]
    if low:
        wanted = max(policies[kid].min_level for kid in low)
        reason = (
            f"and the worker has level {level}" if enrolled else f"and level {level} is the word of the device alone"
        )
        cure = "" if enrolled else "; `clearkey keys devices --enrol ID` on the server makes its word count"
        raise ProblemError(403, "level_too_low", f"isolation level {wanted} is required, {reason}{cure}", kids=low)
    _permit_any(policies, now)


def _permit_any(policies: Mapping[KeyId, Policy], now: float) -> None:
    over = [kid for kid, policy in policies.items() if policy.expires is not None and now >= policy.expires]
    if over:
        raise ProblemError(403, "license_expired", f"the keys were to be had until {_until(policies, over)}", kids=over)
    early = [kid for kid, policy in policies.items() if policy.not_before is not None and now < policy.not_before]
    if early:
        raise ProblemError(403, "license_not_yet_valid", "the keys are not to be had yet", kids=early)
    idle = [kid for kid, policy in policies.items() if Action.PLAY not in policy.actions]
    if idle:
        raise ProblemError(403, "play_not_granted", "the policy of the keys grants no playback", kids=idle)


def _until(policies: Mapping[KeyId, Policy], kids: Iterable[KeyId]) -> str:
    ends = [policies[kid].expires or 0 for kid in kids]
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(min(ends)))
