"""One PNG of chosen moments: a single picture, or a contact sheet. Pictures leave only under the `snapshot` action.

The sheet is put together in RGB rows and encoded by libav's own PNG encoder, inside the worker.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, cast

import msgspec
from av.codec.context import CodecContext
from av.video.frame import VideoFrame as AvVideoFrame

from drm.component import Frame, OutputTrustAuthority, VideoFrame
from drm.descriptors import write_all
from drm.errors import InvalidArgumentError, MediaError
from drm.media import TrackInfo, TrackType
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action

__all__ = ["SnapshotSink"]

_WIDEST: Final = 8192  # pixels of one picture
_GAP: Final = 8  # pixels between the pictures of a sheet
_BACKGROUND: Final = b"\x14\x16\x1a"


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    times: tuple[float, ...]  # seconds of presentation, rising
    columns: int = 4
    width: int = 0  # pixels of one picture; 0: as it is


class SnapshotSink:
    """Keeps the first frame at or after each asked time, and writes them as one PNG at the end."""

    def __init__(self) -> None:
        self._options = _Options((0.0,))
        self._descriptor = -1
        self._timescale = 1
        self._video = 0
        self._kept: list[AvVideoFrame] = []
        self._last: AvVideoFrame | None = None
        self._written = 0

    @property
    def is_rateless(self) -> bool:
        """It takes frames as fast as they come."""
        return True

    def load(self, stream: bytes) -> None:
        """Read `times`, `columns` and `width`. Raises InvalidArgumentError."""
        try:
            self._options = msgspec.json.decode(stream, type=_Options)
        except msgspec.DecodeError as error:
            raise InvalidArgumentError(f"the options of the snapshot sink are off: {error}") from None
        if not (0 < len(self._options.times) <= 64 and 0 < self._options.columns <= 16):
            raise InvalidArgumentError("a contact sheet has 1 to 64 pictures in 1 to 16 columns")
        if not 0 <= self._options.width <= _WIDEST:
            raise InvalidArgumentError(f"a picture of a snapshot is up to {_WIDEST} pixels wide; 0 keeps its size")

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        """One: snapshot. Pictures leave: the license must grant exactly that."""
        return (OutputTrust(Action.SNAPSHOT),)

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:
        """Take the first video track. Raises InvalidArgumentError without one, or without a descriptor."""
        video = next((track for track in tracks if track.type is TrackType.VIDEO), None)
        if video is None or descriptor is None:
            raise InvalidArgumentError("a snapshot needs a video track and a descriptor to write to")
        self._descriptor = descriptor
        self._timescale = max(1, video.timescale)
        self._video = video.track_id

    def write(self, track_id: int, frame: Frame) -> None:
        """Keep the frame if its moment has come; only then is it scaled down and copied."""
        if track_id != self._video or not isinstance(frame, VideoFrame):
            return
        native = cast("AvVideoFrame", frame.native)
        self._last = native
        wanted = self._options.times
        if len(self._kept) < len(wanted) and frame.pts / self._timescale >= wanted[len(self._kept)]:
            self._kept.append(self._small(native))

    def finish(self) -> dict[str, int]:
        """Encode and write the PNG, the first time. Raises MediaError when no picture was shown."""
        if self._written:
            return {"pictures": self._written}
        if not self._kept and self._last is not None:
            self._kept.append(self._small(self._last))
        self._last = None
        if not self._kept:
            raise MediaError("no picture was presented, so there is no snapshot")
        write_all(self._descriptor, _png(_sheet(self._kept, min(self._options.columns, len(self._kept)))))
        self._written = len(self._kept)
        self._kept.clear()
        return {"pictures": self._written}

    def close(self) -> None:
        """Close the descriptor; what is not finished is not written."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _small(self, frame: AvVideoFrame) -> AvVideoFrame:
        width = self._options.width or frame.width
        height = max(1, round(frame.height * width / frame.width))
        return frame.reformat(width=width, height=height, format="rgb24")


def _sheet(pictures: Sequence[AvVideoFrame], columns: int) -> AvVideoFrame:
    if len(pictures) == 1:
        return pictures[0]
    width, height = pictures[0].width, pictures[0].height
    rows = -(-len(pictures) // columns)
    full_width = columns * width + (columns + 1) * _GAP
    full_height = rows * height + (rows + 1) * _GAP
    sheet = AvVideoFrame(full_width, full_height, "rgb24")
    plane = sheet.planes[0]
    canvas = bytearray(_BACKGROUND * full_width * full_height)
    for index, picture in enumerate(pictures):
        left = _GAP + index % columns * (width + _GAP)
        top = _GAP + index // columns * (height + _GAP)
        data = memoryview(picture.planes[0])
        stride = picture.planes[0].line_size
        for row in range(min(height, picture.height)):
            start = ((top + row) * full_width + left) * 3
            canvas[start : start + width * 3] = data[row * stride : row * stride + width * 3]
    stride = plane.line_size
    padded = bytearray(stride * full_height)
    for row in range(full_height):
        padded[row * stride : row * stride + full_width * 3] = canvas[row * full_width * 3 : (row + 1) * full_width * 3]
    plane.update(bytes(padded))
    return sheet


def _png(picture: AvVideoFrame) -> bytes:
    encoder = CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = picture.width, picture.height, "rgb24"
    encoder.framerate = 1  # type: ignore[assignment]  # PyAV makes a fraction of it
    encoder.thread_count = 1
    picture.pts = 0
    packets = [*encoder.encode(picture), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)
