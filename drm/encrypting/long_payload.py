"""Payloads of boxes that are too long to be held: a part of the file that is read, or bytes spooled for the output.

A film has a million samples, and a table of them more bytes than encrypting it needs memory.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Final, Protocol

from drm.encrypting.source_file import ClearSource
from drm.errors import MalformedMediaError, TruncatedMediaError

__all__ = ["WINDOW", "FilePart", "LongPayload", "Spool"]

WINDOW: Final = 64 << 10
"""Bytes that are held of a payload at a time."""

_HELD: Final = 256 << 10  # bytes of a spool that are in memory


class LongPayload(Protocol):
    """Bytes that come piece by piece, as often as they are asked for."""

    def __len__(self) -> int:
        """How many they are."""

    def pieces(self) -> Iterator[bytes]:
        """All of them, in order."""


class FilePart:
    """The payload of a box of the type `kind`, from `begin` to `end` of the file that is read."""

    def __init__(self, source: ClearSource, kind: str, begin: int, end: int) -> None:
        self._source, self.kind, self._begin, self._end = source, kind, begin, end

    def __len__(self) -> int:
        return self._end - self._begin

    def pieces(self) -> Iterator[bytes]:
        """The payload as it stands in the file. Raises TruncatedMediaError."""
        return self._windows(self._begin, self._end)

    def _windows(self, at: int, end: int) -> Iterator[bytes]:
        while at < end:
            data = self._source.read_at(at, min(WINDOW, end - at))
            if not data:
                raise TruncatedMediaError("the file became shorter while it was read", where=self._source.name)
            yield data
            at += len(data)

    def word(self, at: int) -> int:
        """The number of 32 bits `at` bytes behind the beginning. Raises MalformedMediaError."""
        self.require(at + 4)
        return int.from_bytes(b"".join(self._windows(self._begin + at, self._begin + at + 4)), "big")

    def require(self, size: int) -> None:
        """Raise MalformedMediaError when the payload has fewer bytes than `size`."""
        if size > len(self):
            raise MalformedMediaError(
                f"the {self.kind} box ends before its contents do",
                where=f"{self._source.name}, at byte {self._begin}",
                seen=f"{size} bytes are needed, it has {len(self)}",
            )

    def tables(self, skip: int, count: int, code: str = "I") -> Iterator[array[int]]:
        """`count` big-endian numbers behind the first `skip` bytes, many at a time. Raises MalformedMediaError."""
        width = array(code).itemsize
        self.require(skip + count * width)
        begin = self._begin + skip
        for data in self._in_steps(begin, begin + count * width):
            table = array(code)
            table.frombytes(data)
            if sys.byteorder == "little":
                table.byteswap()
            yield table

    def _in_steps(self, at: int, end: int) -> Iterator[bytearray]:
        while at < end:
            size = min(WINDOW, end - at)
            yield self._source.read(at, size)
            at += size

    def numbers(self, skip: int, count: int, code: str = "I") -> Iterator[int]:
        """The same, one by one."""
        return chain.from_iterable(self.tables(skip, count, code))


class Spool:
    """Bytes that are added at the end, and read anywhere: held while they are few, then in a file without a name.

    The file is made in `folder`, where the output has its room, and disappears when it is closed. Raises OSError.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._descriptor = -1
        self._tail = bytearray()  # what is not in the file
        self._stored = 0  # bytes in the file
        self._window, self._window_at = b"", 0

    def __len__(self) -> int:
        return self._stored + len(self._tail)

    def extend(self, data: bytes) -> None:
        """Add `data`."""
        self._tail += data
        if len(self._tail) > _HELD:
            self._store()

    def _store(self) -> None:
        if self._descriptor < 0:
            self._descriptor = _unnamed(self._folder)
        with memoryview(self._tail) as view:
            done = 0
            while done < len(view):
                done += os.pwrite(self._descriptor, view[done:], self._stored + done)
        self._stored += len(self._tail)
        self._tail = bytearray()

    def read(self, at: int, size: int) -> bytes:
        """The `size` bytes from `at`, which are there. Quick for one range behind the other."""
        begin = at - self._window_at
        if begin < 0 or begin + size > len(self._window):
            self._window, self._window_at = self._load(at, max(size, WINDOW)), at
            begin = 0
        return self._window[begin : begin + size]

    def _load(self, at: int, size: int) -> bytes:
        found = bytearray()
        while len(found) < size and at + len(found) < self._stored:
            wanted = min(size, self._stored - at) - len(found)
            part = os.pread(self._descriptor, wanted, at + len(found))
            if not part:
                raise OSError("a file that nobody else knows became shorter")
            found += part
        begin = at + len(found) - self._stored
        if begin >= 0:
            found += self._tail[begin : begin + size - len(found)]
        return bytes(found)

    def pieces(self) -> Iterator[bytes]:
        """All that was added."""
        for at in range(0, len(self), WINDOW):
            yield self._load(at, WINDOW)

    def close(self) -> None:
        """Free the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _unnamed(folder: str) -> int:
    try:
        return os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        # Not every file system knows files without a name: here one gets a name and loses it.
        path = f"{folder}/.clearkey.{os.urandom(6).hex()}.part"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.unlink(path)  # noqa: PTH108 - pathlib costs 3 ms to import
        return descriptor
