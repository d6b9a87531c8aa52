"""What a worker may use: data, descriptors, the stacks of its threads, and memory shared with the application.

The kernel counts data and descriptors, and refuses what is over. Address space tells little (a worker that plays a
small film has 540 MB of it, and 80 MB of data), so that is left alone. Shared mappings are no data to the kernel: they
are counted here, by what they could come to hold (drm/pmp/shared_ring.py). Code is neither: its pages belong to every
process that runs it.
"""

from __future__ import annotations

import ctypes
import resource
import threading
from typing import Final

from drm import worker_memory

__all__ = ["MAX_DESCRIPTORS", "apply", "count_shared"]

MAX_DESCRIPTORS: Final = 1024
"""The channel, the status, one for each sink, and those that come beside one message."""

_STACK: Final = 2 << 20  # bytes for each thread; elsewhere FFmpeg and Python run with less

_counting = threading.Lock()
_shared_left = worker_memory.shared_share(worker_memory.DEFAULT_MEMORY)


def apply(memory: int) -> None:
    """Hold this process to `memory` MiB, for good. Before the lock. Raises OSError."""
    global _shared_left  # noqa: PLW0603 - a limit of the process is one of the process
    _small_stacks()
    worker_memory.set_aside()
    _shared_left = worker_memory.shared_share(memory)
    data = worker_memory.private_share(memory)
    for limit, most in ((resource.RLIMIT_NOFILE, MAX_DESCRIPTORS), (resource.RLIMIT_DATA, data)):
        _, hard = resource.getrlimit(limit)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (wanted, wanted))


def count_shared(size: int) -> None:
    """Take `size` bytes of what may be shared with the application, or give back as many with a negative number.

    Raises MemoryLimitError: too much would be mapped at once.
    """
    global _shared_left  # noqa: PLW0603
    with _counting:
        if size > _shared_left:
            raise worker_memory.memory_error(
                "the streams of this worker share more memory with the application than it may map",
                seen=f"{size >> 20} MiB are wanted, and {_shared_left >> 20} are left",
            )
        _shared_left -= size


def _small_stacks() -> None:
    """The stack of a thread counts as data, and an application started with `ulimit -s` may have made it any size."""
    threading.stack_size(_STACK)
    libc = ctypes.CDLL(None)
    attributes = ctypes.create_string_buffer(64)  # pthread_attr_t: 56 bytes on x86-64, 64 on aarch64
    if hasattr(libc, "pthread_setattr_default_np") and libc.pthread_attr_init(attributes) == 0:
        libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(_STACK))
        libc.pthread_setattr_default_np(attributes)
        libc.pthread_attr_destroy(attributes)
