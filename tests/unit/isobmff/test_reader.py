"""The reader stays in its box, and walks every form of header."""

from __future__ import annotations

import pytest

from drm.errors import MalformedMediaError, TruncatedMediaError
from drm.isobmff.box import TopBox, encode_box, encode_full_box, load_box, top_boxes
from drm.isobmff.box_tree import box_tree
from drm.isobmff.protection import Frma, Schm, Sinf, Tenc
from drm.isobmff.reader import MAX_DEPTH, Reader
from drm.keys import KeyId
from tests.unit.isobmff.conftest import Bytes


def test_every_form_of_size() -> None:
    plain = encode_box("aaaa", b"1")
    wide = b"\0\0\0\1bbbb" + (18).to_bytes(8, "big") + b"22"
    extended = encode_box("uuid", bytes(range(16)), b"333")
    to_the_end = b"\0\0\0\0dddd4444"
    boxes = list(Reader(plain + wide + extended + to_the_end, base=100).boxes())
    assert [(box.type, box.start, box.rest()) for box in boxes] == [
        ("aaaa", 100, b"1"),
        ("bbbb", 109, b"22"),
        ("uuid", 127, b"333"),
        ("dddd", 154, b"4444"),
    ]
    assert boxes[2].uuid == bytes(range(16))


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\7aaaa",  # smaller than its header
        b"\0\0\0\x09aaaa",  # larger than what is left
        b"\0\0\0\1aaaa" + (15).to_bytes(8, "big"),
        b"\0\0\0\1aaaa" + (1 << 63).to_bytes(8, "big"),
        b"\0\0\0\1aaaa\0\0",
        b"\0\0\0\x10uuid" + bytes(8),
        b"\0\0\0\x17uuid" + bytes(16),  # ends inside its own extended type
        encode_box("aaaa") + b"\0\0\1",
    ],
)
def test_an_impossible_size_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedMediaError):
        list(Reader(data).boxes())


def test_zeros_behind_the_last_box_are_padding() -> None:
    assert [box.type for box in Reader(encode_box("aaaa") + bytes(4)).boxes()] == ["aaaa"]


def test_what_is_behind_the_last_box_and_no_padding_is_too_short_for_a_header() -> None:
    with pytest.raises(MalformedMediaError) as refused:
        list(Reader(encode_box("aaaa") + b"\0\0\1").boxes())
    assert refused.value.seen == "8 bytes are needed here, 3 are left in the box"


def test_an_error_names_path_and_absolute_offset() -> None:
    outer = Reader(encode_box("moov", encode_box("trak", b"\1\2")), base=1000).next_box()
    with pytest.raises(MalformedMediaError) as refused:
        next(outer.boxes()).u32()
    assert refused.value.where == "moov/trak at byte 1016"
    assert refused.value.seen == "4 bytes are needed here, 2 are left in the box"


def test_nesting_is_bounded() -> None:
    data = b""
    for _ in range(MAX_DEPTH + 2):
        data = encode_box("moov", data)
    reader = Reader(data)
    for _ in range(MAX_DEPTH):
        reader = next(reader.boxes())
    with pytest.raises(MalformedMediaError, match="nested"):
        next(reader.boxes())


def test_a_part_of_a_box_ends_where_it_was_told_to() -> None:
    part = Reader(b"abcdef").part(4)
    assert part.take(3) == b"abc"
    with pytest.raises(MalformedMediaError):
        part.take(2)


def test_negative_sizes_are_refused() -> None:
    with pytest.raises(MalformedMediaError):
        Reader(b"abc").take(-1)
    with pytest.raises(MalformedMediaError):
        Reader(b"abc").skip(-1)


def test_outermost_boxes_are_walked_by_their_headers(build) -> None:
    stream = build.Bytes(encode_box("ftyp", b"isom") + encode_box("mdat", bytes(1 << 20)) + encode_box("moov"))
    assert [(top.type, top.start, top.size) for top in top_boxes(stream)] == [
        ("ftyp", 0, 12),
        ("mdat", 12, 8 + (1 << 20)),
        ("moov", 20 + (1 << 20), 8),
    ]
    assert max(size for _, size in stream.reads) == 16


@pytest.mark.parametrize("end", [4, 7, 11, 16, 19, 21, 27, 31])
def test_a_file_that_ends_inside_an_outermost_box_is_truncated(build, end: int) -> None:
    data = encode_box("ftyp", b"isom") + b"\0\0\0\1mdat" + (20).to_bytes(8, "big") + b"media"
    with pytest.raises(TruncatedMediaError) as refused:
        list(top_boxes(build.Bytes(data[:end])))
    assert f"of {end}" in refused.value.where


def test_the_tree_enters_sample_entries_and_leaves_media_alone(build) -> None:
    stream = build.Bytes(build.init(build.entry(None)) + encode_box("mdat", bytes(100)))
    ftyp, moov, mdat = box_tree(stream)
    assert (ftyp.type, mdat.payload) == ("ftyp", None)
    assert "avc1" in _types(moov)
    assert max(size for _, size in stream.reads) == moov.size


def test_the_tree_enters_an_encrypted_entry_of_text() -> None:
    """Its boxes lie behind the fields of the format that it was: one byte beside them, nothing of them is found."""
    sinf = Sinf(Frma("stpp"), Schm("cenc"), Tenc(KeyId(bytes(16)), 8)).encode()
    entry = encode_box("enct", bytes(8), b"http://www.w3.org/ns/ttml\0\0\0", sinf)
    moov = encode_box("moov", encode_full_box("stsd", 0, 0, (1).to_bytes(4, "big"), entry))
    (tree,) = box_tree(Bytes(moov))
    assert _types(tree) == {"moov", "stsd", "enct", "sinf", "frma", "schm", "schi", "tenc"}


def test_the_tree_ends_at_a_hundred_thousand_boxes() -> None:
    """Eight bytes of a file become hundreds of memory."""
    inside = encode_box("free") * 99_999
    (tree,) = box_tree(Bytes(encode_box("moov", inside)))
    assert len(tree.children) == 99_999
    with pytest.raises(MalformedMediaError, match="more than 100000 boxes"):
        list(box_tree(Bytes(encode_box("moov", inside, encode_box("free")))))


def test_a_box_of_more_than_a_quarter_of_a_gibibyte_is_not_loaded() -> None:
    """What a file says of its size costs it nothing; to hold so much costs the reader."""
    top = TopBox("moov", 0, 8, (256 << 20) + 1)
    with pytest.raises(MalformedMediaError, match="more than 268435456 are not read"):
        load_box(Bytes(b"\x10\0\0\1moov"), top)


def _types(node) -> set[str]:
    return {node.type}.union(*map(_types, node.children))
