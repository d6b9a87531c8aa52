"""Counts frames and lets nothing out: for playing a file through, and for measuring."""

from __future__ import annotations

from collections.abc import Sequence

from drm.component import Frame, OutputTrustAuthority
from drm.media import TrackInfo
from drm.policy import Action, Policy

__all__ = ["DiscardSink"]


class _PlayTrust:
    """Nothing leaves, so whatever allows playing allows this."""

    def get_action(self) -> Action:
        return Action.PLAY

    def set_policy(self, policy: Policy) -> None:
        """Nothing to apply."""


class DiscardSink:
    """The end of a branch that nobody looks at."""

    def __init__(self) -> None:
        self._frames = 0

    def load(self, stream: bytes) -> None:
        """It has no options."""

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        """One: play."""
        return (_PlayTrust(),)

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:
        """Nothing to get ready."""

    def write(self, track_id: int, frame: Frame) -> None:  # noqa: ARG002 - Sink's signature
        """Count it."""
        self._frames += 1

    def close(self) -> dict[str, int]:
        """Say how many there were."""
        return {"frames": self._frames}
