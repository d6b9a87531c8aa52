"""A file with bytes put in and taken out near its head: what moves, and which offsets must follow (ISO/IEC 14496-12).

Counted from the beginning of the file, and so corrected: chunk offsets (`stco`, `co64`, 8.7.5), the places of auxiliary
information (`saio`, 8.7.9), the base of a track fragment's data (`tfhd`, 8.8.7), and the indices of fragments (`sidx`,
`tfra`; `drm.encrypting.index_boxes`). All else counts from a box that moves along.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import pack, unpack
from typing import BinaryIO, Final

from msgspec.structs import replace

from drm.encrypting.index_boxes import Moves
from drm.errors import UnsupportedMediaError
from drm.isobmff.box import TopBox, load_box
from drm.isobmff.reader import Reader
from drm.isobmff.sample_aux import Saio, Saiz
from drm.media import ByteSource

__all__ = ["Edit", "Edits", "correct_offsets"]

_ABSOLUTE_BASE: Final = 0x1  # base_data_offset is there, in the flags of tfhd
_DATA_OFFSET: Final = 0x1  # data_offset is there, in the flags of trun
_PROBED: Final = 64  # entries of auxiliary information that are looked at
_WITHIN: Final = frozenset({"trak", "mdia", "minf", "dinf", "stbl"})
_REMEDY: Final = "make room first, so that nothing has to move: write the file anew with a free box in moov"

_Patch = tuple[int, bytes]  # offset in the file as it was, and what is to stand there


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `start` to `end` give way to `data`."""

    start: int
    end: int
    data: bytes = b""

    @property
    def growth(self) -> int:
        """Bytes by which what lies behind it moves."""
        return len(self.data) - (self.end - self.start)


class Edits:
    """Edits that do not overlap, in the order of the file."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = sorted(edits, key=lambda edit: (edit.start, edit.end))

    def __iter__(self) -> Iterator[Edit]:
        return iter(self._edits)

    @property
    def end(self) -> int:
        """Offset, in the file as it was, behind the last of them: what lies there moves by one distance."""
        return max((edit.end for edit in self._edits), default=0)

    def growth(self, start: int, end: int) -> int:
        """Bytes by which the part from `start` to `end` grows; edits lie in it whole, or outside."""
        return sum(edit.growth for edit in self._edits if start <= edit.start and edit.end <= end)

    def moved(self, offset: int) -> int:
        """Where the byte at `offset` lies afterwards."""
        return offset + sum(edit.growth for edit in self._edits if edit.end <= offset)


def correct_offsets(source: ByteSource, tops: Sequence[TopBox], edits: Edits, out: BinaryIO) -> None:
    """Correct `out`, which holds the whole of `source` with `edits` made, inside its `moov` and behind it.

    `tops` are the outermost boxes of `source`. Leaves `out` at its end.

    Raises:
        UnsupportedMediaError: an offset cannot be corrected: it would need more bits, or points where no box begins.
        MalformedMediaError: a box that holds offsets is broken.
    """
    patches: list[_Patch] = []
    tail_moves = edits.moved(source.size) != source.size
    for top in tops:
        if top.type == "moov":
            patches += _in_movie(load_box(source, top), edits, tail_moves=tail_moves)
        elif top.type == "moof" and tail_moves:
            patches += _in_fragment(load_box(source, top), edits, source)
        elif top.type == "meta" and tail_moves:
            _refuse_items(load_box(source, top))
    for offset, data in patches:
        out.seek(edits.moved(offset))
        out.write(data)
    if tail_moves:
        _correct_indices(tops, edits, out)
    out.seek(0, 2)


def _correct_indices(tops: Sequence[TopBox], edits: Edits, out: BinaryIO) -> None:
    moves = Moves()
    for top in tops:
        # A sidx counts from its own end: behind all edits it is right as it is, and may name what is not in this file.
        known = top.type == "sidx" and top.end >= edits.end
        moves.note(replace(top, type="") if known else top, edits.moved(top.start))
    moves.correct(out)


def _in_movie(box: Reader, edits: Edits, *, tail_moves: bool) -> Iterator[_Patch]:
    for child in box.boxes():
        if child.type in _WITHIN:
            yield from _in_movie(child, edits, tail_moves=tail_moves)
        elif child.type == "dref" and tail_moves:
            _refuse_other_files(child)
        elif child.type == "meta" and tail_moves:
            _refuse_items(child)
        elif child.type in {"stco", "co64"}:
            child.full_box()
            yield from _table(child, 4 if child.type == "stco" else 8, edits)
        elif child.type == "saio":
            yield from _saio(child, edits)


def _saio(box: Reader, edits: Edits) -> Iterator[_Patch]:
    version, flags = box.full_box()
    box.skip(8 * (flags & 1))
    yield from _table(box, 8 if version else 4, edits)


def _table(box: Reader, width: int, edits: Edits) -> Iterator[_Patch]:
    """The count and the offsets that `box` stands at, if any of them changes."""
    count, at = box.u32(), box.offset
    if count * width > box.remaining:
        box.fail(f"the {box.type} box ends before its offsets do", seen=f"{count} offsets, {box.remaining} bytes left")
    letter = "Q" if width == 8 else "I"
    old = unpack(f">{count}{letter}", box.take_view(count * width))
    new = [edits.moved(offset) for offset in old]
    if max(new, default=0) >> 8 * width:
        raise UnsupportedMediaError(
            f"an offset in {box.path} would pass {8 * width} bits",
            seen=f"{max(old)} bytes and {max(new) - max(old)} more",
            remedy=_REMEDY,
        )
    if new != list(old):
        yield at, pack(f">{count}{letter}", *new)


def _in_fragment(moof: Reader, edits: Edits, source: ByteSource) -> Iterator[_Patch]:
    for traf in moof.boxes():
        if traf.type != "traf":
            continue
        base, at = moof.start, None
        first: int | None = None  # data offset of the first run
        sizes: Sequence[int] = b""
        saios: list[Reader] = []
        for box in traf.boxes():
            if box.type == "tfhd":
                _version, has = box.full_box()
                box.skip(4)
                if has & _ABSOLUTE_BASE:
                    at, base = box.offset, box.u64()
            elif box.type == "trun" and first is None:
                _version, has = box.full_box()
                box.skip(4)
                first = box.i32() if has & _DATA_OFFSET else 0
            elif box.type == "saio":
                saios.append(box)
            elif box.type == "saiz":
                saiz = Saiz.parse(box)
                alike = bytes((saiz.default_size,)) * min(saiz.sample_count, _PROBED)
                sizes = alike if saiz.default_size else saiz.sizes[:_PROBED]
        if at is not None:
            # The base may be any place, outside the data too; what has to stay right is where the data is.
            data = base + (first or 0)
            moved = base + edits.moved(data) - data
            if not 0 <= moved < 1 << 64:
                moof.fail("a track fragment's base_data_offset lies outside any file", seen=f"byte {base}")
            yield at, pack(">Q", moved)
        for saio in saios:
            if _is_absolute(saio.copy(), (base, moof.start), sizes, source):
                yield from _saio(saio, edits)


def _is_absolute(saio: Reader, bases: Sequence[int], sizes: Sequence[int], source: ByteSource) -> bool:
    """Whether the offsets count from the beginning of the file, as some writers have it, instead of from `bases`.

    The bases are tried in the order in which `drm.isobmff.fragment_crypto` tries them.
    """
    offsets = Saio.parse(saio).offsets
    if not offsets or any(_is_auxiliary(source, base + offsets[0], sizes) for base in bases):
        return False
    return _is_auxiliary(source, offsets[0], sizes)


def _is_auxiliary(source: ByteSource, at: int, sizes: Sequence[int]) -> bool:
    """Whether entries of `sizes` bytes can stand at `at`: an IV, and subsamples that say their own number."""
    data = source.read_at(at, sum(sizes)) if at < source.size else b""
    return len(data) == sum(sizes) > 0 and any(_are_entries(data, sizes, iv_size) for iv_size in (8, 16, 0))


def _are_entries(data: bytes, sizes: Sequence[int], iv_size: int) -> bool:
    at = 0
    for size in sizes:
        if size > iv_size:
            count = int.from_bytes(data[at + iv_size : at + iv_size + 2], "big")
            if size != iv_size + 2 + 6 * count:
                return False
        elif size not in {0, iv_size}:
            return False
        at += size
    return True


def _refuse_other_files(dref: Reader) -> None:
    """Chunk offsets count from the beginning of the file that holds the media, which may be another one."""
    dref.full_box()
    dref.skip(4)
    for entry in dref.boxes():
        _version, flags = entry.full_box()
        if not flags & 1 and entry.remaining > 1:
            raise UnsupportedMediaError(
                "the media lies in another file, which is not moved", where=entry.path, remedy=_REMEDY
            )


def _refuse_items(meta: Reader) -> None:
    """Items (pictures, mostly) have a table of offsets of their own."""
    is_quicktime = meta.remaining >= 8 and meta.copy().take(8)[4:] == b"hdlr"
    if meta.remaining and not is_quicktime:
        meta.full_box()
    if any(box.type == "iloc" for box in meta.boxes()):
        raise UnsupportedMediaError("the file holds items whose places would change", where=meta.path, remedy=_REMEDY)
