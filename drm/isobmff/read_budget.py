"""A bound on what a small file can cost: samples that overlap can be told by few bytes and read for ever."""

from __future__ import annotations

from typing import Final

from drm.errors import MalformedMediaError

__all__ = ["ReadBudget"]

REUSE: Final = 16  # how many times its own size a file's samples may add up to


class ReadBudget:
    """Counts one track's samples and their bytes against the size of the file."""

    def __init__(self, file_size: int) -> None:
        self._file_size = file_size
        self._samples = 0
        self._bytes = 0

    def add(self, samples: int, size: int, place: str) -> None:
        """Count more. Raises MalformedMediaError beyond one sample per byte of the file, or `REUSE` times its bytes."""
        self._samples += samples
        self._bytes += size
        if self._samples > self._file_size or self._bytes > REUSE * self._file_size:
            raise MalformedMediaError(
                "the samples of one track are more than the file can hold",
                where=place,
                seen=f"{self._samples} samples of {self._bytes} bytes in a file of {self._file_size} bytes",
                maybe="a file made to keep its reader busy",
            )
