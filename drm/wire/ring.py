"""Shared memory between the two processes: a ring for the samples of one stream, and a memfd for one large value.

The application writes encrypted samples, the worker reads them once, into the decoder's own memory. The worker trusts
neither the memory's size nor its content: the seals are checked before it maps anything, so that a shrinking file
cannot fault it, and offsets are checked against the size. Nor can it write there: the application's own mapping is the
last that may.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from collections.abc import Iterator
from typing import Final

from drm.descriptors import write_all
from drm.errors import DRMError, WireError

__all__ = ["MAX_RING", "RingReader", "RingWriter", "read_memfd", "sealed_memfd"]

MAX_RING: Final = 256 << 20  # bytes; pages that are never written cost nothing
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_F_SEAL_FUTURE_WRITE: Final = (
    0x10  # linux/fcntl.h, from Linux 5.1: who maps it writes already, and nobody else ever does
)


class RingWriter:
    """The application's side: gives out contiguous places, in order, as long as the reader has made room.

    Positions count bytes since the ring was made; `position % size` is the place. A sample is never split over the
    ring's end: the rest there is passed over, and counts as taken.
    """

    def __init__(self, size: int) -> None:
        """Raises DRMError: this process has no descriptor or no memory left."""
        self.size = size
        with _making("samples") as self.fd:
            os.ftruncate(self.fd, size)
            self._memory = mmap.mmap(self.fd, size)
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEALS | _F_SEAL_FUTURE_WRITE)
        self._view = memoryview(self._memory)
        self._taken = 0
        self._released = 0

    def place(self, size: int) -> tuple[int, int] | None:
        """Return (offset, position after it) for `size` bytes, or None while there is no room.

        Raises:
            WireError: the ring could never hold it.
        """
        if size > self.size:
            raise WireError(f"a sample of {size} bytes does not fit the ring of {self.size}")
        start = self._taken
        if start % self.size + size > self.size:
            start += self.size - start % self.size
            if self._released == self._taken:  # empty: what is passed over is free, or a large sample would never fit
                self._released = self._taken = start
        if start + size - self._released > self.size:
            return None
        return start % self.size, start + size

    def take(self, position: int) -> None:
        """Note that everything up to `position` is in use."""
        self._taken = position

    def view(self, offset: int, size: int) -> memoryview:
        """The writable place itself; release it before `close`."""
        return self._view[offset : offset + size]

    def release(self, position: int) -> None:
        """The reader is done up to `position`. A nonsensical one is refused: the reader is not trusted either."""
        if not 0 <= position <= self._taken:
            raise WireError(f"the worker releases up to {position}, and {self._taken} is what was sent")
        # An older word changes nothing: the release of an empty sample may come when the ring's end was passed over.
        self._released = max(self._released, position)

    def reset(self) -> None:
        """Forget everything: a new epoch begins with an empty ring."""
        self._taken = self._released = 0

    def close(self) -> None:
        """Unmap and close. A view that an error still holds keeps the memory until it goes, and nothing else."""
        os.close(self.fd)
        self._view.release()
        with contextlib.suppress(BufferError):
            self._memory.close()


class RingReader:
    """The worker's side: views of samples, read-only."""

    def __init__(self, fd: int, size: int) -> None:
        """Map `fd`, which stays the caller's to close.

        Raises:
            WireError: it is not a sealed memfd of that size.
        """
        if not 0 < size <= MAX_RING:
            raise WireError(f"a ring of {size} bytes is over the limit")
        _check_sealed(fd, size, _F_SEAL_FUTURE_WRITE)
        self.size = size
        self._memory = mmap.mmap(fd, size, prot=mmap.PROT_READ)
        self._view = memoryview(self._memory)
        self.position = 0

    def view(self, offset: int, size: int) -> memoryview:
        """The bytes of one sample. Raises WireError when they are not inside."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise WireError(f"a sample at {offset} of {size} bytes lies outside the ring of {self.size}")
        return self._view[offset : offset + size]

    def passed(self, offset: int, size: int) -> int:
        """Return the position after the sample at `offset`: what may be released once it is used."""
        start = self.position
        if start % self.size != offset:
            start += self.size - start % self.size
            if offset != 0:
                raise WireError(f"a sample at {offset} is out of order")
        self.position = start + size
        return self.position

    def reset(self) -> None:
        """A new epoch begins with an empty ring."""
        self.position = 0

    def close(self) -> None:
        """Unmap."""
        self._view.release()
        self._memory.close()


def sealed_memfd(name: str, data: bytes) -> int:
    """Return a descriptor that holds `data` and that nobody can change any more. Raises DRMError as `RingWriter`."""
    with _making(name) as fd:
        write_all(fd, data)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS | fcntl.F_SEAL_WRITE)
    return fd


@contextlib.contextmanager
def _making(name: str) -> Iterator[int]:
    """Shared memory of this name, closed again when the block fails. Raises DRMError for what the system refuses."""
    fd = -1
    try:
        fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        yield fd
    except BaseException as error:
        if fd >= 0:
            os.close(fd)
        if isinstance(error, OSError):
            raise DRMError(
                f"memory to share with the worker cannot be made: {error.strerror}",
                remedy="close files and sockets that are not needed, or allow more of them (ulimit -n)",
            ) from None
        raise


def read_memfd(fd: int, size: int, limit: int) -> bytes:
    """Copy `size` bytes out of a descriptor that the other process sent. Raises WireError when it is not that."""
    if not 0 <= size <= limit:
        raise WireError(f"{size} bytes are over the limit of {limit}")
    _check_sealed(fd, size, fcntl.F_SEAL_WRITE)
    data = os.pread(fd, size, 0)
    while len(data) < size:
        more = os.pread(fd, size - len(data), len(data))
        if not more:
            raise WireError("shared memory ends early")
        data += more
    return data


def _check_sealed(fd: int, size: int, against_writing: int) -> None:
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    except OSError:
        raise WireError("a descriptor that should be shared memory is something else") from None
    if seals & (fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW) != fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW:
        raise WireError("shared memory is not sealed against shrinking")
    if not seals & against_writing:
        raise WireError("shared memory is not sealed against writing")
    if os.fstat(fd).st_size != size:
        raise WireError(f"shared memory has {os.fstat(fd).st_size} bytes, and {size} were announced")
