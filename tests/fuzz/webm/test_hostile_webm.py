"""Hostile and damaged WebM: an error of ours or sound samples, in bounded time and memory, whatever the bytes are."""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drm.errors import DRMError
from drm.media import Sample
from drm.webm.block import read_block
from drm.webm.ebml import Ebml, Element, encode_element, encode_size, read_size
from drm.webm.names import MASTERS, NAMES, id_of
from drm.webm.presentation import open_webm
from player.verbs.inspect.element_listing import list_elements

VECTORS = Path(__file__).parents[2] / "data" / "vectors"
LAYOUTS = [
    "generated/pk_webm_vp9_v.webm",
    "generated/pk_webm_vp9_full_v.webm",
    "generated/pk_webm_vp8_v.webm",
    "generated/pk_webm_opus_a.webm",
    "clear/src_opus.webm",
]
SECONDS = 2.0  # of processor time for one damaged file; a sound one of these takes a few milliseconds
MEMORY = 96 << 20  # bytes that the process may grow by: our own bound, and what the test holds itself
MEDIA = frozenset(map(id_of, ("SimpleBlock", "Block")))


class Bytes:
    """A file in memory that refuses to be read where nothing is, or more than a window or one value may have."""

    name = "damaged.webm"

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        assert offset >= 0
        assert 0 <= size <= 1 << 16
        return self._data[offset : offset + size]


@pytest.fixture(scope="module", autouse=True)
def bounded_memory() -> Iterator[None]:
    """A count that is believed before its bytes are there ends in a MemoryError, and fails the test."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


Found = dict[int, list[Sample]]


def read_all(data: bytes) -> tuple[Found, DRMError | None]:
    """Read every track to its end. Return the samples by track, and the error that ended it."""
    stream = Bytes(data)
    begin = time.process_time()
    found: Found = {}
    try:
        presentation = open_webm(stream)
        for descriptor in presentation.streams():
            samples = found[descriptor.track.track_id] = []
            end = 0
            for sample in presentation.samples(descriptor.track.track_id):
                assert end <= sample.offset, "blocks come one behind the other"
                assert 0 <= sample.size <= stream.size - sample.offset
                assert 0 <= sample.dts < 1 << 63
                assert sample.dts + sample.cts_offset >= 0
                assert 0 <= sample.duration < 1 << 63
                if sample.crypto is not None:
                    assert len(sample.crypto.iv) == 8
                    assert all(clear >= 0 and protected >= 0 for clear, protected in sample.crypto.subsamples)
                    covered = sum(map(sum, sample.crypto.subsamples))
                    assert covered == (sample.size if sample.crypto.subsamples else 0)
                end = sample.offset + sample.size
                samples.append(sample)
    except DRMError as error:
        return found, error
    finally:
        assert time.process_time() - begin < SECONDS
    return found, None


def elements(data: bytes) -> list[Element]:
    """Every element of a sound file, however deep."""
    ebml = Ebml(Bytes(data))
    found: list[Element] = []

    def note(element: Element) -> None:
        found.append(element)
        if element.id in MASTERS:
            for child in ebml.children(element):
                note(child)

    at = 0
    while at < len(data):
        top = ebml.element(at, None)
        note(top)
        assert top.end is not None
        at = top.end
    return found


FILES = {name: (VECTORS / name).read_bytes() for name in LAYOUTS}
PLACES = {name: elements(data) for name, data in FILES.items()}


def starts_like(whole: list[Sample], part: list[Sample]) -> bool:
    """Whether `part` has the first samples of `whole`; the last one's duration may not be known yet."""
    return [(s.dts, s.offset, s.size, s.crypto) for s in part] == [
        (s.dts, s.offset, s.size, s.crypto) for s in whole[: len(part)]
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_truncation_at_every_element_boundary(name: str) -> None:
    data = FILES[name]
    whole, error = read_all(data)
    assert error is None
    assert sum(map(len, whole.values())) >= 48
    ends = {at for e in PLACES[name] for at in (e.start, e.start + 1, e.data, e.data + 1, (e.end or 0) - 1, e.end or 0)}
    for end in sorted(at for at in ends if at < len(data)):
        found, error = read_all(data[:end])
        assert error is not None, f"cut at byte {end}"
        assert "at byte" in error.where
        for track, samples in found.items():
            assert starts_like(whole[track], samples)


@pytest.mark.parametrize("name", LAYOUTS)
def test_bytes_outside_the_media_flipped(name: str) -> None:
    """Every 5th byte of the head, of headers, signal bytes, IVs and partitions, three ways."""
    data = FILES[name]
    media = [(read_block(Ebml(Bytes(data)), e).start + 18, e.end or 0) for e in PLACES[name] if e.id in MEDIA]
    inside = {at for start, end in media for at in range(start, end)}
    places = [at for at in range(len(data)) if at not in inside]
    for number, at in enumerate(places[len(name) % 5 :: 5]):
        bent = bytearray(data)
        bent[at] ^= (0x01, 0x80, 0xFF)[number % 3]
        _, error = read_all(bytes(bent))
        assert error is None or error.where


def sizes() -> st.SearchStrategy[bytes]:
    """Sizes that lie: none, unknown, of every width, up to 64 bits."""
    values = st.sampled_from([0, 1, 5, 127, 128, 1 << 14, 1 << 31, 1 << 32, (1 << 56) - 2])
    known = st.tuples(values, st.just(8)).map(lambda pair: encode_size(*pair))
    return st.one_of(known, st.integers(1, 8).map(lambda width: encode_size(None, width)), st.binary(max_size=9))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from(LAYOUTS))
    data = bytearray(FILES[name])
    for _ in range(draw(st.integers(1, 5))):
        element = draw(st.sampled_from(PLACES[name]))
        change = draw(st.integers(0, 5))
        if change == 0:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        elif change == 1:
            width = len(encode_element(element.id)) - 1
            data[element.start + width : element.data] = draw(sizes())
        elif change == 2:
            del data[element.start : element.start + draw(st.integers(1, 24))]
        elif change == 3:
            data[element.start : element.start] = draw(st.binary(min_size=1, max_size=24))
        elif change == 4:
            ident = draw(st.sampled_from(sorted(NAMES)))
            data[element.start : element.data] = encode_element(ident)[:-1] + encode_size(element.size, 4)
        else:
            other = draw(st.sampled_from(PLACES[name]))
            data[element.start : element.start] = data[other.start : min(other.end or 0, other.start + 400)]
        if not data:
            break
    return bytes(data)


@given(damaged())
@settings(max_examples=600)
def test_damaged_files(data: bytes) -> None:
    _, error = read_all(data)
    assert error is None or error.where


@given(damaged())
@settings(max_examples=150)
def test_the_element_listing_of_damaged_files(data: bytes) -> None:
    begin = time.process_time()
    with contextlib.suppress(DRMError):
        assert list(list_elements(Bytes(data)))
    assert time.process_time() - begin < SECONDS


HEAD = encode_element(id_of("EBML"), encode_element(id_of("DocType"), b"webm"))


@given(st.binary(max_size=300), st.sampled_from(sorted(MASTERS)))
@settings(max_examples=300)
def test_noise_in_the_place_of_any_master(noise: bytes, ident: int) -> None:
    read_all(noise)
    read_all(HEAD + noise)
    read_all(HEAD + encode_element(id_of("Segment"), encode_element(ident, noise)))


def test_masters_inside_masters_are_no_stack_overflow() -> None:
    nested = b""
    for _ in range(2000):
        nested = encode_element(id_of("ContentEncodings"), nested)
    data = HEAD + encode_element(id_of("Segment"), encode_element(id_of("Tracks"), nested))
    assert read_all(data) == ({}, None)
    with pytest.raises(DRMError, match="more than"):
        list(list_elements(Bytes(data)))


def test_tiny_elements_by_the_ten_thousand_take_time_in_proportion() -> None:
    track = encode_element(
        id_of("TrackEntry"),
        encode_element(id_of("TrackNumber"), b"\1"),
        encode_element(id_of("CodecID"), b"V_VP8"),
    )
    empty = encode_element(id_of("Cluster"), b"\xe7\x80" + b"\xec\x80" * 20) * 5000
    data = HEAD + encode_element(id_of("Segment"), encode_element(id_of("Tracks"), track), empty)
    assert read_all(data) == ({1: []}, None)


@given(st.binary(max_size=12), st.integers(0, 12))
def test_sizes_of_noise(noise: bytes, at: int) -> None:
    value, width = read_size(noise, at)
    assert 0 <= width <= 8
    assert at + width <= max(len(noise), at)
    if width:
        assert encode_size(value, width) == noise[at : at + width]
