"""The clear file that is read, and the copying of its bytes with samples encrypted on the way."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from drm.errors import MalformedMediaError, MediaError, TruncatedMediaError
from drm.packaging.protected_track import SampleJob

__all__ = ["SourceFile", "copy_encrypting"]

_CHUNK: Final = 1 << 20  # bytes copied at a time
MAX_SAMPLE: Final = 256 << 20  # bytes; held in memory


class SourceFile:
    """A file to read at offsets. A context manager."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise MediaError(f"the file cannot be opened: {error.strerror}", where=self.name) from error
        self.size = os.fstat(self._descriptor).st_size

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end."""
        return os.pread(self._descriptor, size, offset)

    def read(self, offset: int, size: int) -> bytearray:
        """Return exactly `size` bytes from `offset`. Raises TruncatedMediaError."""
        if size > MAX_SAMPLE or offset + size > self.size:
            raise TruncatedMediaError(
                "a sample lies outside the file",
                where=f"{self.name}, at byte {offset} of {self.size}",
                seen=f"it has {size} bytes",
            )
        data = bytearray(size)
        if os.preadv(self._descriptor, [data], offset) < size:
            raise TruncatedMediaError("the file became shorter while it was read", where=self.name)
        return data


def copy_encrypting(
    source: SourceFile, start: int, end: int, jobs: Sequence[SampleJob], out: BinaryIO, first: int = 0
) -> int:
    """Copy the bytes from `start` to `end`, encrypting the samples of `jobs` that lie there.

    `jobs` are ordered and do not overlap; those before `first` are done already. Returns the place of the next job.

    Raises:
        MalformedMediaError: the next sample lies across `start` or `end`, or before them.
    """
    at = start
    while first < len(jobs) and jobs[first].offset < end:
        job = jobs[first]
        if job.offset < start or job.end > end:
            raise MalformedMediaError(
                "a sample lies outside the media data",
                where=source.name,
                seen=f"it has the bytes {job.offset} to {job.end}, the media data {start} to {end}",
            )
        _copy(source, at, job.offset, out)
        sample = memoryview(source.read(job.offset, job.size))
        job.encrypter.encrypt_into(sample, job.crypto, sample)
        out.write(sample)
        at = job.end
        first += 1
    _copy(source, at, end, out)
    return first


def _copy(source: SourceFile, start: int, end: int, out: BinaryIO) -> None:
    out.writelines(source.read(at, min(_CHUNK, end - at)) for at in range(start, end, _CHUNK))
