"""A descriptor as a worker takes it, for a file that a test reads back."""

from __future__ import annotations

import os

__all__ = ["for_writing"]


def for_writing(descriptor: int) -> int:
    """The same file, opened for writing alone; the caller closes it."""
    return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_CLOEXEC)
