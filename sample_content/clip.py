"""Makes clear clips out of FFmpeg's own test sources: moving H.264 video, AAC sound, the same bytes every time.

One thread encodes: with two, x264 was seen to give other bytes from run to run. Codecs and muxer leave out versions
and dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.filter
import msgspec

from drm.whole_file import WholeFile

__all__ = ["Clip", "make_clip"]

_SOUND_RATE: Final = 48_000  # hertz
_SOUND_FRAME: Final = 1024  # samples, as AAC takes them
_BITEXACT: Final = {"fflags": "+bitexact"}
_FRAGMENTED: Final = "frag_keyframe+delay_moov+default_base_moof"  # delay_moov: so that edit lists are written
_PROGRESSIVE: Final = "faststart"


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """What a clip is made of. Two equal ones give equal bytes with the same libraries on the same machine."""

    width: int = 640  # pixels
    height: int = 360
    rate: int = 30  # frames per second
    frames: int = 240
    gop: int = 60  # frames from one sync sample to the next
    b_frames: int = 2
    bitrate: int = 0  # bits per second of the video; 0: constant quality
    buffered: float = 0.0  # seconds of it that a player's buffer holds: keeps the rate from the start; 0: on average
    preset: str = "veryfast"
    slices: int = 1  # per picture
    noise: int = 0  # strength of what makes a test picture as hard to code as a camera's; 0: none
    sound: bool = True
    fragmented: bool = False
    threads: int = 1  # of the video encoder; more than one is faster, and no longer gives the same bytes every time


def make_clip(path: Path, clip: Clip) -> None:
    """Encode `clip` to the MP4 at `path`, which is whole or not there. Raises OSError and av.FFmpegError."""
    options = {"movflags": _FRAGMENTED if clip.fragmented else _PROGRESSIVE, **_BITEXACT}
    with WholeFile(path) as file, av.open(file.path, "w", format="mp4", options=options) as out:
        _encode(out, clip)


def _encode(out: av.container.OutputContainer, clip: Clip) -> None:
    """Encode video, and sound as far as the video has come, so that the muxer can interleave them."""
    video = _video_stream(out, clip)
    sound = _sound_stream(out) if clip.sound else None
    tones = _sound(clip)
    heard = 0
    for number, picture in enumerate(_pictures(clip)):
        picture.pts, picture.time_base = number, Fraction(1, clip.rate)
        picture.pict_type = 0
        out.mux(video.encode(picture))
        while sound is not None and heard * clip.rate < (number + 1) * _SOUND_RATE:
            tone = next(tones, None)
            if tone is None:
                break
            tone.pts, tone.time_base = heard, Fraction(1, _SOUND_RATE)
            heard += tone.samples
            out.mux(sound.encode(tone))
    for stream in (video, sound):
        if stream is not None:
            out.mux(stream.encode(None))


def _video_stream(out: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    stream = out.add_stream("libx264", rate=clip.rate)
    stream.width, stream.height, stream.pix_fmt = clip.width, clip.height, "yuv420p"
    context = stream.codec_context
    context.thread_count, context.thread_type = clip.threads, "FRAME"  # slice threads would cut pictures up
    context.gop_size, context.max_b_frames = clip.gop, clip.b_frames
    params = f"keyint={clip.gop}:min-keyint={clip.gop}:scenecut=0:slices={clip.slices}:lookahead-threads=1"
    stream.options = {"preset": clip.preset, "x264-params": params, "flags": "+bitexact"}
    if clip.bitrate:
        context.bit_rate = clip.bitrate
        if clip.buffered:
            stream.options |= {"maxrate": str(clip.bitrate), "bufsize": str(round(clip.bitrate * clip.buffered))}
    else:
        stream.options |= {"crf": "23"}
    return stream


def _sound_stream(out: av.container.OutputContainer) -> av.AudioStream:
    stream = out.add_stream("aac", rate=_SOUND_RATE, layout="stereo")
    stream.codec_context.bit_rate = 128_000
    stream.codec_context.thread_count = 1
    stream.options = {"flags": "+bitexact"}
    return stream


def _pictures(clip: Clip) -> Iterator[av.VideoFrame]:
    source = f"size={clip.width}x{clip.height}:rate={clip.rate}"
    noise = [("noise", f"all_seed=7:alls={clip.noise}:allf=t")] if clip.noise else []
    chain = [("testsrc2", source), *noise, ("format", "yuv420p"), ("buffersink", "")]
    for frame in _filtered(chain, clip.frames):
        assert isinstance(frame, av.VideoFrame)
        yield frame


def _sound(clip: Clip) -> Iterator[av.AudioFrame]:
    chain = [
        ("sine", f"frequency=330:beep_factor=3:sample_rate={_SOUND_RATE}:samples_per_frame={_SOUND_FRAME}"),
        ("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        ("abuffersink", ""),
    ]
    count = -(-clip.frames * _SOUND_RATE // (clip.rate * _SOUND_FRAME))
    for frame in _filtered(chain, count):
        assert isinstance(frame, av.AudioFrame)
        yield frame


def _filtered(chain: list[tuple[str, str]], count: int) -> Iterator[object]:
    """The first `count` frames that a chain of filters makes by itself."""
    graph = av.filter.Graph()
    nodes = [graph.add(name, arguments or None) for name, arguments in chain]
    graph.link_nodes(*nodes).configure()
    for _ in range(count):
        yield graph.pull()
