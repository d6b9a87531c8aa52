"""Where each fragment comes to lie when several processes write them: told from one to the next, once it is known.

How much a fragment grows is known when its samples have been looked at, and not before. So the process of each
fragment looks, waits for the end of the fragment before, tells where its own will end, and only then encrypts.
"""

from __future__ import annotations

import mmap
import os
import select
from collections.abc import Iterable
from struct import Struct
from typing import Final, Self

from drm.errors import DRMError

__all__ = ["FragmentOffsets", "FragmentOffsetsError"]

_PATIENCE: Final = 60.0  # seconds for the fragment before to be looked at, which takes milliseconds
_OFFSET: Final = Struct("<Q")


class FragmentOffsetsError(DRMError):
    """Another process failed, and knows why."""


class FragmentOffsets:
    """The offsets of `count` fragments, the first of them at `start`; fragment n is for process n modulo `jobs`.

    Made before the processes are forked. A context manager.
    """

    def __init__(self, start: int, count: int, jobs: int, counters: int = 0) -> None:
        """`counters`: how many numbers each process tells at its end."""
        self._jobs = jobs
        # One more than there are: where the last one ends. Behind it the numbers that processes tell.
        self._counters, self._counters_at = counters, count + 1
        self._table = mmap.mmap(-1, _OFFSET.size * (count + 1 + jobs * counters))
        _OFFSET.pack_into(self._table, 0, start)
        self._pipes = [os.pipe() for _ in range(jobs)] if jobs > 1 else []
        if self._pipes:
            os.write(self._pipes[0][1], b"+")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._table.close()
        for ends in self._pipes:
            for descriptor in ends:
                os.close(descriptor)

    def take(self, number: int, size: int) -> int:
        """Return where fragment `number`, of `size` bytes, begins; waits until that is known.

        Raises:
            FragmentOffsetsError: the process before failed.
        """
        if self._pipes:
            # A process that fails tells so to the next one, and all end: see `fail`.
            mine = self._pipes[number % self._jobs][0]
            if mine not in select.select([mine], [], [], _PATIENCE)[0] or os.read(mine, 1) != b"+":
                raise FragmentOffsetsError("another process failed")
        offset = self.offset(number)
        _OFFSET.pack_into(self._table, _OFFSET.size * (number + 1), offset + size)
        if self._pipes:
            os.write(self._pipes[(number + 1) % self._jobs][1], b"+")
        return offset

    def fail(self) -> None:
        """Let nobody wait for a fragment of this process."""
        for _, end in self._pipes:
            os.write(end, b"-")

    def tell(self, share: int, counts: Iterable[int]) -> None:
        """Say what process `share` counted, to whoever asks for `total` when all have ended."""
        for number, count in enumerate(counts):
            place = self._counters_at + share * self._counters + number
            _OFFSET.pack_into(self._table, _OFFSET.size * place, count)

    def total(self, number: int) -> int:
        """The sum of what all processes told as their count `number`, from 0."""
        places = range(self._counters_at + number, self._counters_at + self._jobs * self._counters, self._counters)
        return sum(_OFFSET.unpack_from(self._table, _OFFSET.size * place)[0] for place in places)

    def offset(self, number: int) -> int:
        """Where fragment `number` begins; known when it was taken."""
        found: int = _OFFSET.unpack_from(self._table, _OFFSET.size * number)[0]
        return found
