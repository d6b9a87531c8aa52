"""Pictures that leave under the snapshot action, and the decoder that the key check relies on."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import av
import av.filter
import msgspec
import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.sources import component_loader, open_source
from drm.class_ids import AV_DECODER, SNAPSHOT_SINK
from drm.component import VideoFrame
from drm.errors import InvalidArgumentError, MediaError, UnsupportedMediaError
from drm.media import Sample, TrackInfo, TrackType
from drm.rights.policy import Action
from sample_content.clip import Clip, make_clip

COLOURS = {
    "red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "back": (20, 22, 26),
}  # fmt: skip
VIDEO = TrackInfo(1, TrackType.VIDEO, "avc1", 10)


def colours(width: int, height: int, names: list[str]) -> Iterator[VideoFrame]:
    """A picture of one colour a second."""
    for number, name in enumerate(names):
        graph = av.filter.Graph()
        chain = [("color", f"{name}:size={width}x{height}:rate=1"), ("format", "yuv444p"), ("buffersink", "")]
        graph.link_nodes(*(graph.add(kind, words or None) for kind, words in chain)).configure()
        yield VideoFrame(number * 10, 10, width, height, "yuv444p", graph.pull())


def snapshot(options: dict[str, object], frames: Iterator[VideoFrame]) -> tuple[dict[str, int], av.VideoFrame]:
    """What the sink counts, and its PNG decoded."""
    out = os.memfd_create("png")
    sink = component_loader().create(SNAPSHOT_SINK)
    sink.load(msgspec.json.encode(options))
    sink.open([VIDEO], os.dup(out))
    for frame in frames:
        sink.write(1, frame)
    counts = sink.finish()
    data = os.pread(out, os.fstat(out).st_size, 0)
    os.close(out)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.rstrip().endswith(b"IEND\xaeB`\x82")
    with av.open(io.BytesIO(data)) as container:
        return counts, next(container.decode(video=0)).reformat(format="rgb24")


def colour_at(picture: av.VideoFrame, x: int, y: int) -> str:
    at = y * picture.planes[0].line_size + x * 3
    red, green, blue = bytes(picture.planes[0])[at : at + 3]
    return min(
        COLOURS, key=lambda name: sum(abs(a - b) for a, b in zip(COLOURS[name], (red, green, blue), strict=True))
    )


def test_one_picture_has_the_size_asked_for() -> None:
    counts, picture = snapshot({"times": [1.0], "width": 80}, colours(160, 90, ["red", "lime", "blue"]))
    assert counts == {"pictures": 1}
    assert (picture.width, picture.height) == (80, 45)
    assert colour_at(picture, 40, 20) == "lime"


def test_width_0_keeps_the_size() -> None:
    _, picture = snapshot({"times": [0.0]}, colours(33, 17, ["blue"]))
    assert (picture.width, picture.height) == (33, 17)


def test_a_sheet_has_its_pictures_in_rows_with_gaps() -> None:
    counts, sheet = snapshot(
        {"times": [0, 1, 2, 3], "columns": 3, "width": 32}, colours(64, 32, ["red", "lime", "blue", "white", "red"])
    )
    assert counts == {"pictures": 4}
    assert (sheet.width, sheet.height) == (3 * 32 + 4 * 8, 2 * 16 + 3 * 8)
    middles = [(8 + 40 * column + 16, 8 + 24 * row + 8) for row in range(2) for column in range(3)]
    assert [colour_at(sheet, *middle) for middle in middles] == ["red", "lime", "blue", "white", "back", "back"]
    assert colour_at(sheet, 4, 4) == "back"


def test_times_after_the_end_give_the_last_picture_or_fewer() -> None:
    counts, picture = snapshot({"times": [99.0]}, colours(32, 32, ["red", "lime"]))
    assert counts == {"pictures": 1}
    assert colour_at(picture, 16, 16) == "lime"
    counts, _ = snapshot({"times": [0.0, 99.0]}, colours(32, 32, ["red", "lime"]))
    assert counts == {"pictures": 1}


def test_no_picture_is_an_error() -> None:
    with pytest.raises(MediaError, match="no picture"):
        snapshot({"times": [0.0]}, iter(()))


@pytest.mark.parametrize(
    "options",
    [b"", b"[]", b'{"times": []}', b'{"times": [0], "columns": 0}', b'{"times": [0], "columns": 17}',
     msgspec.json.encode({"times": [0] * 65}), b'{"times": [0], "path": "/etc/x"}', b'{"times": [0], "width": -1}',
     b'{"times": [0], "width": 1000000}'],
)  # fmt: skip
def test_options_out_of_bounds_are_refused(options: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        component_loader().create(SNAPSHOT_SINK).load(options)


def test_a_snapshot_needs_its_own_right_a_video_track_and_a_descriptor() -> None:
    sink = component_loader().create(SNAPSHOT_SINK)
    assert [trust.get_action() for trust in sink.output_trust_authorities()] == [Action.SNAPSHOT]
    for tracks, descriptor in (([VIDEO], None), ([], 0), ([TrackInfo(2, TrackType.AUDIO, "mp4a", 1)], 0)):
        with pytest.raises(InvalidArgumentError):
            sink.open(tracks, descriptor)


# ------------------------------------------------------------------------------------------------ the decoder
@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clear.mp4"
    make_clip(path, Clip(width=160, height=90, frames=24, gop=12))
    return path


def samples(path: Path, kind: TrackType) -> tuple[TrackInfo, list[tuple[Sample, bytes]]]:
    with FileByteStream(path) as stream:
        source = open_source(stream)
        track = next(found.track for found in source.streams() if found.track.type is kind)
        source.select([track.track_id])
        found = []
        while sample := source.next_sample(track.track_id):
            data = memoryview(bytearray(sample.size))
            source.read_into(sample, data)
            found.append((sample, bytes(data)))
        return track, found


def decode(track: TrackInfo, found: list[tuple[Sample, bytes]], *, strict: bool) -> list[object]:
    decoder = component_loader().create(AV_DECODER)
    decoder.open(track, strict=strict)
    frames = []
    for sample, data in found:
        buffer = decoder.buffer(sample.size)
        with buffer.view() as into:
            into[: sample.size] = data
        frames += decoder.decode(buffer, sample)
    return frames + decoder.drain()


@pytest.mark.parametrize("kind", [TrackType.VIDEO, TrackType.AUDIO])
@pytest.mark.parametrize("strict", [False, True])
def test_sound_media_decodes_whole_in_both_modes(clip: Path, kind: TrackType, strict: bool) -> None:
    track, found = samples(clip, kind)
    frames = decode(track, found, strict=strict)
    assert len(frames) == len(found)
    if kind is TrackType.VIDEO:
        assert [frame.pts for frame in frames] == sorted(s.dts + s.cts_offset for s, _ in found)
        assert {(frame.width, frame.height, frame.duration) for frame in frames} == {(160, 90, found[0][0].duration)}


@pytest.mark.parametrize("kind", [TrackType.VIDEO, TrackType.AUDIO])
def test_strict_mode_refuses_noise_at_the_first_sample(clip: Path, kind: TrackType) -> None:
    import random

    track, found = samples(clip, kind)
    noise = random.Random(5)
    spoilt = []
    for sample, data in found:
        body = bytearray(noise.randbytes(len(data)))
        if kind is TrackType.VIDEO:  # as subsample encryption leaves it: lengths and headers are clear
            body[:8] = data[:8]
        spoilt.append((sample, bytes(body)))
    with pytest.raises(MediaError):
        decode(track, spoilt[:1], strict=True)


def test_strict_mode_alone_refuses_a_damaged_end(clip: Path) -> None:
    """A picture whose last bytes are gone is concealed in play; the key check must hear of it, at that very sample."""
    track, found = samples(clip, TrackType.VIDEO)
    sample, data = found[12]
    assert sample.is_sync
    found[12] = (sample, data[: len(data) // 4] + bytes(len(data) - len(data) // 4))
    assert len(decode(track, found, strict=False)) == 24
    decode(track, found[:12], strict=True)
    with pytest.raises(MediaError, match="damaged"):
        decode(track, found[:13], strict=True)


def test_an_unknown_codec_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedMediaError, match="xyz9"):
        component_loader().create(AV_DECODER).open(TrackInfo(1, TrackType.VIDEO, "xyz9", 1, decoder="no such decoder"))
