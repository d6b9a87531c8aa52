"""The output of a decryption while it is being made: it gets its name when it is complete, or disappears.

`drm.whole_file` for a process that must start fast; here the caller gets a descriptor.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["Draft"]

_NAME = 48  # characters of the file's own name in its draft's, so that a long one still fits


class Draft:
    """A new, empty file beside `target`, open as `descriptor` for reading and writing.

    Leaving the `with` block well, it takes the place of `target` (of the file, where that is a symbolic link);
    otherwise nothing is left of it. Raises OSError, also when `target` is there and is no regular file.
    """

    def __init__(self, target: str) -> None:
        self._target = os.path.realpath(target)
        folder, name = os.path.split(self._target)
        self._folder = folder
        self._beside = os.path.join(folder, f".{name[:_NAME]}.{os.urandom(6).hex()}.part")  # noqa: PTH118 - see above
        self.descriptor = -1

    def __enter__(self) -> Self:
        try:
            mode = os.stat(self._target).st_mode  # noqa: PTH116 - pathlib costs 3 ms to import
        except FileNotFoundError:
            mode = stat.S_IFREG
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), self._target)
        if not stat.S_ISREG(mode):
            raise FileExistsError(errno.EEXIST, "a device or a pipe, not a file to be replaced", self._target)
        try:
            self.descriptor = os.open(self._beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, self._target) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        placed = False
        try:
            if kind is None:
                os.fsync(self.descriptor)
                os.replace(self._beside, self._target)  # noqa: PTH105 - as above
                placed = True
        finally:
            os.close(self.descriptor)
            if not placed:
                os.unlink(self._beside)  # noqa: PTH108 - as above
        if placed:
            self._sync_folder()
        elif isinstance(error, OSError) and error.filename is None:
            error.filename = self._target  # what writes to a descriptor knows no name

    def _sync_folder(self) -> None:
        """Make the rename itself last across a power cut. Not every file system can."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        except OSError:
            pass
        finally:
            os.close(folder)
