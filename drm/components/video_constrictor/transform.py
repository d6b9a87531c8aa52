"""Scales pictures down to a number of pixels (MFPROTECTION_CONSTRICTVIDEO), with libswscale, inside the worker.

The policy engine puts it behind all other transforms of a branch whose license asks for it, before any sink.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
from av.video.frame import VideoFrame as AvVideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from drm.component import Frame, VideoFrame
from drm.errors import InvalidArgumentError
from drm.media import TrackInfo
from drm.rights.output_policy import constricted

__all__ = ["VideoConstrictor"]


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pixels: int  # of a picture, at most


class VideoConstrictor:
    """One for each branch. A picture that is small enough goes through untouched."""

    def __init__(self) -> None:
        self._pixels = 1
        self._reformatter = VideoReformatter()

    def load(self, stream: bytes) -> None:
        """Read `pixels`; it may be told a new number in mid-play. Raises InvalidArgumentError."""
        try:
            self._pixels = msgspec.json.decode(stream, type=_Options).pixels
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidArgumentError(f"the options of the constrictor are wrong: {error}") from None
        if self._pixels < 1:
            raise InvalidArgumentError(f"a picture of {self._pixels} pixels is none")

    def process(self, track: TrackInfo, frame: Frame) -> Sequence[Frame]:  # noqa: ARG002 - Transform's signature
        """Return the frame, of the same format and time, with at most so many pixels."""
        if not isinstance(frame, VideoFrame):
            return (frame,)
        width, height = constricted(frame.width, frame.height, self._pixels)
        if (width, height) == (frame.width, frame.height):
            return (frame,)
        native = cast("AvVideoFrame", frame.native)
        small = self._reformatter.reformat(native, width, height, interpolation=Interpolation.BILINEAR)
        return (VideoFrame(frame.pts, frame.duration, width, height, frame.format, small),)

    def flush(self) -> None:
        """Nothing is inside."""
