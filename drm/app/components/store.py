"""Where updated components lie on disk: generations of metadata, and archives by their hash. Application only.

lock                    one writer
floor.json              the highest numbers that were ever installed (see drm.trust.floor)
generations/7/          metadata as it is verified together; never changed, but for state.json; the highest is current
refresh/                what TUF's client has verified; newer than that where an update failed on its way
blobs/<sha256>          archives
tmp/                    what is being made; emptied by every writer

Readers take no lock, and everything they see was complete before it got its name. There is no link, so a copy of the
folder says the same as the folder, however it was made. None of it is believed: whoever may write here may write
anything, so metadata is verified where components are loaded, and archives against that metadata. A generation that is
damaged or gone is not replaced by an older one, in which what has been revoked since would still be good.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from drm.app.components.generation import Generation, opened_folder, read_bounded, read_generation
from drm.app.components.writer import BLOBS, FLOOR, GENERATIONS, SCRATCH, StoreWriter, newest_number
from drm.errors import StorageError, StoreBusyError
from drm.trust.component_archive import MAX_ARCHIVE, MAX_TOGETHER

__all__ = ["ComponentStore", "read_blobs"]

_BLOB: Final = re.compile(r"[0-9a-f]{64}")
_MAX_BLOBS: Final = 512
_LARGEST_FLOOR: Final = 64 << 10  # bytes
_LOOKS: Final = 5  # at a store that changes while it is read


class ComponentStore:
    """The components of one authority, as its updates left them."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist: it is made, for its owner alone, when it is first written to."""
        self.folder = folder

    @property
    def scratch(self) -> Path:
        """Where downloads go until they are verified; it is there while somebody writes."""
        return self.folder / SCRATCH

    def read(self) -> Generation | None:
        """Return the current generation as it lies there, or None: there is none.

        Raises:
            StorageError: the store cannot be looked into.
        """
        with self._reading() as store:
            if store is None:
                return None
            number = _newest(store)
            for _ in range(_LOOKS):
                if not number:
                    return None
                generation = _generation(store, number)
                newest = _newest(store)
                if generation.is_whole or newest == number:
                    break
                number = newest  # it was removed while it was read: it had become an old one
            return generation

    def floor(self) -> bytes | None:
        """Return the floor as it lies there, for `drm.trust.floor.verify_stored`; None: nothing was ever installed.

        Archives come after metadata: where there are some, and neither floor nor metadata, those were lost, and the
        floor is empty, which is none that can be read. Raises StorageError as `read` does.
        """
        with self._reading() as store:
            if store is None:
                return None
            try:
                os.stat(FLOOR, dir_fd=store, follow_symlinks=False)
            except FileNotFoundError:
                return b"" if not _newest(store) and _names(store, BLOBS) else None
            except OSError:
                return b""
            return read_bounded(FLOOR, store, _LARGEST_FLOOR) or b""

    def archives(self) -> dict[str, bytes]:
        """Return the archives by the sha256 that each one's name claims. Their content is not believed.

        What is too long, a link, or beyond what a worker takes is left out. Raises StorageError as `read` does.
        """
        with self._reading() as store:
            return {} if store is None else read_blobs(store)

    @contextmanager
    def writing(self, timeout: float = 30.0) -> Iterator[StoreWriter]:
        """Be the one writer within the block; what an earlier one left half done is removed before it and after it.

        The system gives the lock back however its holder ends.

        Raises:
            StoreBusyError: another process was writing for `timeout` seconds.
            OSError: the store cannot be written to.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._lock(descriptor, time.monotonic() + timeout)
            writer = StoreWriter(self.folder)
            writer.prepare()
            try:
                yield writer
            finally:
                writer.clean()
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int, end: float) -> None:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise StoreBusyError(
                        "another process is updating components", where=str(self.folder), remedy="wait for it to end"
                    ) from None
                time.sleep(0.02)
            else:
                return

    @contextmanager
    def _reading(self) -> Iterator[int | None]:
        """Give the descriptor of the folder, or None: there is no folder."""
        try:
            descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            yield None
            return
        except OSError as error:
            raise StorageError(
                f"the stored components cannot be read: {error.strerror}", where=str(self.folder)
            ) from None
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def read_blobs(store: int) -> dict[str, bytes]:
    """Return the archives in the folder of this descriptor; see `ComponentStore.archives`.

    The last that were stored come first: where more lie there than a worker takes, they are what replaces the others.
    """
    found: dict[str, bytes] = {}
    room = MAX_TOGETHER
    try:
        with opened_folder(BLOBS, store) as blobs:
            names = filter(_BLOB.fullmatch, os.listdir(blobs))  # noqa: PTH208 - of a descriptor
            for name in sorted(names, key=lambda name: (-_stored_at(name, blobs), name)):
                data = read_bounded(name, blobs, min(MAX_ARCHIVE, room))
                if data is not None and len(data) <= min(MAX_ARCHIVE, room) and len(found) < _MAX_BLOBS:
                    found[name] = data
                    room -= len(data)
    except OSError:
        pass  # no folder of that name
    return found


def _stored_at(name: str, folder: int) -> int:
    """When the file was written, nanoseconds since the epoch."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime_ns
    except OSError:
        return 0


def _newest(store: int) -> int:
    return newest_number(_names(store, GENERATIONS))


def _names(store: int, folder: str) -> list[str]:
    try:
        with opened_folder(folder, store) as opened:
            return os.listdir(opened)  # noqa: PTH208 - of a descriptor
    except OSError:
        return []


def _generation(store: int, number: int) -> Generation:
    try:
        with opened_folder(GENERATIONS, store) as generations, opened_folder(str(number), generations) as folder:
            return read_generation(folder, number)
    except OSError:
        return Generation(number, {}, None)
