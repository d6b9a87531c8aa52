"""A file that is there whole or not at all: made beside its place, written through, and named when it is complete.

Readers see the old file or the new one, also across a power cut. One rule holds for all who write: a symbolic link is
followed, so that the file it shows is replaced; a device or a pipe is refused, or written to, as the caller says; the
folder is written through too; the permissions of the file that is replaced stay.

One-shot commands load this module: it imports no more than it must. Never in the PMP worker, which opens no files.
"""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType
    from typing import Literal, Self

__all__ = ["InputTargetError", "TargetError", "WholeFile", "sync_folder", "write_whole"]

_NAME = 48  # characters of the file's own name in its draft's, so that a long one still fits
_PERMISSIONS = 0o777
_WRITING = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})  # what only a write fails with
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EACCES})  # of folders that cannot be synced
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS})  # of file systems without hard links


class TargetError(OSError):
    """The file cannot be begun: its folder is not there, or may not be written to, or something else has its name.

    `filename` is the name that was given. Commands end with exit code 2: another name helps.
    """


class InputTargetError(TargetError):
    """The file that was to be made is one that is read for it, by whatever name."""


class WholeFile:
    """A new, empty file beside its target, open as `descriptor` for reading and writing.

    Leaving the `with` block well, it takes the place of the target; otherwise nothing is left of it. A writer that
    wants a name instead of a descriptor takes `path`, and opens the file that is there.
    """

    def __init__(
        self,
        target: str | os.PathLike[str],
        *,
        follow_links: bool = True,
        special: Literal["refuse", "write"] = "refuse",
        mode: int | None = None,
        replace: bool = True,
        only_writer: bool = False,
        keep: Collection[tuple[int, int]] = (),
    ) -> None:
        """Nothing is done before the `with` block begins.

        Args:
            target: the file to make.
            follow_links: replace the file that a symbolic link shows; else the link itself.
            special: what becomes of a target that is a device or a pipe: "write" opens it, and then nothing is whole.
            mode: permissions, of which the umask takes some; None: those of the file that is replaced, as they are, or
                the usual ones.
            replace: whether a file that is there may be replaced; a link is one then.
            only_writer: the caller holds the lock under which alone this target is written. Its draft has one name, so
                that what a killed run left is removed by the next.
            keep: st_dev and st_ino of files that must stay as they are, such as the input: a target that is one of
                them, be it by a link or through another mount, is refused.
        """
        self.descriptor = -1
        self.path = ""
        self._named = os.fspath(target)
        self._follows = follow_links and replace
        self._target = os.path.realpath(self._named) if self._follows else os.path.abspath(self._named)  # noqa: PTH100 - pathlib costs a one-shot command 3 ms
        self._special = special
        self._mode = mode
        self._kept: int | None = None  # permissions to give it in the end
        self._replace = replace
        self._only_writer = only_writer
        self._keep = keep

    def __enter__(self) -> Self:
        """Raises TargetError."""
        try:
            self._open()
        except InputTargetError:
            raise
        except OSError as error:
            why = error.strerror
            if error.errno == errno.ENOENT:
                why = f"there is no folder {os.path.dirname(self._target)}"  # noqa: PTH120 - as above
            raise TargetError(error.errno, why, self._named) from None
        return self

    def _open(self) -> None:
        try:
            told = os.stat(self._target, follow_symlinks=self._follows)  # noqa: PTH116 - as above
        except FileNotFoundError:
            there = None
        else:
            there = told.st_mode
            if (told.st_dev, told.st_ino) in self._keep:
                raise InputTargetError(errno.EEXIST, "it is the input", self._named)
        if there is not None and not self._replace:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        if there is not None and stat.S_ISDIR(there):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if there is not None and not stat.S_ISREG(there) and not stat.S_ISLNK(there):
            if self._special == "refuse":
                raise FileExistsError(errno.EEXIST, "a device or a pipe, not a file to be replaced")
            self.path = self._target
            self.descriptor = os.open(self._target, os.O_WRONLY | os.O_CLOEXEC)
            return
        mode = self._mode
        if mode is None:
            mode = 0o666
            if there is not None and stat.S_ISREG(there):
                mode, self._kept = 0o600, there & _PERMISSIONS
        folder, name = os.path.split(self._target)
        other = "" if self._only_writer else f".{os.urandom(6).hex()}"
        draft = os.path.join(folder, f".{name[:_NAME]}{other}.part")  # noqa: PTH118 - as above
        if self._only_writer:
            _remove(draft)
        self.descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        self.path = draft

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises OSError: it could not be written through or put in its place, and nothing is left of it."""
        if self.path == self._target:
            os.close(self.descriptor)
            return
        try:
            if kind is None:
                self._place()
        except OSError as failed:
            raise OSError(failed.errno, failed.strerror, self._named) from None
        finally:
            os.close(self.descriptor)
            _remove(self.path)  # not there any more, if all went well
        if kind is None:
            sync_folder(os.path.dirname(self._target))  # noqa: PTH120 - as above
        elif isinstance(error, OSError) and error.filename is None and error.errno in _WRITING:
            error.filename = self._named  # what writes to a descriptor knows no name

    def _place(self) -> None:
        if self._kept is not None:
            os.fchmod(self.descriptor, self._kept)
        os.fsync(self.descriptor)
        if not self._replace:
            try:
                os.link(self.path, self._target)
            except OSError as error:
                if error.errno not in _NO_LINKS or os.path.lexists(self._target):
                    raise
            else:
                return
        os.replace(self.path, self._target)  # noqa: PTH105 - as above


def write_whole(
    path: str | os.PathLike[str],
    data: bytes,
    mode: int | None = None,
    *,
    follow_links: bool = True,
    replace: bool = True,
    only_writer: bool = False,
    keep: Collection[tuple[int, int]] = (),
) -> None:
    """Write `data` to the file at `path`, which has its old content or all of it. Arguments are those of WholeFile.

    Raises TargetError when it cannot be begun, OSError when it cannot be completed.
    """
    with WholeFile(
        path, follow_links=follow_links, mode=mode, replace=replace, only_writer=only_writer, keep=keep
    ) as file:
        left = memoryview(data)
        while left:
            left = left[os.write(file.descriptor, left) :]


def sync_folder(folder: str | os.PathLike[str]) -> None:
    """Make the names in `folder` last. Not every file system can; then each file is at least whole. Raises OSError."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _remove(path: str) -> None:
    try:  # noqa: SIM105 - contextlib costs a one-shot command 2 ms
        os.unlink(path)  # noqa: PTH108 - as above
    except FileNotFoundError:
        pass
