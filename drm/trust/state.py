"""What the components of a worker are worth at this moment, and whether that is enough for a license.

Pure; the clock is an argument. A license judges here, in the worker: the application cannot leave the question out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from drm.errors import RestartRequiredError
from drm.rights.enablers import EnablerActivate, EnableType
from drm.rights.policy import Policy
from drm.trust.errors import ListTooOldError, TestSignedError
from drm.trust.freshness import Freshness, trusted_now
from drm.trust.renewal import Renewals, encode_renewals
from drm.trust.verifier import VerifiedTrust

__all__ = ["NOTHING_VERIFIED", "TrustState", "check_demands", "state_of"]


@dataclass(frozen=True, slots=True)
class TrustState:
    """Of one worker, now."""

    is_test_signed: bool  # another root vouches for any of its components than the one that its package pins
    revocation_list: int  # number of the list; 0: there is none
    list_age: float  # seconds since its publisher last signed that it is the newest
    freshness: Freshness
    revoked: str = ""  # what runs here and is on the list by now, and why


NOTHING_VERIFIED: Final = TrustState(
    is_test_signed=True, revocation_list=0, list_age=float("inf"), freshness=Freshness.EXPIRED
)
"""Of a process that verified no metadata: an unprotected worker, an application."""


def state_of(
    trust: VerifiedTrust, *, is_test_signed: bool, refreshed: datetime | None, clock: datetime, revoked: str = ""
) -> TrustState:
    """Return the state at `clock`. `refreshed`: when a server confirmed the metadata, by the application's word.

    That word makes nothing younger, for nobody signs it. It only says that the clock was later once than it is now, and
    is held to the timestamp's end, after which no server confirms it.
    """
    if refreshed is not None:
        refreshed = min(refreshed, trust.expiries["timestamp"])
    now = trusted_now(clock, refreshed, trust.issued)
    age = (now - trust.issued).total_seconds()
    return TrustState(is_test_signed, trust.revocations.version, age, trust.freshness(now), revoked)


def check_demands(policy: Policy, state: TrustState) -> None:
    """Return if the license of `policy` may be used in a worker of this state.

    Raises:
        TestSignedError: it takes no test-signed components.
        RestartRequiredError: it asks for the list, which revokes what runs here.
        ListTooOldError: the list's number is too low, it is too old, or past its end; with the enabler that renews it.
    """
    if state.is_test_signed and not policy.allow_test_signed:
        raise TestSignedError(
            "the license takes no test-signed components, and this worker runs some",
            maybe="clearkey runs from its sources here, or components of your own were added",
            remedy="install a released package, and add no components",
        )
    if state.revoked and policy.asks_of_trust:
        # Whoever wants a list wants what it says; other licenses let what plays play on.
        raise RestartRequiredError(
            "the license demands a revocation list, and the one in force revokes what runs in this process",
            seen=state.revoked,
            remedy="end this worker, and make the session in a new one",
        )
    if state.revocation_list < policy.min_revocation_list:
        raise _too_old(
            f"the license demands revocation list {policy.min_revocation_list}",
            f"list {state.revocation_list} is in force" if state.revocation_list else "no list is in force",
            policy.min_revocation_list,
            state,
        )
    if policy.max_revocation_age is not None and state.list_age > policy.max_revocation_age:
        raise _too_old(
            f"the license demands a revocation list that is at most {policy.max_revocation_age} s old",
            f"the publisher signed list {state.revocation_list} as the newest {state.list_age:.0f} s ago",
            0,
            state,
        )
    if state.freshness is not Freshness.FRESH and not policy.allow_stale:
        raise _too_old(
            "the license demands a revocation list that has not expired",
            f"list {state.revocation_list} is {state.freshness.value}",
            0,
            state,
        )


def _too_old(what: str, seen: str, demanded: int, state: TrustState) -> ListTooOldError:
    error = ListTooOldError(what, seen=seen, remedy="run `clearkey components update`")
    data = encode_renewals(Renewals(list_demanded=demanded, list_held=state.revocation_list))
    error.enabler_activate = EnablerActivate(EnableType.UPDATE_REVOCATION_INFORMATION, (), data)
    return error
