"""How much memory a PMP worker may use, and the error that says that it was not enough.

The application chooses the number, the worker holds itself to it (drm/lockdown/limits.py), and the decoder chooses by
it how large a picture may be and how many are worked on at once. Both processes; pure, but for a look at this process's
limit.
"""

from __future__ import annotations

import mmap
import resource
from typing import Final

from drm.errors import MemoryLimitError

__all__ = [
    "DEFAULT_MEMORY", "LEAST_MEMORY", "MOST_MEMORY", "is_out_of_memory", "memory_error", "private_limit",
    "private_share", "set_aside", "shared_share",
]  # fmt: skip

DEFAULT_MEMORY: Final = 1024
"""MiB. Pictures of 3840x2160 in 10 bits take a worker 420 to 570, with two to five threads (HEVC, five references)."""

LEAST_MEMORY: Final = 256
"""MiB. A worker that plays nothing yet has 80 of its own."""

MOST_MEMORY: Final = 64 << 10
"""MiB: more than any picture that a decoder knows."""

_RESERVE: Final = 4 << 20  # bytes
_set_aside: list[mmap.mmap] = []


def private_share(memory: int) -> int:
    """Bytes of `memory` (MiB) that are for the worker's own data: three quarters (RLIMIT_DATA)."""
    return (memory << 20) // 4 * 3


def shared_share(memory: int) -> int:
    """Bytes of `memory` (MiB) that are for memory shared with the application: the rest. No rlimit knows of it."""
    return (memory << 20) - private_share(memory)


def private_limit() -> int | None:
    """Bytes of data that this process may have; None: as many as there are, as in an application of its own."""
    limit, _ = resource.getrlimit(resource.RLIMIT_DATA)
    return None if limit == resource.RLIM_INFINITY else limit


def set_aside() -> None:
    """Keep a few MiB back, once, so that a process that has run out can still say so."""
    if not _set_aside:
        _set_aside.append(mmap.mmap(-1, _RESERVE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is what a lack of memory looks like: a thread that has no room for its stack is one, too."""
    return isinstance(error, MemoryError) or "can't start new thread" in str(error)


def memory_error(what: str = "", *, where: str = "", seen: str = "", private: int = 0) -> MemoryLimitError:
    """The error to raise, with the option that gives more. `private`: bytes of data that would do, where known."""
    while _set_aside:
        _set_aside.pop().close()
    limit = private_limit()
    if limit is None:
        return MemoryLimitError(what or "there is not enough memory to go on", where=where, seen=seen)
    memory = -(-limit * 4 // 3) >> 20
    wanted = max(2 * memory, -(-private * 4 // 3 >> 20))
    more = f"if the file is what it should be: clearkey play --worker-memory {wanted}"
    return MemoryLimitError(
        what or f"to go on takes more memory than the worker may use, which is {memory} MiB",
        where=where,
        seen=seen,
        maybe="the file is made to exhaust memory, or its pictures are very large",
        remedy=more if wanted <= MOST_MEMORY else "leave the track out: no worker may use so much",
    )
