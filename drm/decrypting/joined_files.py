"""Several files read as one, one behind the other: an initialization segment and its media segments."""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from drm.errors import InvalidArgumentError, TruncatedMediaError

__all__ = ["JoinedFiles"]


class JoinedFiles:
    """Keeps `drm.component.ByteStream`. Use it in a `with` block.

    Raises:
        InvalidArgumentError: no path, or one that is missing, is no regular file, or may not be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise InvalidArgumentError("no file was given")
        more = len(paths) - 1
        self.name = f"{paths[0]} and {more} more" if more else str(paths[0])
        self.descriptors: list[int] = []
        self.identities: list[tuple[int, int]] = []  # st_dev and st_ino: which files they are, whatever their names
        self.size = 0
        self._starts: list[int] = []
        try:
            for path in paths:
                self._open(path)
        except BaseException:
            self._close()
            raise

    def _open(self, path: Path) -> None:
        try:
            # Not blocking: a FIFO that nobody writes to would wait for ever.
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise InvalidArgumentError(f"the file cannot be opened: {error.strerror}", where=str(path)) from None
        self.descriptors.append(file)
        told = os.fstat(file)
        if not stat.S_ISREG(told.st_mode):
            raise InvalidArgumentError("this is not a regular file", where=str(path))
        self.identities.append((told.st_dev, told.st_ino))
        self._starts.append(self.size)
        self.size += told.st_size

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end."""
        data = bytearray(max(0, min(size, self.size - offset)))
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`; return how many bytes were there. Raises TruncatedMediaError: a file shrank."""
        wanted = max(0, min(len(into), self.size - offset))
        done = 0
        while done < wanted:
            index = bisect_right(self._starts, offset + done) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
            part = into[done : done + min(wanted - done, end - offset - done)]
            count = os.preadv(self.descriptors[index], [part], offset + done - self._starts[index])
            if not count:
                raise TruncatedMediaError("the file became shorter while it was read", where=self.name)
            done += count
        return done

    def fill(self, offset: int, into: memoryview) -> None:
        """Fill all of `into` from `offset`. Raises TruncatedMediaError: so much is not there any more."""
        if self.read_into(offset, into) != len(into):
            raise TruncatedMediaError("the file became shorter while it was read", where=self.name)

    def _close(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
