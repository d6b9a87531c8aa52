"""One generation of stored metadata, read as what it is: files that anybody may have written. Application only.

Nothing here verifies. Reads are bounded, follow no link, and go through the descriptor of a folder that was opened
once, so that what is read belongs together. python-tuf is not imported: a session starts with this.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec

__all__ = [
    "FIXED_FILES", "ROOTS", "STATE_FILE", "UNREADABLE", "Generation", "RefreshState", "opened_folder", "order_of",
    "read_bounded", "read_generation",
]  # fmt: skip

FIXED_FILES: Final = (
    "timestamp.json", "snapshot.json", "targets.json", "components.json", "revocations.json", "revocations.list",
)  # fmt: skip
"""What every generation holds beside its roots, by the names that `drm.trust.verifier.verify_trust` takes."""
ROOTS: Final = "root_history"
STATE_FILE: Final = "state.json"

UNREADABLE: Final = (0, 0)
"""The order of a generation whose timestamp cannot be read."""

_ROOT_NAME: Final = re.compile(r"([1-9][0-9]{0,8})\.root\.json")
_MAX_ROOTS: Final = 1024
_LARGEST_ROOT: Final = 512 << 10  # bytes; the verifier refuses what is longer, so one byte more is enough to see
_LARGEST_ROOTS: Final = 32 << 20  # of all together
_LARGEST: Final = 5 << 20
_LARGEST_STATE: Final = 4 << 10


class RefreshState(msgspec.Struct, frozen=True):
    """state.json: when a server last confirmed a generation, and which. Nobody signs it, so nothing depends on it."""

    refreshed: Annotated[float, msgspec.Meta(ge=0)]  # seconds since the epoch
    source: str = ""


class _Signed(msgspec.Struct, frozen=True):
    version: Annotated[int, msgspec.Meta(ge=0)]


class _Document(msgspec.Struct, frozen=True):
    signed: _Signed


@dataclass(frozen=True)
class Generation:
    """Stored metadata of one moment. Not verified."""

    number: int  # 0: it came with the package
    files: Mapping[str, bytes]  # by the names that `drm.trust.verifier.verify_trust` takes
    refreshed: float | None  # when a server last confirmed it, seconds since the epoch; not trusted

    @property
    def order(self) -> tuple[int, int]:
        """Which of two sources of one authority is newer: the highest root, then the timestamp.

        A look at unverified bytes: it chooses what is verified, and what is chosen wrongly does not verify. (0, 0)
        where the timestamp cannot be read.
        """
        return order_of(self.files)

    @property
    def is_whole(self) -> bool:
        """Whether every file is there, whatever it holds."""
        return all(name in self.files for name in FIXED_FILES)


def order_of(files: Mapping[str, bytes]) -> tuple[int, int]:
    """Return the order of a generation with these files; see `Generation.order`."""
    try:
        timestamp = msgspec.json.decode(files["timestamp.json"], type=_Document).signed.version
    except (KeyError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNREADABLE
    names = (_ROOT_NAME.fullmatch(name.removeprefix(f"{ROOTS}/")) for name in files if name.startswith(f"{ROOTS}/"))
    return max((int(name[1]) for name in names if name), default=0), timestamp


@contextmanager
def opened_folder(name: str | Path, within: int | None = None) -> Iterator[int]:
    """Open a folder and give its descriptor; within another one, no link is followed. Raises OSError."""
    no_link = 0 if within is None else os.O_NOFOLLOW
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | no_link, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_bounded(name: str, folder: int, limit: int) -> bytes | None:
    """Return a file's first `limit` + 1 bytes, or None when there is no plain file of this name that can be read."""
    try:
        # Without O_NONBLOCK a pipe in the place of a file would hold the reader.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(limit + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None


def read_generation(folder: int, number: int) -> Generation:
    """Read the generation in the folder of this descriptor: what is missing is left out, what is damaged is not."""
    files = {name: data for name in FIXED_FILES if (data := read_bounded(name, folder, _LARGEST)) is not None}
    try:
        with opened_folder(ROOTS, folder) as roots:
            files |= _read_roots(roots)
    except OSError:
        pass  # a pinned root may be all that is needed
    return Generation(number, files, _read_state(folder))


def _read_roots(folder: int) -> dict[str, bytes]:
    found = (_ROOT_NAME.fullmatch(name) for name in os.listdir(folder))
    files: dict[str, bytes] = {}
    room = _LARGEST_ROOTS
    for name in sorted((match[0] for match in found if match), key=lambda name: int(name.partition(".")[0])):
        data = read_bounded(name, folder, min(_LARGEST_ROOT, room))
        if data is not None:
            files[f"{ROOTS}/{name}"] = data
            room -= len(data)
        if len(files) == _MAX_ROOTS or room <= 0:
            break
    return files


def _read_state(folder: int) -> float | None:
    data = read_bounded(STATE_FILE, folder, _LARGEST_STATE)
    try:
        refreshed = msgspec.json.decode(data or b"", type=RefreshState).refreshed
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return refreshed if math.isfinite(refreshed) else None
