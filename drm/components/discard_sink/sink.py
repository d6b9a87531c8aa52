"""Counts frames and lets nothing out: for playing a file through, and for measuring."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drm.component import Frame, OutputTrustAuthority
from drm.errors import InvalidArgumentError
from drm.media import TrackInfo
from drm.policy import Action, Policy

__all__ = ["DiscardSink"]


class _PlayTrust:
    """Nothing leaves, so whatever allows playing allows this."""

    def get_action(self) -> Action:
        return Action.PLAY

    def set_policy(self, policy: Policy) -> None:
        """Nothing to apply."""


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`in_time`: take each frame at its presentation time, as a screen does, and not as fast as they come."""

    in_time: bool = False


class DiscardSink:
    """The end of a branch that nobody looks at."""

    def __init__(self) -> None:
        self._frames = 0
        self._options = _Options()

    @property
    def is_rateless(self) -> bool:
        """Unless it was told to take its time."""
        return not self._options.in_time

    def load(self, stream: bytes) -> None:
        """Read the options. Raises InvalidArgumentError."""
        try:
            self._options = msgspec.json.decode(stream, type=_Options)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidArgumentError(f"the options of the discard sink are wrong: {error}") from None

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        """One: play."""
        return (_PlayTrust(),)

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:
        """Nothing to get ready."""

    def write(self, track_id: int, frame: Frame) -> None:  # noqa: ARG002 - Sink's signature
        """Count it."""
        self._frames += 1

    def finish(self) -> dict[str, int]:
        """Say how many there were."""
        return {"frames": self._frames}

    def close(self) -> None:
        """Nothing is held."""
