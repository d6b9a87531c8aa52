"""Packets to frames with libavcodec. The decrypter writes straight into the packet's own memory."""

from __future__ import annotations

import errno
import mmap
import os
from fractions import Fraction
from typing import Any, Final

import av
import av.error
from av.audio.frame import AudioFrame as AvAudioFrame
from av.codec.context import CodecContext
from av.video.frame import VideoFrame as AvVideoFrame

from drm.component import AudioFrame, Frame, PacketBuffer, VideoFrame
from drm.errors import MediaError, MemoryLimitError, UnsupportedMediaError
from drm.media import Sample, TrackInfo
from drm.worker_memory import DEFAULT_MEMORY, memory_error, private_limit, private_share

__all__ = ["AvDecoder"]

_STRICT: Final = {"err_detect": "explode"}
_BYTES_A_PIXEL: Final = 24  # sixteen pictures, the most that a stream may refer to, of 4:2:0 in eight bits
_LARGE: Final = 4  # bytes a pixel of a large picture: 4:4:4, with what a decoder notes beside it
_HELD: Final = 16  # pictures that one thread may hold, with those that wait to be shown
_MOST_THREADS: Final = 16
_WORKER: Final = 96 << 20  # bytes that a worker has before it plays anything


class _Packet:
    """A packet whose memory libavcodec owns, padded as it wants it.

    Never made over memory that is used again: a frame-threaded decoder may still read it.
    """

    def __init__(self, size: int) -> None:
        self.packet = av.Packet(size)

    def view(self) -> memoryview:
        return memoryview(self.packet)


class AvDecoder:
    """One decoder for one track."""

    def __init__(self) -> None:
        self._context: CodecContext | None = None
        self._time_base = Fraction(1)
        self._track: TrackInfo | None = None
        self._strict = False
        self._low_latency = False
        self._most_pixels = 0

    def set_low_latency(self) -> None:
        """Before `open` (MF_LOW_LATENCY): give each picture as soon as its packet and its order allow.

        Threads that decode several pictures at a time are faster, and hold as many back.
        """
        self._low_latency = True

    def open(self, track: TrackInfo, *, strict: bool = False) -> None:
        """Get ready for `track`. Raises UnsupportedMediaError when no decoder is known for its codec."""
        self._track, self._strict = track, strict
        self._time_base = Fraction(1, max(1, track.timescale))
        self._context = self._make(track, track.codec_config, strict=strict)

    def _make(self, track: TrackInfo, config: bytes, *, strict: bool) -> CodecContext:
        try:
            context = CodecContext.create(track.decoder, "r")
        except (av.error.FFmpegError, ValueError):
            raise UnsupportedMediaError(
                f"there is no decoder for {track.codec!r}",
                where=f"track {track.track_id}",
                remedy="leave the track out, or convert it to a codec that FFmpeg decodes",
            ) from None
        if config:
            context.extradata = config
        limit = private_limit() or private_share(DEFAULT_MEMORY)
        self._most_pixels = limit // _BYTES_A_PIXEL
        context.options = (_STRICT if strict else {}) | _wave_options(track) | {"max_pixels": str(self._most_pixels)}
        if strict:
            # One thread, so that an error belongs to the packet that was just given.
            context.thread_count = 1
        elif context.type == "video":
            context.thread_type = "SLICE" if self._low_latency else "AUTO"
            context.thread_count = _threads(track, limit)
        return context

    def buffer(self, size: int) -> PacketBuffer:
        """New memory for one packet."""
        return _Packet(size)

    def decode(self, buffer: PacketBuffer, sample: Sample) -> list[Frame]:
        """Decode one packet. Raises MediaError when libavcodec finds it damaged."""
        assert isinstance(buffer, _Packet)
        packet = buffer.packet
        packet.time_base = self._time_base
        packet.dts = sample.dts
        packet.pts = sample.dts + sample.cts_offset
        packet.duration = sample.duration
        packet.is_keyframe = sample.is_sync
        return self._run(packet)

    def drain(self) -> list[Frame]:
        """Give what is still inside."""
        return self._run(None)

    def flush(self) -> None:
        """Forget what is inside; the next packet is a sync sample."""
        if self._context is None or self._track is None:
            return
        if self._context.type == "audio":
            # FFmpeg's AAC decoder keeps its noise generator's state over a flush: the same sound would come out
            # differently the second time. A new one costs a tenth of a millisecond.
            self._context = self._make(self._track, self._track.codec_config, strict=self._strict)
        else:
            self._context.flush_buffers()

    def _run(self, packet: av.Packet[Any] | None) -> list[Frame]:
        assert self._context is not None
        try:
            frames = self._context.decode(packet)  # type: ignore[attr-defined]  # audio and video contexts have it
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            track = self._track
            assert track is not None
            if (too_large := self._too_large(error, track)) is not None:
                raise too_large from None
            raise MediaError(
                f"the {track.decoder} decoder finds the media damaged",
                where=f"track {track.track_id}",
                seen=error.strerror or type(error).__name__,
            ) from None
        return [found for frame in frames if (found := self._frame(frame)) is not None]

    def _too_large(self, error: av.error.FFmpegError, track: TrackInfo) -> MemoryLimitError | None:
        """Whether memory is what was missing, or would have been: a picture over the limit is not even begun."""
        context, where = self._context, f"track {track.track_id}"
        assert context is not None
        width, height = (getattr(context, name, 0) for name in ("coded_width", "coded_height"))
        if width * height > self._most_pixels:
            return memory_error(
                f"a picture of {width}x{height} is larger than the worker's memory allows",
                where=where,
                seen=f"{width * height} pixels, and {self._most_pixels} is the most",
                private=width * height * _BYTES_A_PIXEL,
            )
        # H.264 calls a picture damaged that it had no memory for, and has let go of it by now: is there any for two?
        if isinstance(error, MemoryError) or not _has_room(2 * width * height * _LARGE):
            return memory_error(where=where, seen=f"the {track.decoder} decoder was refused memory")
        # FFmpeg's own decoders forget a size that is refused, dav1d has an error for it; damaged packets have others.
        refused = error.errno == errno.ERANGE or (error.errno == errno.EINVAL and not width)
        if context.type == "video" and refused:
            return memory_error(
                f"a picture is larger than the worker's memory allows, which is {self._most_pixels} pixels",
                where=where,
                seen=error.strerror or "",
            )
        return None

    def _frame(self, frame: object) -> Frame | None:
        track = self._track
        assert track is not None
        if isinstance(frame, AvVideoFrame):
            return VideoFrame(frame.pts or 0, frame.duration or 0, frame.width, frame.height, frame.format.name, frame)
        if isinstance(frame, AvAudioFrame):
            duration = frame.samples * track.timescale // max(1, frame.sample_rate)
            return AudioFrame(
                frame.pts or 0,
                duration,
                frame.samples,
                frame.sample_rate,
                frame.layout.nb_channels,
                frame.format.name,
                frame,
            )
        return None


def _has_room(size: int) -> bool:
    try:
        mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, MemoryError):
        return False
    return True


def _threads(track: TrackInfo, limit: int) -> int:
    """How many pictures may be worked on at once: as many as there are processors, while memory is bounded.

    A decoder was seen to hold twelve pictures of 3840x2160, and two more for each further thread (HEVC). What the track
    says of its size may be a lie: then memory ends sooner, with an error.
    """
    processors = len(os.sched_getaffinity(0))
    if processors == 1:
        return 1
    picture = max(1, track.width * track.height) * 3  # bytes: 4:2:0, ten bits
    by_memory = ((limit - _WORKER) // picture - _HELD) // 2
    return max(1, min(processors + 1, _MOST_THREADS, by_memory))  # one more, as FFmpeg itself chooses


def _wave_options(track: TrackInfo) -> dict[str, str]:
    """What decoders of Windows Media want and no extradata holds."""
    if not track.block_align:
        return {}
    return {
        "ar": str(track.sample_rate),
        "ch_layout": f"{track.channels}c",
        "b": str(track.bit_rate),
        "block_align": str(track.block_align),
    }
