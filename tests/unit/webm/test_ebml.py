"""Variable-size integers and elements: what is written is read, and nothing is read that is not there."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.webm.ebml import Ebml, encode_element, encode_size, read_size
from drm.webm.names import NAMES, id_of, name_of


@given(st.integers(0, (1 << 56) - 2), st.integers(0, 8))
def test_sizes_round_trip_in_every_width(value: int, width: int) -> None:
    if width and value >= (1 << 7 * width) - 1:
        width = 0
    data = encode_size(value, width)
    assert read_size(b"\xff" + data + b"\xff", 1) == (value, len(data))
    assert not width or len(data) == width


@pytest.mark.parametrize("width", range(1, 9))
def test_the_edges_of_each_width(width: int) -> None:
    unknown = (1 << 7 * width) - 1
    assert len(encode_size(unknown - 1)) == width
    assert width == 8 or len(encode_size(unknown)) == width + 1  # all ones would be "unknown"
    assert read_size(encode_size(None, width)) == (None, width)
    with pytest.raises(ValueError, match="does not fit"):
        encode_size(unknown + 1, width)


@pytest.mark.parametrize("data", [b"", b"\0", b"\0" * 12, b"\x40", b"\x01" + bytes(6), b"\x08\0\0\0"])
def test_a_size_that_is_cut_or_none(data: bytes) -> None:
    assert read_size(data) == (None, 0)


@pytest.mark.parametrize("ident", NAMES)
def test_elements_round_trip(build, ident: int) -> None:
    data = encode_element(ident, b"abc", b"def", width=3)
    found = Ebml(build.Bytes(data)).element(0, None)
    assert (found.id, found.data, found.end, found.path) == (ident, len(data) - 6, len(data), NAMES[ident])
    assert id_of(name_of(ident)) == ident


def test_names_are_each_of_one_element() -> None:
    assert len(set(NAMES.values())) == len(NAMES)
    assert name_of(0x4FFF) == "0x4FFF"


@pytest.mark.parametrize("end", range(12))
def test_a_header_cut_short(build, end: int) -> None:
    data = encode_element(id_of("Info"), b"x" * 300, width=8)
    with pytest.raises(TruncatedMediaError):
        Ebml(build.Bytes(data[:end])).element(0, None)


@pytest.mark.parametrize("first", [0x00, 0x01, 0x0F])
def test_no_id_begins_like_this(build, first: int) -> None:
    with pytest.raises(MalformedMediaError, match="no element begins here") as refused:
        Ebml(build.Bytes(bytes([first]) + b"\x80" * 20)).element(0, None)
    assert "at byte 0" in refused.value.where


@pytest.mark.parametrize("announced", [11, 1 << 20, (1 << 56) - 2])
def test_an_element_is_no_longer_than_what_is_around_it(build, announced: int) -> None:
    inner = encode_element(id_of("CodecID"), b"V_VP8", b"12345")
    inner = inner[:1] + encode_size(announced, 8) + inner[2:]
    data = encode_element(id_of("TrackEntry"), inner) + bytes(40)
    ebml = Ebml(build.Bytes(data))
    with pytest.raises(MalformedMediaError, match="CodecID element is longer") as refused:
        list(ebml.children(ebml.element(0, None)))
    assert "TrackEntry/CodecID" in refused.value.where
    assert "at byte 2 " in refused.value.where


def test_only_segments_and_clusters_may_hide_their_size(build) -> None:
    for name in ("Info", "Tracks", "EBML", "Void", "SimpleBlock"):
        with pytest.raises(MalformedMediaError, match=f"{name} element has an unknown size"):
            Ebml(build.Bytes(id_of(name).to_bytes(4, "big").lstrip(b"\0") + b"\xff" + bytes(20))).element(0, None)
    assert Ebml(build.Bytes(id_of("Cluster").to_bytes(4, "big") + b"\xff")).element(0, None).end is None


def value(build, data: bytes) -> tuple[Ebml, object]:
    ebml = Ebml(build.Bytes(encode_element(id_of("Duration"), data)))
    return ebml, ebml.element(0, None)


@given(st.integers(0, (1 << 64) - 1), st.integers(0, 8))
def test_unsigned_integers_round_trip(number: int, width: int) -> None:
    class Source:
        name, data = "", encode_element(id_of("Duration"), (number % (1 << 8 * width)).to_bytes(width, "big"))
        size = len(data)

        def read_at(self, offset: int, size: int) -> bytes:
            return self.data[offset : offset + size]

    ebml = Ebml(Source())
    assert ebml.uint(ebml.element(0, None)) == number % (1 << 8 * width)


def test_numbers_of_each_width(build) -> None:
    for data, wanted in ((b"", 0.0), (pack(">f", 1.5), 1.5), (pack(">d", -2.25), -2.25)):
        ebml, element = value(build, data)
        assert ebml.float(element) == wanted
    ebml, element = value(build, b"123")
    with pytest.raises(MalformedMediaError, match="3 bytes; it has 0, 4 or 8"):
        ebml.float(element)
    ebml, element = value(build, bytes(9))
    with pytest.raises(MalformedMediaError, match="9 bytes; it has at most 8"):
        ebml.uint(element)


def test_text_ends_at_a_zero_and_is_bounded(build) -> None:
    ebml, element = value(build, b"V_VP9\0\0junk")
    assert ebml.text(element) == "V_VP9"
    ebml, element = value(build, b"\xff\xfe")
    assert ebml.text(element) == "��"
    ebml, element = value(build, b"x" * 5000)
    with pytest.raises(MalformedMediaError, match="at most 4096"):
        ebml.text(element)


def test_the_window_moves_and_never_reads_more_than_it_must(build) -> None:
    data = bytes(range(256)) * 200
    source = build.Bytes(data)
    ebml = Ebml(source)
    for at in (0, 10, 8190, 8191, 8192, 40000, 5, 51190, 51199, 51200, 60000):
        assert ebml.peek(at, 12) == data[at : at + 12]
    before = source.read
    for at in range(51000, 51200, 3):
        ebml.peek(at, 12)
    assert source.read - before <= 200, "the end of the file is read once, not for each header near it"
