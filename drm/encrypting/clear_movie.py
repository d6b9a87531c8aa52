"""The movie box of a clear file, without its tables: they stay in the file, whatever their length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import unpack_from
from typing import Final

from drm.encrypting.box_tree import CONTAINERS, BoxTree
from drm.encrypting.long_payload import FilePart
from drm.encrypting.source_file import ClearSource
from drm.errors import MalformedMediaError, MediaError
from drm.isobmff.box import MAX_LOADED, TopBox, load_box
from drm.isobmff.reader import MAX_DEPTH, Reader
from drm.isobmff.tracks import Movie, parse_moov

__all__ = ["TABLES", "ClearMovie", "read_movie"]

TABLES: Final = frozenset({"stts", "ctts", "stsz", "stz2", "stsc", "stco", "co64", "stss"})
"""Boxes of `stbl` that have a row for each sample, chunk or run of them."""

_SHORT: Final = 64 << 10  # bytes of a box that is held
_PARSED: Final = TABLES | frozenset(
    {"mvhd", "tkhd", "mdhd", "hdlr", "edts", "stsd", "pssh", "sgpd", "saiz", "saio", "senc", "uuid"}
)
_MOST_BOXES: Final = 100_000
_EMPTY: Final = bytes(7) + b"\x08" + bytes(4)  # of whichever table: no rows (stz2: of eight bits each)


@dataclass(frozen=True, slots=True)
class ClearMovie:
    """What `moov` says, but for the tables; and the box itself, which can be changed and written."""

    movie: Movie  # long tables are empty in it
    tree: BoxTree


def read_movie(source: ClearSource, place: TopBox, warn: Callable[[str], None]) -> ClearMovie:
    """Read the `moov` that lies at `place`. Raises MalformedMediaError; what is only odd goes to `warn`."""
    if place.size > MAX_LOADED:
        load_box(source, place)  # which says so
    try:
        boxes = _Boxes(source)
        tree = BoxTree("moov", b"", boxes.load("moov", place.start + place.header, place.end, 1))
        warnings: list[str] = []
        movie = parse_moov(Reader(_outline(tree).encode(), base=place.start).next_box(), warnings.append)
    except MediaError:
        parse_moov(load_box(source, place), _unheard)  # says where in the file it is at fault
        raise
    for warning in warnings:
        warn(warning)
    return ClearMovie(movie, tree)


def _unheard(_warning: str) -> None:
    pass


class _Boxes:
    def __init__(self, source: ClearSource) -> None:
        self._source = source
        self._count = 0

    def load(self, parent: str, at: int, end: int, depth: int) -> list[BoxTree]:
        """The boxes of `parent`, which lie from `at` to `end` of the file. Raises MalformedMediaError."""
        source, found = self._source, []
        while end - at >= 8:
            head = source.read_at(at, 16)
            size, kind, header = *unpack_from(">I4s", head), 8
            if size == 1 and len(head) == 16:
                size, header = int.from_bytes(head[8:], "big"), 16
            elif size == 0:
                size = end - at
            self._count += 1
            if size < header or size > end - at or depth > MAX_DEPTH or self._count > _MOST_BOXES:
                raise MalformedMediaError(
                    "the boxes of moov do not fit into one another, or are very many",
                    where=f"{source.name}, at byte {at}",
                )
            found.append(self._box(parent, kind.decode("latin-1"), at + header, at + size, depth))
            at += size
        if any(source.read_at(at, end - at)):
            raise MalformedMediaError("moov ends inside a box", where=f"{source.name}, at byte {at}")
        return found

    def _box(self, parent: str, kind: str, begin: int, end: int, depth: int) -> BoxTree:
        if kind in CONTAINERS:
            return BoxTree(kind, b"", self.load(kind, begin, end, depth + 1))
        if (kind in TABLES and parent == "stbl") or (end - begin > _SHORT and not self._is_parsed(kind, begin)):
            return BoxTree(kind, body=FilePart(self._source, kind, begin, end))
        return BoxTree(kind, bytes(self._source.read(begin, end - begin)))

    def _is_parsed(self, kind: str, begin: int) -> bool:
        return kind in _PARSED or (kind == "sbgp" and self._source.read_at(begin + 4, 4) == b"seig")


def _outline(tree: BoxTree) -> BoxTree:
    """The same with nothing in long boxes that stay in the file; short ones are read, and so judged, as everywhere."""
    if tree.body is not None and len(tree.body) <= _SHORT:
        return BoxTree(tree.type, b"".join(tree.body.pieces()))
    if tree.body is not None:
        return BoxTree(tree.type, _EMPTY if tree.type == "stz2" else bytes(len(_EMPTY)))
    return BoxTree(tree.type, tree.payload, [_outline(child) for child in tree.children])
