"""The way of bytes from the clear file to the encrypted one: read once into one buffer, changed there, written.

What is read lies in the buffer until something else is wanted; so whoever encrypts asks for a range, changes it in
place, and never copies it. New boxes are put in between, and old ones passed over.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from drm.encrypting.source_file import ClearSource

__all__ = ["CHUNK", "Copier"]

CHUNK: Final = 1 << 20  # bytes read at a time; more only for one range that is larger
_LONG: Final = 32 << 10  # bytes of a new box's part that is not kept waiting
_MAX_PIECES: Final = 256  # buffers of one pwritev; systems take 1024

Buffer = bytes | memoryview


class Copier:
    """Copies `source` to the file `target`, in order, from their begins unless it is told otherwise."""

    def __init__(self, source: ClearSource, target: int, progress: Callable[[int, int], None] | None = None) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._buffer = memoryview(bytearray(CHUNK))
        self._start = self._end = 0  # of the source, what lies in the buffer
        self._done = 0  # of the source, what was copied or passed over
        self._pieces: list[Buffer] = []  # to be written, some of them in the buffer
        self.written = 0  # of the target: where the next bytes go, behind those in `_pieces`

    def view(self, start: int, size: int) -> memoryview:
        """Return the bytes from `start`, which are copied later as they are by then. Nothing before them changes now.

        Asked for again when other ranges were asked for in between, bytes may come as they were in the source: change
        a range when it is asked for the last time. Raises TruncatedMediaError.
        """
        if start < self._start or start + size > self._end:
            self._load(start, size)
        at = start - self._start
        return self._buffer[at : at + size]

    def _load(self, start: int, size: int) -> None:
        self.copy(start)
        self.flush()
        # Reading ahead ends where the file does; a range that is too long for it fails.
        wanted = max(size, min(CHUNK, self._source.size - start))
        if wanted > len(self._buffer):
            self._buffer = memoryview(b"")  # freed before the larger one is made
            self._buffer = memoryview(bytearray(wanted))
        self._source.read_into(start, self._buffer[:wanted])
        self._start, self._end = start, start + wanted

    def copy(self, end: int) -> None:
        """Copy what lies up to `end`; nothing when that is done already."""
        while self._done < end:
            if not self._start <= self._done < self._end:
                self._fill(end)
            upto = min(end, self._end)
            self._put(self._buffer[self._done - self._start : upto - self._start])
            self._done = upto

    def _fill(self, end: int) -> None:
        self.flush()
        wanted = min(CHUNK, end - self._done)
        self._source.read_into(self._done, self._buffer[:wanted])
        self._start, self._end = self._done, self._done + wanted

    def put(self, data: bytes) -> None:
        """Write `data`, which the source does not have."""
        self._put(data)
        if len(data) >= _LONG:
            self.flush()

    def skip(self, end: int) -> None:
        """Pass over what lies up to `end`."""
        self._done = max(self._done, end)

    def jump(self, start: int) -> None:
        """Go on from `start` of the source, forwards; what lies between is somebody else's."""
        if start > self._done:
            self.flush()
            self._done = start

    def place(self, offset: int) -> None:
        """Go on at `offset` of the target. Nothing was put or copied since `jump`."""
        if offset != self.written:
            self.flush()
            self.written = offset

    def _put(self, data: Buffer) -> None:
        if len(self._pieces) == _MAX_PIECES:
            self.flush()
        if data:
            self._pieces.append(data)
            self.written += len(data)

    def flush(self) -> None:
        """Write what waits. Raises OSError."""
        pieces, self._pieces = self._pieces, []
        at = self.written - sum(map(len, pieces))
        while pieces:
            done = os.pwritev(self._target, pieces, at)
            at += done
            while pieces and done >= len(pieces[0]):
                done -= len(pieces.pop(0))
            if done:
                pieces[0] = memoryview(pieces[0])[done:]
        if self._progress is not None:
            self._progress(self._done, self._source.size)
