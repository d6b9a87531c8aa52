"""Writes a decrypted file of the same size as its source: windows of what changes, and copies of what lies between.

Both ways of decryption write through this, so nothing is imported here that a one-shot command would wait for.
"""

from __future__ import annotations

from drm.forked_work import write_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, TypeVar

    Progress = Callable[[int, int], None]

    # Bytes of the file that change: where they begin, where they end, and what they are to whoever changes them.
    _P = TypeVar("_P", bound=tuple[int, int, Any])

__all__ = ["WINDOW", "Writer", "windows"]

WINDOW = 1 << 20  # bytes; more only for a piece that is larger
_MAX_BATCH = 1024  # pieces of a window


def windows(pieces: Iterable[_P]) -> Iterator[list[_P]]:
    """Pieces that lie one behind the other, as many at a time as make about `WINDOW` bytes."""
    batch: list[_P] = []
    reached = limit = 0
    for piece in pieces:
        begin, end, _ = piece
        if batch and (end > limit or begin < reached or len(batch) == _MAX_BATCH):
            yield batch
            batch = []
        if not batch:
            limit = begin + WINDOW
        batch.append(piece)
        reached = end
    if batch:
        yield batch


class Writer:
    """Writes the target from the source, window by window, in one reused buffer."""

    def __init__(
        self,
        fill: Callable[[int, memoryview], None],
        size: int,
        target: int,
        progress: Progress | None = None,
        *,
        spare: int = 0,
    ) -> None:
        """`fill` reads the source, which has `size` bytes, from an offset until its buffer is full, or raises.

        `target` is a descriptor of the file that is written; behind a window the buffer has `spare` bytes of room.
        """
        self._fill, self._size, self._target, self._progress = fill, size, target, progress
        self._spare = spare
        self._buffer = memoryview(bytearray(WINDOW + spare))

    def write(
        self,
        found: Iterable[Sequence[_P]],
        change: Callable[[_P, memoryview, int], None],
        share: int = 0,
        shares: int = 1,
        *,
        skip: Callable[[_P], None] | None = None,
    ) -> None:
        """Write every window of this share, each with what lies before it; the first share ends with the rest.

        `change` gets each piece, the buffer, and where in it the piece begins, and changes it in place; `skip` is told
        of each piece that is another share's. What they raise, this raises.
        """
        at = 0
        for number, window in enumerate(found):
            start, end = window[0][0], window[-1][1]
            if number % shares == share:
                if start > at:
                    self.copy(at, start)
                data = self._read(start, end - start)
                for piece in window:
                    change(piece, self._buffer, piece[0] - start)
                write_at(self._target, data, start)
                self._told(end)
            elif skip is not None:
                for piece in window:
                    skip(piece)
            at = max(at, end)
        if share == 0:
            self.copy(at, self._size)

    def copy(self, start: int, end: int) -> None:
        """Copy what lies from `start` to `end` as it is."""
        while start < end:
            data = self._read(start, min(WINDOW, end - start))
            write_at(self._target, data, start)
            start += len(data)
            self._told(start)

    def _read(self, start: int, size: int) -> memoryview:
        if size + self._spare > len(self._buffer):
            self._buffer = memoryview(bytearray(size + self._spare))
        data = self._buffer[:size]
        self._fill(start, data)
        return data

    def _told(self, done: int) -> None:
        if self._progress is not None:
            self._progress(done, self._size)
