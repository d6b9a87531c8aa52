"""The hash sink against MD5s that are worked out here, over formats and sizes with odd corners."""

from __future__ import annotations

import array
import hashlib
import os
from collections.abc import Iterator

import av
import av.filter
import pytest

from drm.app.sources import component_loader
from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.component import AudioFrame, VideoFrame
from drm.errors import InvalidArgumentError
from drm.media import TrackInfo, TrackType
from drm.rights.policy import Action

# format: (horizontal and vertical shift of chroma, planes as (components in it, is chroma), bytes per component)
FORMATS = {
    "gray": ((0, 0), [(1, False)], 1),
    "gray10le": ((0, 0), [(1, False)], 2),
    "yuv420p": ((1, 1), [(1, False), (1, True), (1, True)], 1),
    "yuvj420p": ((1, 1), [(1, False), (1, True), (1, True)], 1),
    "yuv420p10le": ((1, 1), [(1, False), (1, True), (1, True)], 2),
    "yuv422p": ((1, 0), [(1, False), (1, True), (1, True)], 1),
    "yuv422p10le": ((1, 0), [(1, False), (1, True), (1, True)], 2),
    "yuv444p": ((0, 0), [(1, False), (1, True), (1, True)], 1),
    "yuv444p12le": ((0, 0), [(1, False), (1, True), (1, True)], 2),
    "yuv410p": ((2, 2), [(1, False), (1, True), (1, True)], 1),
    "yuva420p": ((1, 1), [(1, False), (1, True), (1, True), (1, False)], 1),
    "gbrp": ((0, 0), [(1, False), (1, False), (1, False)], 1),
    "nv12": ((1, 1), [(1, False), (2, True)], 1),
    "p010le": ((1, 1), [(1, False), (2, True)], 2),
    "rgb24": ((0, 0), [(3, False)], 1),
    "rgba": ((0, 0), [(4, False)], 1),
}
SIZES = [(64, 48), (50, 38), (33, 17), (2, 2), (1, 1), (1920, 2)]


def pictures(width: int, height: int, pixels: str, count: int = 2) -> Iterator[av.VideoFrame]:
    """Frames of this size and format, made by lavfi in the size 64x64 and cut: lavfi's sources have a least size."""
    graph = av.filter.Graph()
    size = f"{max(64, width + width % 2)}x{max(64, height + height % 2)}"
    cut = f"{width}:{height}:0:0:exact=1"
    chain = [
        ("testsrc2", f"size={size}:rate=10"), ("format", "gbrp"), ("crop", cut), ("format", pixels), ("buffersink", ""),
    ]  # fmt: skip
    graph.link_nodes(*(graph.add(name, words or None) for name, words in chain)).configure()
    for _ in range(count):
        yield graph.pull()


def packed(frame: av.VideoFrame) -> bytes:
    """The bytes that `ffmpeg -f framemd5` hashes: planes without padding, sizes from the format's definition."""
    (right, down), planes, size = FORMATS[frame.format.name]
    out = b""
    for plane, (components, is_chroma) in zip(frame.planes, planes, strict=True):
        width = -(-frame.width // (1 << right)) if is_chroma else frame.width
        height = -(-frame.height // (1 << down)) if is_chroma else frame.height
        data = bytes(plane)
        for row in range(height):
            start = row * plane.line_size
            out += data[start : start + width * components * size]
    return out


def lines_of(sink: object, out: int) -> list[list[str]]:
    text = os.pread(out, os.fstat(out).st_size, 0).decode()
    return [line.replace(" ", "").split(",") for line in text.splitlines() if not line.startswith("#")]


@pytest.fixture
def out() -> Iterator[int]:
    fd = os.memfd_create("framemd5")
    yield fd
    os.close(fd)


def opened(out: int, *tracks: TrackInfo) -> object:
    sink = component_loader().create(HASH_SINK)
    sink.load(b"{}")
    sink.open(tracks, os.dup(out))
    return sink


VIDEO = TrackInfo(7, TrackType.VIDEO, "avc1", 30_000)
SOUND = TrackInfo(9, TrackType.AUDIO, "mp4a", 48_000, sample_rate=48_000, channels=2)


@pytest.mark.parametrize("pixels", FORMATS)
def test_a_picture_is_hashed_as_packed_planes(out: int, pixels: str) -> None:
    expected, sink = [], opened(out, SOUND, VIDEO)
    for width, height in SIZES:
        for number, frame in enumerate(pictures(width, height, pixels)):
            assert (frame.width, frame.height, frame.format.name) == (width, height, pixels)
            sink.write(7, VideoFrame(number * 100, 99, width, height, pixels, frame))
            data = packed(frame)
            time, digest = str(number * 100), hashlib.md5(data).hexdigest()
            expected.append(["1", time, time, "99", str(len(data)), digest])
    assert sink.finish() == {"frames": len(expected)}
    assert lines_of(sink, out) == expected


def tones(samples_format: str, layout: str, count: int = 3) -> Iterator[av.AudioFrame]:
    graph = av.filter.Graph()
    chain = [("sine", "frequency=440:sample_rate=48000:samples_per_frame=500"),
             ("aformat", f"sample_fmts={samples_format}:channel_layouts={layout}"), ("abuffersink", "")]  # fmt: skip
    graph.link_nodes(*(graph.add(name, words or None) for name, words in chain)).configure()
    for _ in range(count):
        yield graph.pull()


def sixteen_bit(frame: av.AudioFrame) -> bytes:
    """Interleaved samples: floats times 32768, rounded to the nearest, halves to the even one, and cut off."""
    if frame.format.name == "s16":
        return bytes(frame.planes[0])[: frame.samples * frame.layout.nb_channels * 2]
    planes = [array.array("f", bytes(plane))[: frame.samples] for plane in frame.planes]
    values = (max(-32768, min(32767, round(value * 32768))) for values in zip(*planes, strict=True) for value in values)
    return array.array("h", values).tobytes()


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1"])
@pytest.mark.parametrize("form", ["s16", "fltp"])
@pytest.mark.parametrize("skip", [0, 1, 499])
def test_sound_is_hashed_as_interleaved_16_bit_samples(out: int, form: str, layout: str, skip: int) -> None:
    expected, sink = [], opened(out, SOUND)
    for number, frame in enumerate(tones(form, layout)):
        channels = frame.layout.nb_channels
        told = AudioFrame(number * 500 + skip, 500 - skip, 500, 48_000, channels, form, frame, skip)
        sink.write(9, told)
        data = sixteen_bit(frame)[skip * channels * 2 :]
        expected.append((str(len(data)), hashlib.md5(data).hexdigest()))
    sink.finish()
    found = [(line[4], line[5]) for line in lines_of(sink, out)]
    assert found == expected


def test_the_header_names_each_stream_as_ffmpeg_does(out: int) -> None:
    opened(out, TrackInfo(7, TrackType.VIDEO, "avc1", 30_000, width=64, height=48), SOUND).finish()
    text = os.pread(out, 10_000, 0).decode()
    for line in ("#hash: MD5", "#tb 0: 1/30000", "#media_type 0: video", "#dimensions 0: 64x48", "#tb 1: 1/48000",
                 "#media_type 1: audio", "#sample_rate 1: 48000"):  # fmt: skip
        assert f"{line}\n" in text


def test_it_needs_somewhere_to_write() -> None:
    sink = component_loader().create(HASH_SINK)
    with pytest.raises(InvalidArgumentError):
        sink.open([VIDEO], None)


@pytest.mark.parametrize(("class_id", "action"), [(HASH_SINK, Action.HASH), (DISCARD_SINK, Action.PLAY)])
def test_hashes_need_a_right_of_their_own_and_counts_the_right_to_play(class_id: object, action: Action) -> None:
    trusts = component_loader().create(class_id).output_trust_authorities()
    assert [trust.get_action() for trust in trusts] == [action]


def test_counting_lets_nothing_out() -> None:
    sink = component_loader().create(DISCARD_SINK)
    sink.load(b"{}")
    sink.open([VIDEO], None)
    for number, frame in enumerate(pictures(64, 64, "gray", 3)):
        sink.write(7, VideoFrame(number, 1, 64, 64, "gray", frame))
    assert sink.finish() == {"frames": 3}
