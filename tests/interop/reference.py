"""Frames as PyAV alone gives them, and as the ffmpeg program does: what playback is held against."""

import functools
import hashlib
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

FFMPEG_ABSENT = "ffmpeg is absent: apt-get install ffmpeg (.ci/run does)"


@functools.cache
def pyav_frames(*paths: Path, ignore_edit_list: bool = False) -> dict[str, list[str]]:
    """Hash every frame of a clear file, by kind and place as `video 1`; an init segment and its segments are one."""
    found: dict[str, list[str]] = {}
    whole = io.BytesIO(b"".join(path.read_bytes() for path in paths))
    for kind in ("video", "audio"):
        whole.seek(0)
        options = {"ignore_editlist": "1"} if ignore_edit_list else {}
        with av.open(whole, options=options) as file:
            streams = getattr(file.streams, kind)
            for place, stream in enumerate(streams, 1):
                whole.seek(0)
                with av.open(whole, options=options) as again:
                    frames = again.decode(again.streams[stream.index])
                    hashes = picture_hashes(frames) if kind == "video" else sound_hashes(frames)
                    found[f"{kind} {place}"] = list(hashes)
    return found


def picture_hashes(frames: Iterator[av.VideoFrame]) -> Iterator[str]:
    return (hashlib.md5(picture_bytes(frame)).hexdigest() for frame in frames)


def picture_bytes(frame: av.VideoFrame) -> bytes:
    """The planes one after the other, rows without the padding of the decoder's memory. Formats of 8 bits, planar."""
    assert frame.format.name in {"yuv420p", "yuvj420p"}, frame.format.name
    packed = []
    for plane in frame.planes:
        data = bytes(plane)
        packed += [data[row : row + plane.width] for row in range(0, plane.height * plane.line_size, plane.line_size)]
    return b"".join(packed)


def sound_hashes(frames: Iterator[av.AudioFrame]) -> Iterator[str]:
    to_s16 = av.AudioResampler(format="s16")
    for frame in frames:
        for converted in to_s16.resample(frame):
            size = converted.samples * converted.layout.nb_channels * 2
            yield hashlib.md5(bytes(converted.planes[0])[:size]).hexdigest()


@functools.cache
def ffmpeg_video_hashes(path: Path) -> list[str]:
    """What `ffmpeg -f framemd5` says of the first video of a clear file. Absent, it skips; in CI, it fails."""
    program = shutil.which("ffmpeg")
    if program is None:
        assert not os.environ.get("CI"), FFMPEG_ABSENT
        pytest.skip(FFMPEG_ABSENT)
    # Without passthrough it repeats and drops frames to keep a constant rate.
    words = ["-v", "error", "-i", path, "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "framemd5", "-"]
    run = subprocess.run([program, *words], check=True, capture_output=True, text=True, timeout=60)
    return [line.split(",")[-1].strip() for line in run.stdout.splitlines() if line and not line.startswith("#")]
