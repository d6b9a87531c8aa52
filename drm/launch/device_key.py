"""The device key: a software identity, a file of the user, created once and handed to the worker as a descriptor.

The application never needs the key itself. At isolation levels 1 and 2 it could read the file all the same: the file
belongs to the user who runs both. Only a worker with a user id of its own changes that.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

import platformdirs

from drm.errors import StorageError

__all__ = ["DEVICE_KEY_SIZE", "home_folder", "open_device_key"]

DEVICE_KEY_SIZE = 32  # bytes: the seed of an Ed25519 key

_NAME = "device.key"
_OTHER_FOLDER = "set CLEARKEY_HOME to a folder that you can write to"


def home_folder() -> Path:
    """Return the folder of this user's data, which need not exist. CLEARKEY_HOME in the environment overrides it."""
    override = os.environ.get("CLEARKEY_HOME")
    return Path(override) if override else Path(platformdirs.user_data_dir("clearkey"))


def open_device_key(folder: Path | None = None) -> int:
    """Return a read-only descriptor of the device key, at offset 0; the key is created if there is none.

    The descriptor closes on exec; the caller closes it. Several processes may do this at once: one creates the key.

    Raises:
        StorageError: the file is not ours alone, or is no key, or there is none and none can be made.
    """
    home = home_folder() if folder is None else folder
    path = home / _NAME
    try:
        return _open_checked(path)
    except FileNotFoundError:
        pass
    try:
        _create(home, path)
    except OSError as error:
        raise StorageError(
            f"the device key cannot be made: {error.strerror}",
            where=str(path),
            maybe=f"the data folder {home} cannot be written to",
            remedy=_OTHER_FOLDER,
        ) from None
    return _open_checked(path)


def _create(home: Path, path: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = home / f".{_NAME}.{secrets.token_hex(8)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.write(descriptor, secrets.token_bytes(DEVICE_KEY_SIZE))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        # A link appears whole or not at all, and fails where another process was first: then that one's key counts.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _open_checked(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StorageError(
            f"the device key cannot be opened: {error.strerror}", where=str(path), remedy=_OTHER_FOLDER
        ) from None
    told = os.fstat(descriptor)
    fault, remedy = "", f"remove {path}: a new device key is made, and must be registered anew"
    if not stat.S_ISREG(told.st_mode):
        fault = "the device key is not a plain file"
    elif told.st_uid != os.geteuid():
        fault = f"the device key belongs to user id {told.st_uid}, not to {os.geteuid()}"
    elif told.st_mode & 0o077:
        fault, remedy = (
            f"other users can reach the device key (mode {stat.S_IMODE(told.st_mode):o})",
            f"chmod 600 {path}",
        )
    elif told.st_size != DEVICE_KEY_SIZE:
        fault = f"the device key has {told.st_size} bytes, not {DEVICE_KEY_SIZE}"
    if fault:
        os.close(descriptor)
        raise StorageError(fault, where=str(path), remedy=remedy)
    return descriptor
