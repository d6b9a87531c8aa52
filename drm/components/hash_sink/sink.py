"""One MD5 per frame, in the format of FFmpeg's framemd5 muxer: no picture, and an answer to whoever guesses one.

Pictures are hashed as packed planes in their own pixel format, sound as interleaved 16-bit samples, which is what
`ffmpeg -f framemd5` hashes. Times are in the track's timescale, edit list applied.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from av.audio.frame import AudioFrame as AvAudioFrame
from av.audio.resampler import AudioResampler
from av.video.frame import VideoFrame as AvVideoFrame

from drm.component import AudioFrame, Frame, OutputTrustAuthority, VideoFrame
from drm.descriptors import write_all
from drm.errors import DRMError, InvalidArgumentError, OutputNotAllowedError
from drm.media import TrackInfo, TrackType
from drm.rights.output_policy import OutputPolicy
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action

if TYPE_CHECKING:
    from av.video.plane import VideoPlane

__all__ = ["HashSink"]

_SMALLEST: Final = 64  # bytes


class HashSink:
    """Writes framemd5 lines to the descriptor that the application handed in."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._read_on = True  # until the reader of a pipe goes away
        self._index: dict[int, int] = {}
        self._lines: list[str] = []
        self._resamplers: dict[int, AudioResampler] = {}
        self._frames = 0
        self._smallest: dict[int, int] = {}  # bytes of a frame that may be hashed, by track; clear ones: any number

    @property
    def is_rateless(self) -> bool:
        """It takes frames as fast as they come."""
        return True

    def load(self, stream: bytes) -> None:
        """It has no options."""

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        """One: hash. A hash tells whoever guesses a frame whether that is it, so the right to play is not enough."""
        return (OutputTrust(Action.HASH, told=self._told),)

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:
        """Write the header. Raises InvalidArgumentError without a descriptor."""
        if descriptor is None:
            raise InvalidArgumentError("the hash sink needs a descriptor to write to")
        self._descriptor = descriptor
        self._index = {track.track_id: index for index, track in enumerate(tracks)}
        self._lines += ["#format: frame checksums", "#version: 2", "#hash: MD5", "#software: clearkey"]
        for track in tracks:
            self._lines += _header(self._index[track.track_id], track)
        self._lines.append("#stream#, dts,        pts, duration,     size, hash")

    def _told(self, track_id: int, policies: Sequence[OutputPolicy]) -> None:
        """A license that does not let the application have the samples: no frame is hashed that trying would find."""
        lends = all(policy.rules is not None and Action.EXTRACT in policy.rules.actions for policy in policies)
        self._smallest[track_id] = 0 if lends else _SMALLEST

    def write(self, track_id: int, frame: Frame) -> None:
        """Hash one frame. Raises OutputNotAllowedError: it is too small for that under its license."""
        if isinstance(frame, VideoFrame):
            size, digest = _picture(cast("AvVideoFrame", frame.native))
            self._line(track_id, frame, size, digest)
        else:
            size, digest = self._sound(track_id, frame)
            if size:
                self._line(track_id, frame, size, digest)

    def finish(self) -> dict[str, int]:
        """Write what is left. Played again, it goes on behind that."""
        self._flush()
        return {"frames": self._frames}

    def close(self) -> None:
        """Close the descriptor; lines that were not written yet are written if they can be."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(DRMError):
            self._flush()
        os.close(self._descriptor)
        self._descriptor = -1

    def _line(self, track_id: int, frame: Frame, size: int, digest: str) -> None:
        if size < self._smallest.get(track_id, 0):
            raise OutputNotAllowedError(
                f"a frame of {size} bytes is not hashed under a license that does not grant 'extract'",
                where=f"track {track_id}",
                seen=f"so few bytes are found by trying; from {_SMALLEST} bytes on a frame is hashed",
                remedy="play it without hashes, or have the license server grant 'extract'",
            )
        times = f"{self._index[track_id]}, {frame.pts:10d}, {frame.pts:10d}, {frame.duration:8d}"
        self._lines.append(f"{times}, {size:8d}, {digest}")
        self._frames += 1
        if len(self._lines) >= 256:
            self._flush()

    def _flush(self) -> None:
        if self._read_on:
            self._read_on = write_all(self._descriptor, "".join(line + "\n" for line in self._lines).encode())
        self._lines.clear()

    def _sound(self, track_id: int, frame: AudioFrame) -> tuple[int, str]:
        native = cast("AvAudioFrame", frame.native)
        if native.format.name != "s16":
            resampler = self._resamplers.get(track_id)
            if resampler is None:
                resampler = self._resamplers[track_id] = AudioResampler(format="s16")
            converted = resampler.resample(native)
            if not converted:
                return 0, ""
            native = converted[0]
        used = native.samples * native.layout.nb_channels * 2
        skipped = frame.skip * native.layout.nb_channels * 2
        data = memoryview(native.planes[0])[skipped:used]
        return len(data), hashlib.md5(data, usedforsecurity=False).hexdigest()


def _header(index: int, track: TrackInfo) -> list[str]:
    lines = [f"#tb {index}: 1/{track.timescale}"]
    if track.type is TrackType.VIDEO:
        lines += [f"#media_type {index}: video", f"#codec_id {index}: rawvideo"]
        lines += [f"#dimensions {index}: {track.width}x{track.height}"]
    else:
        lines += [f"#media_type {index}: audio", f"#codec_id {index}: pcm_s16le"]
        lines += [f"#sample_rate {index}: {track.sample_rate}"]
    return lines


def _picture(frame: AvVideoFrame) -> tuple[int, str]:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    for plane, (width, height) in zip(frame.planes, _plane_sizes(frame), strict=True):
        data = memoryview(plane)
        stride = plane.line_size
        if stride == width:
            digest.update(data[: width * height])
        else:
            for row in range(height):
                digest.update(data[row * stride : row * stride + width])
        size += width * height
    return size, digest.hexdigest()


def _plane_sizes(frame: AvVideoFrame) -> list[tuple[int, int]]:
    """Bytes per row and rows of each plane, without the padding of the decoder's memory."""
    sizes = []
    planes: Sequence[VideoPlane] = frame.planes
    components = frame.format.components
    for index, plane in enumerate(planes):
        mine = [part for part in components if part.plane == index]
        bits = max(part.bits for part in mine)
        # Packed formats keep all their components in one plane; planar ones have one each.
        sizes.append((plane.width * ((bits + 7) // 8) * len(mine), plane.height))
    return sizes
