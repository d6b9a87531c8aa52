"""Stands for the sample grabber sink of Media Foundation: writes the time of each frame, in ms, as a line."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from drm.component import Frame, OutputTrustAuthority
from drm.media import TrackInfo
from drm.rights.output_schema import Connector, OutputAttribute
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action

__all__ = ["GrabSink"]


class GrabSink:
    """Frames at their time, unless the options say `rateless`."""

    def __init__(self) -> None:
        self.is_rateless = False
        self._descriptor: int | None = None
        self._scales: dict[int, int] = {}

    def load(self, stream: bytes) -> None:
        self.is_rateless = bool(msgspec.json.decode(stream).get("rateless"))

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        return (OutputTrust(Action.PLAY, OutputAttribute.DIGITAL | OutputAttribute.VIDEO, Connector.HDMI, []),)

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._scales = {track.track_id: track.timescale for track in tracks}

    def write(self, track_id: int, frame: Frame) -> None:
        os.write(self._descriptor, b"%d\n" % round(frame.pts * 1000 / self._scales[track_id]))

    def finish(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        if self._descriptor is not None:
            os.write(self._descriptor, b"closed\n")
            os.close(self._descriptor)
            self._descriptor = None
