"""Output policy: what a license allows, and whether an output may have what it asks for.

A policy travels inside the seal and is enforced in the worker. A member that this version does not know makes the
policy unreadable and so the license unusable: what cannot be enforced must not be ignored.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable
from functools import reduce
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from drm.errors import LicenseExpiredError, LicenseMalformedError, OutputNotAllowedError
from drm.keys import KeyId
from drm.media import TrackType

__all__ = ["CONSTRICTED", "PLAIN_LICENSE_POLICY", "Action", "Policy", "parse_policy", "strictest"]

CONSTRICTED: Final = 520_000
"""Pixels of a picture that a license with plain `constrict` lets out at most (MFPROTECTION_CONSTRICTVIDEO)."""

_LAST_MOMENT: Final = 253_402_300_799  # 9999-12-31 23:59:59 UTC: what calendars and databases hold
_LARGEST: Final = 2**31 - 1
_Seconds: TypeAlias = Annotated[int, Meta(gt=0, le=_LAST_MOMENT)]
_Moment: TypeAlias = Annotated[int, Meta(ge=0, le=_LAST_MOMENT)]
_Pixels: TypeAlias = Annotated[int, Meta(ge=16, le=_LARGEST)]
_Version: TypeAlias = Annotated[int, Meta(ge=0, le=_LARGEST)]
_Kinds: TypeAlias = Annotated[tuple[TrackType, ...], Meta(max_length=8)]
_Tracks: TypeAlias = Annotated[dict[Annotated[str, Meta(max_length=36)], _Kinds], Meta(max_length=1024)]


class Action(enum.StrEnum):
    """What an output does with decrypted media (MFPOLICYMANAGER_ACTION, with names of ours where it has none)."""

    PLAY = "play"  # PEACTION_PLAY: show; nothing of it leaves the worker
    SNAPSHOT = "snapshot"  # still pictures leave the worker
    HASH = "hash"  # a hash of each frame leaves the worker
    EXPORT = "export"  # PEACTION_EXPORT: clear media leaves the worker
    COPY = "copy"  # PEACTION_COPY
    EXTRACT = "extract"  # PEACTION_EXTRACT: hand the data to the application; granted, it is nothing to hide from it
    NO = "no"  # PEACTION_NO: nothing is done with it


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules of one license. Times are seconds since the epoch, UTC.

    The output rules are ordered: a larger number asks for more, of `constrict` a smaller one (False: nothing).
    """

    actions: Annotated[tuple[Action, ...], Meta(max_length=16)] = (Action.PLAY,)
    not_before: _Moment | None = None
    expires: _Moment | None = None
    min_level: Annotated[int, Meta(ge=0, le=3)] = 0  # isolation level of the worker, 0 to 3
    sealed_only: bool = False
    hdcp: Annotated[int, Meta(ge=0, le=2)] = 0  # 0: none, 1: any version, 2: type 1
    cgms_a: Annotated[int, Meta(ge=0, le=6)] = 0  # 1-3: best effort, 4-6: required; freely, one generation, never
    digital_only: Annotated[int, Meta(ge=0, le=1)] = 0  # 1: no analog output
    constrict: bool | _Pixels = False  # True: to 520,000 pixels a picture; a number: to so many
    play_duration: _Seconds | None = None  # from the first sample that is decrypted to be played
    rental: _Seconds | None = None  # from the moment at which the license reached the worker
    renew_before: _Seconds | None = None  # so long before its end a new license is asked for; None: at the end
    min_revocation_list: _Version = 0  # version of the revocation list (GetMinimumGRLVersion)
    max_revocation_age: _Seconds | None = None  # since the list's publisher last signed that it is the newest
    allow_test_signed: bool = True  # components that another root vouches for than the one the package pins
    allow_stale: bool = True  # a list, or what carries it, that is past its end
    tracks: _Tracks = {}  # KID as `KeyId` writes it: the kinds of tracks that its key is for

    def __post_init__(self) -> None:
        """Raise ValueError for a KID in `tracks` that is spelled otherwise: its rule would hold for no key."""
        for kid in self.tracks:
            if str(KeyId.parse(kid)) != kid:
                raise ValueError(f"`tracks` names a KID as {kid!r}, and not as {KeyId.parse(kid)}")

    @property
    def pixels(self) -> int:
        """So many a picture may have; 0: any number."""
        return CONSTRICTED if self.constrict is True else int(self.constrict)

    @property
    def asks_of_outputs(self) -> bool:
        """Whether an output must do anything at all."""
        return bool(self.hdcp or self.cgms_a or self.digital_only or self.pixels)

    @property
    def needs_worker(self) -> bool:
        """Whether it holds rules that only a protected media path can keep: a plain license would lose them."""
        counted = self.play_duration or self.rental or self.min_level
        return bool(self.sealed_only or counted or self.asks_of_outputs or self.asks_of_trust or self.tracks)

    @property
    def asks_of_trust(self) -> bool:
        """Whether it holds rules about the worker's components and the revocation list that they were held against."""
        listed = self.min_revocation_list or self.max_revocation_age is not None
        return bool(listed or not self.allow_test_signed or not self.allow_stale)

    def is_stricter_than(self, other: Policy) -> bool:
        """Whether outputs that do what `other` asks may fall short of this: any of the rules is larger."""
        return (
            self.hdcp > other.hdcp
            or self.cgms_a > other.cgms_a
            or self.digital_only > other.digital_only
            or 0 < self.pixels < (other.pixels or self.pixels + 1)
            or (Action.EXTRACT in other.actions and Action.EXTRACT not in self.actions)
        )

    def with_output_rules_of(self, other: Policy) -> Policy:
        """This policy, asking of outputs what either asks: an earlier key may come back while outputs stay as set."""
        both = strictest((self, other))
        return msgspec.structs.replace(
            self, hdcp=both.hdcp, cgms_a=both.cgms_a, digital_only=both.digital_only, constrict=both.constrict
        )

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
            wanted = ",".join((*self.actions, action))
            raise OutputNotAllowedError(
                f"the license does not grant {action.value!r}",
                seen=f"it grants: {granted}",
                remedy="leave that output out, or have the license server grant it: "
                f"`clearkey keys policy KID --actions {wanted}` (docs/how-to/license-server.md)",
            )


PLAIN_LICENSE_POLICY = Policy(actions=(Action.PLAY, Action.SNAPSHOT, Action.HASH, Action.EXTRACT))
"""What a plain JWK Set grants: all that there is. Clear Key itself has no policy, and the application has the key."""


def parse_policy(data: object) -> Policy:
    """Read a policy out of decoded JSON. Raises LicenseMalformedError for anything that cannot be enforced."""
    try:
        return msgspec.convert(data, Policy)
    except msgspec.ValidationError as error:
        raise LicenseMalformedError(
            f"the license's policy cannot be enforced here: {error}",
            maybe="the license server is newer than this player",
        ) from None


def strictest(policies: Iterable[Policy]) -> Policy:
    """The policy that keeps all of `policies`, of which there is at least one."""
    return reduce(_both, policies)


def _both(one: Policy, other: Policy) -> Policy:
    def least(*values: int | None) -> int | None:
        return min((value for value in values if value is not None), default=None)

    starts = [moment for moment in (one.not_before, other.not_before) if moment is not None]
    pixels = least(one.pixels or None, other.pixels or None)
    return Policy(
        actions=tuple(action for action in one.actions if action in other.actions),
        not_before=max(starts, default=None),
        expires=least(one.expires, other.expires),
        min_level=max(one.min_level, other.min_level),
        sealed_only=one.sealed_only or other.sealed_only,
        hdcp=max(one.hdcp, other.hdcp),
        cgms_a=max(one.cgms_a, other.cgms_a),
        digital_only=max(one.digital_only, other.digital_only),
        constrict=True if pixels == CONSTRICTED else pixels or False,
        play_duration=least(one.play_duration, other.play_duration),
        rental=least(one.rental, other.rental),
        renew_before=max((each for each in (one.renew_before, other.renew_before) if each is not None), default=None),
        min_revocation_list=max(one.min_revocation_list, other.min_revocation_list),
        max_revocation_age=least(one.max_revocation_age, other.max_revocation_age),
        allow_test_signed=one.allow_test_signed and other.allow_test_signed,
        allow_stale=one.allow_stale and other.allow_stale,
        tracks=_kinds_of_both(one.tracks, other.tracks),
    )


def _kinds_of_both(
    one: dict[str, tuple[TrackType, ...]], other: dict[str, tuple[TrackType, ...]]
) -> dict[str, tuple[TrackType, ...]]:
    if not one or not other:
        return one or other
    return {
        kid: tuple(kind for kind in one.get(kid, other.get(kid, ())) if kind in other.get(kid, one.get(kid, ())))
        for kid in one | other
    }


def _utc(moment: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
