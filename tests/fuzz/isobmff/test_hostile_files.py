"""Hostile and damaged files: an error of ours or sound samples, in bounded time and memory, whatever the bytes are."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drm.errors import DRMError
from drm.isobmff.box import encode_box, top_boxes
from drm.isobmff.box_tree import box_tree
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.reader import Reader
from drm.isobmff.samples import open_presentation
from drm.media import Sample
from player.verbs.inspect.box_listing import list_boxes

VECTORS = Path(__file__).parents[2] / "data" / "vectors" / "generated"
LAYOUTS = [
    "pk_cenc_iv8_a",
    "pk_cbcs_rot_v",
    "pk_cenc_clearlead_v",
    "b4_mpeg-cenc_nosenc_av",
    "b4_piff-ctr_av",
    "gp_roll_frag_v",
    "gp_rap_prog_v",
    "gp_piff_frag_av",
    "gp_multikey_prog_v",
    "ff_cenc_frag_av",
    "ff_cenc_prog_av",
]
SECONDS = 2.0  # of processor time for one damaged file; a sound one of these takes a few milliseconds
MEMORY = 256 << 20  # bytes that the process may grow by


class Bytes:
    """A file in memory that refuses to be read where nothing is, or more than any box may have."""

    name = "damaged.mp4"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        assert offset >= 0
        assert 0 <= size <= 1 << 28
        return self._data[offset : offset + size]


@pytest.fixture(scope="module", autouse=True)
def bounded_memory() -> Iterator[None]:
    """A count that is believed before its bytes are there ends in a MemoryError, and fails the test."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def vector(name: str) -> bytes:
    return (VECTORS / f"{name}.mp4").read_bytes()


Found = dict[int, list[Sample]]


def read_all(data: bytes) -> Found | None:
    """Read every track to its end. Return the samples by track, or None when the file was refused."""
    stream = Bytes(data)
    begin = time.process_time()
    found: Found = {}
    try:
        presentation = open_presentation(stream)
        for descriptor in presentation.streams():
            samples = found[descriptor.track.track_id] = []
            for sample in presentation.samples(descriptor.track.track_id):
                assert sample.offset >= 0
                assert sample.offset + sample.size <= stream.size
                if sample.crypto is not None:
                    assert len(sample.crypto.iv) in {8, 16}
                    assert sum(map(sum, sample.crypto.subsamples)) <= sample.size
                samples.append(sample)
    except DRMError:
        return None
    finally:
        assert time.process_time() - begin < SECONDS
    return found


def boundaries(data: bytes) -> list[int]:
    """Where any box, however deep, starts or ends, and where its fields start."""
    found = {0}

    def note(node) -> None:
        found.update((node.start, node.start + 8, node.start + 12, node.start + node.size - 1, node.start + node.size))
        for child in node.children:
            note(child)

    for node in box_tree(Bytes(data)):
        note(node)
    return sorted(at for at in found if at < len(data))


@pytest.mark.parametrize("name", sorted(path.stem for path in VECTORS.glob("*.mp4")))
def test_truncation_at_every_box_boundary(name: str) -> None:
    """A shorter file is refused, or gives the first samples of the whole: fewer only where an outermost box ends."""
    data = vector(name)
    whole = read_all(data)
    assert whole is not None
    ends = {top.end for top in top_boxes(Bytes(data))}
    for end in boundaries(data):
        found = read_all(data[:end])
        if found is None:
            continue
        assert all(samples == whole[track_id][: len(samples)] for track_id, samples in found.items())
        assert found == whole or end in ends


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_byte_of_the_metadata_flipped(name: str) -> None:
    """Every 7th byte outside the media, three ways; the offsets shift from file to file."""
    data = vector(name)
    places = [at for top in top_boxes(Bytes(data)) if top.type != "mdat" for at in range(top.start, top.end)]
    for number, at in enumerate(places[len(name) % 7 :: 7]):
        bent = bytearray(data)
        bent[at] ^= (0x01, 0x80, 0xFF)[number % 3]
        read_all(bytes(bent))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(vector(draw(st.sampled_from(LAYOUTS))))
    places = [(top.start, top.end) for top in top_boxes(Bytes(bytes(data))) if top.type != "mdat"]
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(*draw(st.sampled_from(places)))) % len(data)
        change = draw(st.integers(0, 4))
        if change == 0:
            data[at] = draw(st.integers(0, 255))
        elif change == 1:
            value = draw(st.sampled_from([0, 1, 7, 8, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]))
            data[at : at + 4] = value.to_bytes(4, "big")
        elif change == 2:
            del data[at : at + draw(st.integers(1, 24))]
        elif change == 3:
            data[at:at] = draw(st.binary(min_size=1, max_size=24))
        else:
            names = [b"tenc", b"senc", b"saiz", b"saio", b"trun", b"stsz", b"stz2", b"stsc", b"stco", b"co64", b"sgpd",
                     b"sbgp", b"uuid", b"free", b"moof", b"traf", b"ctts", b"elst", b"esds", b"wave"]  # fmt: skip
            here = data.find(draw(st.sampled_from(names)))
            if here > 0:
                data[here : here + 4] = draw(st.sampled_from(names))
    return bytes(data)


@given(damaged())
@settings(max_examples=400)
def test_damaged_files(data: bytes) -> None:
    read_all(data)


@given(damaged())
@settings(max_examples=60)
def test_the_box_listing_of_damaged_files(data: bytes) -> None:
    begin = time.process_time()
    try:
        list(list_boxes(Bytes(data)))
    except DRMError:
        pass
    finally:
        assert time.process_time() - begin < SECONDS


@given(st.binary(max_size=200), st.sampled_from([b"ftyp", b"moov", b"moof", b"mdat", b"uuid", b"free"]))
@settings(max_examples=200)
def test_noise_that_begins_like_mp4(noise: bytes, name: bytes) -> None:
    assert read_all(encode_box(name.decode(), noise)) is None
    assert read_all(noise) is None
    assert read_all(encode_box("ftyp", b"isom") + encode_box("moov", noise)) in (None, {})


@given(st.binary(max_size=120))
def test_pssh_of_noise(noise: bytes) -> None:
    try:
        found = Pssh.parse(Reader(noise))
    except DRMError:
        return
    assert Pssh.parse(Reader(found.encode()).next_box()) == found
