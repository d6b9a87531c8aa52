"""The clear file that is read."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from drm.errors import MediaError, TruncatedMediaError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_SAMPLE", "ClearSource", "SourceFile"]

MAX_SAMPLE: Final = 256 << 20  # bytes; held in memory


class ClearSource(Protocol):
    """Clear media to read at offsets: a file, or one that is made as it is read. A `drm.media.ByteSource`, and more."""

    name: str
    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises MediaError."""

    def read(self, offset: int, size: int) -> bytearray:
        """Return exactly `size` bytes from `offset`. Raises TruncatedMediaError."""

    def read_into(self, offset: int, data: memoryview) -> None:
        """Fill `data` from `offset`. Raises TruncatedMediaError."""


class SourceFile:
    """A file to read at offsets. A context manager."""

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise MediaError(f"the file cannot be opened: {error.strerror}", where=self.name) from error
        told = os.fstat(self._descriptor)
        self.size = told.st_size
        self.identity = told.st_dev, told.st_ino  # which file it is, whatever its name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end, however far behind it. Raises MediaError."""
        if not 0 <= offset < self.size:
            return b""  # a system's offsets have 63 bits, and what a file says has 64
        try:
            return os.pread(self._descriptor, min(size, self.size - offset), offset)
        except OSError as error:
            raise MediaError(f"the file cannot be read: {error.strerror}", where=self.name) from error

    def read(self, offset: int, size: int) -> bytearray:
        """Return exactly `size` bytes from `offset`. Raises TruncatedMediaError."""
        self._require(offset, size)
        data = bytearray(size)
        self.read_into(offset, memoryview(data))
        return data

    def read_into(self, offset: int, data: memoryview) -> None:
        """Fill `data` from `offset`. Raises TruncatedMediaError."""
        self._require(offset, len(data))
        at = 0
        while at < len(data):
            count = os.preadv(self._descriptor, [data[at:]], offset + at)
            if not count:
                raise TruncatedMediaError("the file became shorter while it was read", where=self.name)
            at += count

    def _require(self, offset: int, size: int) -> None:
        if offset < 0 or size > MAX_SAMPLE or offset + size > self.size:
            raise TruncatedMediaError(
                "a sample lies outside the file",
                where=f"{self.name}, at byte {offset} of {self.size}",
                seen=f"it has {size} bytes",
            )
