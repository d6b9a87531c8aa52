"""Bytes of files at offsets, for media sources: one file, or an initialization and its media segments as one."""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

from drm.errors import InvalidArgumentError, MediaError, TruncatedMediaError

__all__ = ["FileByteStream"]


class FileByteStream:
    """Keeps `drm.component.ByteStream`: several paths are read as one stream, one behind the other.

    Sizes are fixed when it is opened: a file that shrinks while it is read raises TruncatedMediaError, and what is
    appended to it is not seen. Safe to use from several threads; close it, or use it in a `with` block.

    Raises:
        InvalidArgumentError: no path was given, or one that is missing, is a directory or may not be read.
    """

    def __init__(self, paths: Path | str | Iterable[Path | str]) -> None:
        self._paths = [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]
        if not self._paths:
            raise InvalidArgumentError("no file was given")
        self._files: list[int] = []
        self._starts: list[int] = []
        self._size = 0
        try:
            for each in self._paths:
                self._files.append(_open(each))
                self._starts.append(self._size)
                self._size += os.fstat(self._files[-1]).st_size
        except BaseException:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The first path, and how many follow."""
        more = len(self._paths) - 1
        return f"{self._paths[0]} and {more} more" if more else str(self._paths[0])

    @property
    def size(self) -> int:
        """Length of all files, in bytes."""
        return self._size

    @property
    def descriptors(self) -> tuple[int, ...]:
        """One for each file, for reading alone. They stay this stream's to close."""
        return tuple(self._files)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Length of each file when it was opened, in bytes."""
        return tuple(end - start for start, end in pairwise([*self._starts, self._size]))

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end."""
        room = max(0, min(size, self._size - offset))
        if not room:
            return b""
        data = bytearray(room)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`, straight from the kernel; return how many bytes were there.

        Raises:
            TruncatedMediaError: a file became shorter than it was when it was opened.
            MediaError: the device cannot read it.
        """
        wanted = max(0, min(len(into), self._size - offset))
        done = 0
        while done < wanted:
            index = bisect_right(self._starts, offset + done) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self._size
            part = into[done : done + min(wanted - done, end - offset - done)]
            done += self._read(index, offset + done - self._starts[index], part)
        return done

    def _read(self, index: int, offset: int, part: memoryview) -> int:
        try:
            count = os.preadv(self._files[index], [part], offset)
        except OSError as error:
            raise MediaError(
                f"the file cannot be read: {error.strerror}", where=f"{self._paths[index]} at byte {offset}"
            ) from error
        if count == 0:
            raise TruncatedMediaError(
                "the file became shorter while it was read",
                where=f"{self._paths[index]} at byte {offset}",
                maybe="another program is writing it",
                remedy="wait until it is finished, then try again",
            )
        return count

    def close(self) -> None:
        """Close the files; nothing can be read afterwards."""
        while self._files:
            os.close(self._files.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> int:
    try:
        # Not blocking: opening a FIFO that nobody writes to would wait for ever.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidArgumentError(f"the file cannot be opened: {error.strerror}", where=str(path)) from None
    mode = os.fstat(file).st_mode
    if not stat.S_ISREG(mode):
        os.close(file)
        kind = "a directory" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise InvalidArgumentError(f"this is {kind}, not a file", where=str(path), remedy="give a regular file")
    return file
