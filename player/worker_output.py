"""Hands an output of the application to the worker: write-only, and never a terminal. Runs in the application.

What the worker holds it can use as it likes. A terminal can be read as well as written; a file that is open for both
tells what was in it. So the worker gets the writing end of a pipe, or a regular file opened for writing alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from drm.descriptors import write_all
from drm.errors import DRMError

__all__ = ["SinkDescriptors", "write_only"]

_CHUNK: Final = 64 << 10  # bytes
_LATE: Final = 1.0  # seconds that an error waits for what was written before it


class SinkDescriptors(NamedTuple):
    """Descriptors for the worker's sinks: each write-only, and none a terminal."""

    hashes: int | None
    picture: int | None


@contextlib.contextmanager
def write_only(descriptor: int) -> Iterator[int]:
    """Give, for the `with` block, a descriptor that a worker's sink may have and that ends up in `descriptor`.

    When the block is left, all that the worker wrote is there, provided that the worker's own copy is closed or the
    worker gone: this waits for that.

    Raises:
        DRMError: `descriptor` cannot be written, for instance because the disk is full. Raised at the end of the block,
            unless something else is on its way; the sink meanwhile saw a pipe that nobody reads.
    """
    flags, mode = fcntl.fcntl(descriptor, fcntl.F_GETFL), os.fstat(descriptor).st_mode
    if flags & os.O_ACCMODE == os.O_WRONLY and (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        yield descriptor
        return
    reopened = _reopened(descriptor, flags) if stat.S_ISREG(mode) else None
    if reopened is None:
        with _Copying(descriptor) as copying:
            yield copying.write_end
        return
    try:
        yield reopened
    finally:
        os.lseek(descriptor, os.lseek(reopened, 0, os.SEEK_CUR), os.SEEK_SET)  # the two share the file, not the place
        os.close(reopened)


def _reopened(descriptor: int, flags: int) -> int | None:
    """The same file at the same place, for writing alone; None: the system does not open it again."""
    try:
        made = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_CLOEXEC | (flags & os.O_APPEND))
    except OSError:
        return None
    os.lseek(made, os.lseek(descriptor, 0, os.SEEK_CUR), os.SEEK_SET)
    return made


class _Copying:
    """A pipe, and a thread that copies what comes out of it."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._read_end, self.write_end = os.pipe()
        self._failed: DRMError | None = None
        self._thread = threading.Thread(target=self._copy, name="worker-output", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        os.close(self.write_end)
        self._thread.join(None if kind is None else _LATE)
        if kind is None and self._failed is not None:
            raise self._failed

    def _copy(self) -> None:
        try:
            while data := os.read(self._read_end, _CHUNK):
                if not write_all(self._target, data):
                    return
        except DRMError as error:
            self._failed = error
        finally:
            os.close(self._read_end)
