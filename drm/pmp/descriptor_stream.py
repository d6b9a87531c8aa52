"""A byte stream in the worker over descriptors of files that the application opened for reading, and nothing more.

The worker cannot open anything, and cannot write through these: the kernel holds both. The files are not trusted.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence

from drm.descriptors import close_quietly
from drm.errors import MediaError, TruncatedMediaError, WireError
from drm.pmp.handed_descriptors import require_media_file
from drm.session.session_source import cancelled
from drm.wire.messages import ByteStreamSpec

__all__ = ["DescriptorStream"]


class DescriptorStream:
    """Keeps `drm.component.ByteStream`: several files are read as one, one behind the other.

    `is_stopped` is asked before each read; when it says so, the read raises MF_E_OPERATION_CANCELLED.
    """

    def __init__(self, spec: ByteStreamSpec, fds: Sequence[int]) -> None:
        """Take over `fds`; when this raises, they stay the caller's.

        Raises:
            WireError: they are not as many, or not as long, as `spec` says.
            DescriptorError: one of them is no regular file that was opened for reading alone.
        """
        if len(fds) != len(spec.files) or sum(spec.files) != spec.size or min(spec.files) < 0:
            raise WireError("the files of a byte stream are not those that were announced")
        for fd in fds:
            require_media_file(fd)  # of another kind, to read it could wait for ever
        self.name = spec.name
        self.size = spec.size
        self.uses_network = False
        self.is_stopped: Callable[[], bool] = lambda: False
        self._fds = list(fds)
        self._starts = [sum(spec.files[:index]) for index in range(len(spec.files))]

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises as `read_into`."""
        room = max(0, min(size, self.size - offset))
        data = bytearray(room)
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`; return how many bytes were there.

        Raises:
            InvalidRequestError: whoever reads is stopped (MF_E_OPERATION_CANCELLED).
            TruncatedMediaError: a file became shorter than it was when it was opened.
            MediaError: the device cannot read it.
        """
        wanted = max(0, min(len(into), self.size - offset))
        done = 0
        while done < wanted:
            if self.is_stopped():
                raise cancelled()
            index = bisect_right(self._starts, offset + done) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
            data = self._read(index, offset + done, min(wanted - done, end - offset - done))
            into[done : done + len(data)] = data
            done += len(data)
        return done

    def _read(self, index: int, offset: int, size: int) -> bytes:
        try:
            # pread, not preadv: the lock lets the one through and not the other.
            data = os.pread(self._fds[index], size, offset - self._starts[index])
        except OSError as error:
            where = f"{self.name} at byte {offset}"
            raise MediaError(f"the file cannot be read: {error.strerror}", where=where) from None
        if not data:
            raise TruncatedMediaError(
                "the file became shorter while it was read",
                where=f"{self.name} at byte {offset}",
                maybe="another program is writing it",
                remedy="wait until it is finished, then try again",
            )
        return data

    def wake(self) -> None:
        """Nobody waits here: a read of a file ends by itself."""

    def close(self) -> None:
        """Close the descriptors. Idempotent."""
        while self._fds:
            close_quietly(self._fds.pop())
