"""Payloads of boxes that are too long to be held: what stays in the file that is read, or bytes spooled for the output.

A film has a million samples, and a table of them more bytes than encrypting it needs memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, Protocol

from drm.isobmff.reader import Reader
from drm.isobmff.table import WINDOW, windows

__all__ = ["LongPayload", "Spool", "Unread"]

_HELD: Final = 256 << 10  # bytes of a spool that are in memory


class LongPayload(Protocol):
    """Bytes that come piece by piece, as often as they are asked for."""

    def __len__(self) -> int:
        """How many they are."""

    def pieces(self) -> Iterator[bytes]:
        """All of them, in order."""


class Unread:
    """What is left in the box of `reader`, as it stands."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def __len__(self) -> int:
        return self.reader.remaining

    def pieces(self) -> Iterator[bytes]:
        """All of it, in order. Raises TruncatedMediaError: the file became shorter."""
        return map(bytes, windows(self.reader))


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
