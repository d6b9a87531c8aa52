"""A movie or fragment box as a tree that can be changed: what nobody touches comes out byte for byte as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import pack
from typing import Final

from drm.encrypting.long_payload import LongPayload, Unread
from drm.errors import MalformedMediaError
from drm.isobmff.reader import Reader

__all__ = ["CONTAINERS", "BoxTree"]

CONTAINERS: Final = frozenset({"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf"})
"""Boxes whose children are known one by one."""

_LARGEST: Final = 0xFFFF_FFFF  # bytes of a box whose size has 32 bits
_SHORT: Final = 64 << 10  # bytes of a leaf that is held


@dataclass(slots=True)
class BoxTree:
    """One box: a container with children, or a leaf with its payload as it stands (an extended type included)."""

    type: str
    payload: bytes = b""
    children: list[BoxTree] = field(default_factory=list)
    body: LongPayload | None = None  # of a leaf: what stands behind `payload` and is too long to be held

    @classmethod
    def parse(cls, box: Reader) -> BoxTree:
        """Take the whole of `box`; long leaves stay where they lie."""
        if box.type in CONTAINERS:
            return cls(box.type, b"", [cls.parse(child) for child in box.boxes()])
        if box.remaining > _SHORT:
            return cls(box.type, box.uuid, body=Unread(box))
        return cls(box.type, box.uuid + box.rest())

    @classmethod
    def full(cls, box_type: str, version: int, flags: int, *payload: bytes | bytearray) -> BoxTree:
        """A leaf with version and flags before its payload."""
        return cls(box_type, b"".join((pack(">I", version << 24 | flags), *payload)))

    @classmethod
    def of(cls, box: bytes) -> BoxTree:
        """Take one encoded box."""
        return cls.parse(Reader(box).next_box())

    def encode(self) -> bytes:
        """Return the whole box."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The whole box in parts: the tables of a film are long."""
        size = self.size
        if size > _LARGEST:
            yield pack(">I4sQ", 1, self.type.encode("latin-1"), size)
        else:
            yield pack(">I4s", size, self.type.encode("latin-1"))
        if self.payload:
            yield self.payload
        if self.body is not None:
            yield from self.body.pieces()
        for child in self.children:
            yield from child.pieces()

    @property
    def size(self) -> int:
        """Bytes of the whole box."""
        inner = len(self.payload) + sum(child.size for child in self.children)
        if self.body is not None:
            inner += len(self.body)
        return inner + (8 if inner + 8 <= _LARGEST else 16)

    def offset_of(self, wanted: BoxTree) -> int:
        """Where the box `wanted` begins, counted from the beginning of this one. Raises ValueError: not in here."""
        if self is wanted:
            return 0
        at = self.size - sum(child.size for child in self.children)
        for child in self.children:
            with contextlib.suppress(ValueError):
                return at + child.offset_of(wanted)
            at += child.size
        raise ValueError(f"{wanted.type} is not in {self.type}")

    def all(self, *path: str) -> Iterator[BoxTree]:
        """Every box at `path` below this one."""
        if not path:
            yield self
            return
        for child in self.children:
            if child.type == path[0]:
                yield from child.all(*path[1:])

    def one(self, *path: str) -> BoxTree:
        """The first box at `path`. Raises MalformedMediaError when there is none."""
        for found in self.all(*path):
            return found
        raise MalformedMediaError(f"{self.type} lacks {'/'.join(path)}")

    def reader(self) -> Reader:
        """A reader that stands at the payload of a leaf, which nobody has put together out of parts."""
        if isinstance(self.body, Unread):
            return self.body.reader.copy()
        r = Reader(self.payload)
        r.type = r.path = self.type
        return r
