"""Writes a decrypted file of the same size as its source: windows of what changes, and copies of what lies between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from drm.errors import TruncatedMediaError
from drm.forked_work import write_at

if TYPE_CHECKING:
    from drm.component import ByteStream  # loads what a decryption has no use for

__all__ = ["Piece", "Progress", "Writer", "windows"]

WINDOW: Final = 1 << 20  # bytes; more only for a piece that is larger
_MAX_BATCH: Final = 1024  # pieces of a window

Progress = Callable[[int, int], None]


class Piece(Protocol):
    """Bytes of the file that change."""

    @property
    def offset(self) -> int:
        """Where they begin."""

    @property
    def size(self) -> int:
        """How many they are."""


_P = TypeVar("_P", bound=Piece)


def windows(pieces: Iterable[_P]) -> Iterator[list[_P]]:
    """Pieces that lie one behind the other, as many at a time as make about `WINDOW` bytes."""
    batch: list[_P] = []
    reached = 0
    for piece in pieces:
        end = piece.offset + piece.size
        if batch and (piece.offset < reached or end > batch[0].offset + WINDOW or len(batch) == _MAX_BATCH):
            yield batch
            batch = []
        batch.append(piece)
        reached = end
    if batch:
        yield batch


class Writer:
    """Writes the target from the source, window by window, in one reused buffer."""

    def __init__(self, source: ByteStream, target: int, progress: Progress | None) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._buffer = memoryview(bytearray(WINDOW))

    def write(
        self, found: Iterable[Sequence[_P]], change: Callable[[_P, memoryview], None], share: int = 0, shares: int = 1
    ) -> None:
        """Write every window of this share, each with what lies before it; the first share ends with the rest.

        `change` gets each piece with its bytes, and changes them in place. What it raises, this raises.
        """
        at = 0
        for number, window in enumerate(found):
            start, end = window[0].offset, window[-1].offset + window[-1].size
            if number % shares == share:
                if start > at:
                    self.copy(at, start)
                data = self._read(start, end - start)
                for piece in window:
                    change(piece, data[piece.offset - start : piece.offset - start + piece.size])
                write_at(self._target, data, start)
                self._told(end)
            at = max(at, end)
        if share == 0:
            self.copy(at, self._source.size)

    def copy(self, start: int, end: int) -> None:
        """Copy what lies from `start` to `end` as it is."""
        while start < end:
            data = self._read(start, min(WINDOW, end - start))
            write_at(self._target, data, start)
            start += len(data)
            self._told(start)

    def _read(self, start: int, size: int) -> memoryview:
        if size > len(self._buffer):
            self._buffer = memoryview(bytearray(size))
        data = self._buffer[:size]
        if self._source.read_into(start, data) != size:
            raise TruncatedMediaError("the file became shorter while it was read", where=self._source.name)
        return data

    def _told(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._source.size)
