"""A movie or fragment box as a tree that can be changed: what nobody touches comes out byte for byte as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from drm.errors import MalformedMediaError
from drm.isobmff.box import encode_box
from drm.isobmff.reader import Reader

__all__ = ["BoxTree"]

_CONTAINERS: Final = frozenset({"moov", "trak", "mdia", "minf", "stbl", "mvex", "moof", "traf"})


@dataclass(slots=True)
class BoxTree:
    """One box: a container with children, or a leaf with its payload as it stands (an extended type included)."""

    type: str
    payload: bytes = b""
    children: list[BoxTree] = field(default_factory=list)

    @classmethod
    def parse(cls, box: Reader) -> BoxTree:
        """Take the whole of `box`."""
        if box.type in _CONTAINERS:
            return cls(box.type, b"", [cls.parse(child) for child in box.boxes()])
        return cls(box.type, box.uuid + box.rest())

    @classmethod
    def of(cls, box: bytes) -> BoxTree:
        """Take one encoded box."""
        return cls.parse(Reader(box).next_box())

    def encode(self) -> bytes:
        """Return the whole box."""
        if self.type in _CONTAINERS:
            return encode_box(self.type, *(child.encode() for child in self.children))
        return encode_box(self.type, self.payload)

    @property
    def size(self) -> int:
        """Bytes of the whole box."""
        inner = len(self.payload) + sum(child.size for child in self.children)
        return inner + (8 if inner + 8 <= 0xFFFF_FFFF else 16)

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
        """A reader that stands at the payload of a leaf."""
        r = Reader(self.payload)
        r.type = r.path = self.type
        return r
