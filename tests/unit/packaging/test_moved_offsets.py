"""Offsets that count from the beginning of a file, when bytes go in and out before what they point to."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from drm.encrypting.source_file import SourceFile
from drm.errors import MediaError, UnsupportedMediaError
from drm.isobmff.box import encode_box, encode_full_box, top_boxes
from drm.packaging.moved_offsets import Edit, Edits, correct_offsets


def test_where_bytes_move() -> None:
    edits = Edits([Edit(50, 60, b""), Edit(20, 20, bytes(7))])
    assert [edits.moved(at) for at in (0, 19, 20, 49, 50, 60, 90)] == [0, 19, 27, 56, 57, 57, 87]
    assert (edits.growth(0, 30), edits.growth(0, 90), edits.end) == (7, -3, 60)


def movie(*stbl: bytes, dref: bytes = b"", meta: bytes = b"") -> bytes:
    """A movie box with these boxes where tables of offsets are."""
    dinf = encode_box("dinf", encode_full_box("dref", 0, 0, struct.pack(">I", bool(dref)), dref))
    minf = encode_box("minf", dinf, encode_box("stbl", *stbl))
    return encode_box("moov", encode_box("trak", encode_box("mdia", minf)), meta)


def corrected(data: bytes, tmp_path: Path) -> bytes:
    """`data` with seven bytes put in before its first box, and its offsets corrected."""
    path, out = tmp_path / "in", tmp_path / "out"
    path.write_bytes(data)
    with SourceFile(path) as source, out.open("w+b") as file:
        file.write(bytes(7) + data)
        correct_offsets(source, list(top_boxes(source)), Edits([Edit(0, 0, bytes(7))]), file)
    return out.read_bytes()[7:]


def table(name: str, version: int, flags: int, letter: str, *offsets: int) -> bytes:
    head = b"cenc\0\0\0\0" if flags else b""
    return encode_full_box(name, version, flags, head, struct.pack(f">I{len(offsets)}{letter}", len(offsets), *offsets))


@pytest.mark.parametrize(
    ("name", "version", "flags", "letter"),
    [("stco", 0, 0, "I"), ("co64", 0, 0, "Q"), ("saio", 0, 0, "I"), ("saio", 1, 0, "Q"), ("saio", 0, 1, "I")],
)
def test_tables_of_offsets_in_the_movie_box(tmp_path: Path, name: str, version: int, flags: int, letter: str) -> None:
    before = movie(encode_box("abcd", b"x"), table(name, version, flags, letter, 100, 20))
    after = movie(encode_box("abcd", b"x"), table(name, version, flags, letter, 107, 27))
    assert corrected(before, tmp_path) == after


def test_a_table_that_is_cut_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="ends before its offsets do"):
        corrected(movie(encode_full_box("stco", 0, 0, struct.pack(">I", 1 << 30))), tmp_path)


def test_media_and_items_that_cannot_follow(tmp_path: Path) -> None:
    own = encode_full_box("url ", 0, 1)
    foreign = encode_full_box("url ", 0, 0, b"file:///other.mp4\0")
    items = encode_full_box("meta", 0, 0, encode_box("iloc", b""))
    assert corrected(movie(dref=own), tmp_path) == movie(dref=own)
    for data, words in ((movie(dref=foreign), "another file"), (movie(meta=items), "items"), (items, "items")):
        with pytest.raises(UnsupportedMediaError, match=words):
            corrected(data, tmp_path)
