"""A ring of samples that counts as memory which the worker shares with its application. Worker only."""

from __future__ import annotations

from drm.lockdown.limits import count_shared
from drm.wire.ring import RingReader

__all__ = ["SharedRing"]


class SharedRing(RingReader):
    """A ring that counts as shared memory of this process until it is closed."""

    def __init__(self, fd: int, size: int) -> None:
        """Raises WireError as RingReader, and MemoryLimitError when too much would be mapped at once."""
        self._counted = 0
        count_shared(size)
        self._counted = size
        try:
            super().__init__(fd, size)
        except BaseException:
            self._give_back()
            raise

    def close(self) -> None:
        """Unmap. Memory that somebody still looks at counts until then."""
        super().close()
        self._give_back()

    def _give_back(self) -> None:
        count_shared(-self._counted)
        self._counted = 0
