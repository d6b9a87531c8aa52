"""Output policy: what a license allows, and whether an output may have what it asks for.

A policy travels inside the seal and is enforced in the worker. A member that this version does not know makes the
policy unreadable and so the license unusable: what cannot be enforced must not be ignored.
"""

from __future__ import annotations

import enum
import time

import msgspec

from drm.errors import LicenseExpiredError, LicenseMalformedError, OutputNotAllowedError

__all__ = ["PLAIN_LICENSE_POLICY", "Action", "Policy", "parse_policy"]


class Action(enum.StrEnum):
    """What an output does with decrypted media (MFPOLICYMANAGER_ACTION, with names of ours where it has none)."""

    PLAY = "play"  # PEACTION_PLAY: show, or reduce to hashes
    SNAPSHOT = "snapshot"  # still pictures leave the worker
    EXPORT = "export"  # PEACTION_EXPORT: clear media leaves the worker


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules of one license. Times are seconds since the epoch, UTC."""

    actions: tuple[Action, ...] = (Action.PLAY,)
    not_before: int | None = None
    expires: int | None = None
    min_level: int = 0  # isolation level of the worker, 0 to 3
    sealed_only: bool = False

    def check(self, action: Action, *, level: int, now: float | None = None) -> None:
        """Return if `action` is allowed now at this isolation level.

        Raises:
            LicenseExpiredError: before its start or after its end.
            OutputNotAllowedError: the action is not granted, or the worker's level is too low.
        """
        moment = time.time() if now is None else now
        if self.expires is not None and moment >= self.expires:
            raise LicenseExpiredError(
                f"the license expired {_utc(self.expires)}", remedy="ask the license server for a new license"
            )
        if self.not_before is not None and moment < self.not_before:
            raise LicenseExpiredError(
                f"the license is not valid before {_utc(self.not_before)}", maybe="this machine's clock is wrong"
            )
        if level < self.min_level:
            raise OutputNotAllowedError(
                f"the license demands isolation level {self.min_level}, and this worker has level {level}",
                remedy="clearkey doctor",
            )
        if action not in self.actions:
            granted = ", ".join(self.actions) or "nothing"
            raise OutputNotAllowedError(
                f"the license does not grant {action.value!r}",
                seen=f"it grants: {granted}",
                remedy="leave that output out, or have the license server grant it",
            )


PLAIN_LICENSE_POLICY = Policy(actions=(Action.PLAY, Action.SNAPSHOT))
"""What a plain JWK Set grants: Clear Key itself has no policy."""


def parse_policy(data: object) -> Policy:
    """Read a policy out of decoded JSON. Raises LicenseMalformedError for anything that cannot be enforced."""
    try:
        return msgspec.convert(data, Policy)
    except msgspec.ValidationError as error:
        raise LicenseMalformedError(
            f"the license's policy cannot be enforced here: {error}",
            maybe="the license server is newer than this player",
        ) from None


def _utc(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
