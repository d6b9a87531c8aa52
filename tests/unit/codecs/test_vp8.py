"""VP8: the uncompressed data chunk of each frame is clear, and FFmpeg still finds key frames and sizes in it."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from drm.codecs.layouts import layout_for
from drm.codecs.vp8 import Vp8Layout
from drm.errors import MalformedMediaError
from drm.isobmff.sample_entry import SampleEntry
from drm.media import Scheme

VECTORS = Path(__file__).parents[2] / "data" / "vectors"


@pytest.mark.parametrize("scheme", list(Scheme))
def test_frames_are_protected_behind_their_header(scheme: Scheme) -> None:
    layout = layout_for(SampleEntry("vp08", "vp08", 192, 108, boxes={"vpcC": b""}), scheme)
    assert layout is not None
    kinds = set()
    with av.open(str(VECTORS / "clear" / "src_vp8.webm")) as file:
        for packet in file.demux(video=0):
            if packet.size:
                ((clear, protected),) = layout.subsamples(memoryview(bytes(packet)))
                header = 10 if packet.is_keyframe else 3
                assert header <= clear < header + 16
                assert protected % 16 == 0
                assert clear + protected == packet.size
                kinds.add(packet.is_keyframe)
    assert kinds == {True, False}


@pytest.mark.parametrize(
    ("sample", "words"),
    [(b"\x01\0", "ends inside"), (b"\x10\0\0\x9d\x01\x2a\0\0\0", "ends inside"), (bytes(30), "start code")],
)
def test_odd_frames_are_refused_by_name(sample: bytes, words: str) -> None:
    with pytest.raises(MalformedMediaError, match=words):
        Vp8Layout().subsamples(memoryview(sample))


@pytest.mark.parametrize(("size", "expected"), [(0, (0, 0)), (3, (3, 0)), (18, (18, 0)), (19, (3, 16)), (40, (8, 32))])
def test_whole_blocks_are_protected(size: int, expected: tuple[int, int]) -> None:
    assert Vp8Layout().subsamples(memoryview(b"\x01" * size)) == (expected,)
