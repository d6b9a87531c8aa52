"""EBML (RFC 8794) over a byte source: elements whose sizes are checked before anything is read or allocated.

An element is never longer than what is around it, and errors name its path and offset. Nothing is held in memory but a
window of the file and the values that are asked for, each below a bound of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack
from typing import Final, NamedTuple, NoReturn

from drm.errors import MalformedMediaError, TruncatedMediaError, UnsupportedMediaError
from drm.media import ByteSource
from drm.webm.names import STREAMED, name_of

__all__ = ["Ebml", "Element", "encode_element", "encode_size", "encode_void", "read_size"]

MAX_VALUE: Final = 1 << 16  # bytes of one binary value (CodecPrivate); real ones have a few thousand
MAX_TEXT: Final = 1 << 12
_WINDOW: Final = 8 << 10  # bytes read at a time: a block's header and a little more
_MAX_ID: Final = 4  # bytes (EBMLMaxIDLength of Matroska)
_HEADER: Final = 12  # bytes of the longest id and the longest size
_ADVICE: Final = "the file is damaged or was cut; compare its size and hash with the original's"


class Element(NamedTuple):
    """An element by its place. `end` None: its size is unknown, it lasts as long as its children do."""

    id: int
    start: int  # absolute offset of its id
    data: int  # absolute offset of its contents
    end: int | None
    parent: Element | None = None

    @property
    def path(self) -> str:
        """Its name behind those of the elements around it: "Segment/Tracks/TrackEntry"."""
        name = name_of(self.id)
        return f"{self.parent.path}/{name}" if self.parent else name

    @property
    def limit(self) -> int | None:
        """Where it ends at the latest: its own end, or that of the nearest element around it that tells one."""
        if self.end is None and self.parent is not None:
            return self.parent.limit
        return self.end

    @property
    def size(self) -> int:
        """Bytes of its contents; 0 when that is unknown."""
        return 0 if self.end is None else self.end - self.data


def read_size(data: bytes, at: int = 0) -> tuple[int | None, int]:
    """Read a variable-size integer at `at`: its value (None: all ones, "unknown") and how many bytes it takes.

    A width of 0 means that it is cut, or that no integer begins like this.
    """
    if at >= len(data):
        return None, 0
    first = data[at]
    width = 9 - first.bit_length()
    if width > 8 or at + width > len(data):
        return None, 0
    mask = (1 << 7 * width) - 1
    value = int.from_bytes(data[at : at + width], "big") & mask
    return (None if value == mask else value), width


def encode_size(value: int | None, width: int = 0) -> bytes:
    """Write a variable-size integer in `width` bytes, or the fewest that it fits into; None is "unknown"."""
    if value is None:
        width = width or 1
        value = (1 << 7 * width) - 1
    elif not width:
        width = next(w for w in range(1, 9) if value < (1 << 7 * w) - 1)
    if not 0 <= value < 1 << 7 * width:
        raise ValueError(f"{value} does not fit into {width} bytes of a variable-size integer")
    return (value | 1 << 7 * width).to_bytes(width, "big")


def encode_element(ident: int, *payload: bytes, width: int = 0) -> bytes:
    """Put an id and a size of `width` bytes (0: the fewest) before `payload`."""
    head = ident.to_bytes((ident.bit_length() + 7) // 8, "big")
    return b"".join((head, encode_size(sum(map(len, payload)), width), *payload))


def encode_void(size: int) -> bytes:
    """A Void element of `size` bytes in all, its contents zeros. Two bytes are the least."""
    width = next(w for w in range(1, 9) if size - 1 - w < (1 << 7 * w) - 1)
    return b"\xec" + encode_size(size - 1 - width, width) + bytes(size - 1 - width)


class Ebml:
    """Reads elements through a window. One for each that reads on its own: they would take the window from each other.

    Methods raise MalformedMediaError where the file breaks the format and TruncatedMediaError where it ends early.
    """

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self._window = b""
        self._window_at = 0
        self.size = source.size

    # --------------------------------------------------------------------------------------------- place
    def where(self, at: int, element: Element | None) -> str:
        """Name a place for an error."""
        path = f" in {element.path}" if element else ""
        return f"{self._source.name}, at byte {at}{path}"

    def fail(self, what: str, at: int, element: Element | None, *, seen: str = "", maybe: str = "") -> NoReturn:
        """Raise MalformedMediaError for the byte `at` inside `element`."""
        raise MalformedMediaError(what, where=self.where(at, element), seen=seen, maybe=maybe, remedy=_ADVICE)

    def cut(self, what: str, at: int, element: Element | None, *, seen: str) -> NoReturn:
        """Raise TruncatedMediaError for the byte `at` inside `element`."""
        raise TruncatedMediaError(
            what,
            where=self.where(at, element),
            seen=seen,
            maybe="a download or a copy that was interrupted",
            remedy="compare the file's size with the original's",
        )

    def refuse(self, what: str, at: int, element: Element | None, *, seen: str) -> NoReturn:
        """Raise UnsupportedMediaError for the byte `at` inside `element`."""
        raise UnsupportedMediaError(
            what, where=self.where(at, element), seen=seen, remedy="package it again as WebM or as fragmented MP4"
        )

    # --------------------------------------------------------------------------------------------- bytes
    def peek(self, at: int, size: int) -> bytes:
        """Return up to `size` bytes from `at`; fewer at the end of the file."""
        begin = at - self._window_at
        if begin < 0 or begin + size > len(self._window):
            if 0 <= begin <= len(self._window) and self._window_at + len(self._window) >= self.size:
                return self._window[begin : begin + size]
            self._window = self._source.read_at(at, max(size, _WINDOW))
            self._window_at, begin = at, 0
        return self._window[begin : begin + size]

    def take(self, element: Element, limit: int = MAX_VALUE) -> bytes:
        """The contents of `element`, which may have `limit` bytes."""
        if element.size > limit:
            self.fail(
                f"a {name_of(element.id)} of {element.size} bytes; at most {limit} are read", element.start, element
            )
        data = self.peek(element.data, element.size)
        if len(data) < element.size:
            self.cut(
                "the file ends inside an element",
                element.start,
                element,
                seen=f"{len(data)} of {element.size} bytes could be read",
            )
        return data

    # --------------------------------------------------------------------------------------------- elements
    def element(self, at: int, parent: Element | None) -> Element:
        """The element whose id begins at `at`, inside `parent` (None: at the outermost level) and inside the file.

        A Segment and a Cluster may announce more than the file has: what they hold is read as far as it is there.
        """
        head = self.peek(at, _HEADER)
        if not head:
            self.cut("the file ends inside an element", at, parent, seen=f"the file has {self.size} bytes")
        width = 9 - head[0].bit_length()
        if width > _MAX_ID:
            self.fail(
                "no element begins here", at, parent, seen=f"the byte 0x{head[0]:02x} where an element id belongs"
            )
        ident = int.from_bytes(head[:width], "big")
        size, length = read_size(head, width)
        if not length and (len(head) == _HEADER or (len(head) > width and not head[width])):
            self.fail(f"the {name_of(ident)} element has no readable size", at, parent)
        if not length:
            self.cut("the file ends inside an element", at, parent, seen=f"{len(head)} bytes of its header are there")
        data = at + width + length
        found = Element(ident, at, data, None if size is None else data + size, parent)
        self._check(found, parent)
        return found

    def _check(self, found: Element, parent: Element | None) -> None:
        if found.end is None and found.id not in STREAMED:
            self.fail(f"the {name_of(found.id)} element has an unknown size", found.start, found)
        end = found.data if found.end is None else found.end
        limit = None if parent is None else parent.limit
        if limit is not None and end > limit:
            self.fail(
                f"the {name_of(found.id)} element is longer than what is around it",
                found.start,
                found,
                seen=f"it ends at byte {end}, what is around it at {limit}",
            )
        if found.end is not None and found.end > self.size and found.id not in STREAMED:
            self.cut(
                "the file ends inside an element",
                found.start,
                found,
                seen=f"the {name_of(found.id)} element ends at byte {found.end}, the file has {self.size}",
            )

    def children(self, parent: Element) -> Iterator[Element]:
        """The elements inside `parent`, whose size is known; those that nobody knows are among them."""
        at = parent.data
        end = parent.end
        assert end is not None
        while at < end:
            child = self.element(at, parent)
            if child.end is None:
                self.fail(f"a {name_of(child.id)} element does not belong here", at, child)
            yield child
            at = child.end

    # --------------------------------------------------------------------------------------------- values
    def uint(self, element: Element) -> int:
        """An unsigned integer of 0 to 8 bytes."""
        if element.size > 8:
            self.fail(f"an integer of {element.size} bytes; it has at most 8", element.start, element)
        return int.from_bytes(self.take(element), "big")

    def float(self, element: Element) -> float:
        """A number of 0, 4 or 8 bytes."""
        shape = {0: "", 4: ">f", 8: ">d"}.get(element.size)
        if shape is None:
            self.fail(f"a number of {element.size} bytes; it has 0, 4 or 8", element.start, element)
        return float(unpack(shape, self.take(element))[0]) if shape else 0.0

    def text(self, element: Element) -> str:
        """A string, without the zeros that may pad it."""
        return self.take(element, MAX_TEXT).split(b"\0")[0].decode("utf-8", "replace")
