"""The inventory of code: what is mapped to be run in this process, beside what may be there. Worker, before the lock.

Native code comes in past the import system (cffi, ctypes, the libraries of a library), so what was loaded is not asked
of Python but of the kernel, once, when everything is loaded. After the lock nothing can be mapped to be run any more,
so what was found then is all that there will be. Only reads.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["Inventory", "look"]

_OF_THE_KERNEL: Final = frozenset({"[vdso]", "[vsyscall]", "[uprobes]"})


class Inventory(NamedTuple):
    """What was found."""

    layer: str  # "yes": every executable mapping is that of a file, as it is on disk, and read-only; or "no: " and why
    unlisted: tuple[str, ...] = ()  # file names: neither the interpreter's, nor the libraries', nor root's alone


def look(folders: Iterable[str]) -> Inventory:
    """Compare what is mapped with what the interpreter, the libraries in `folders` and the system are expected to map.

    A file of the system is one that root owns and root alone can change: a distribution chooses its names. Another one
    is no reason to stop, since its owner could have replaced the interpreter as well; it is told.
    """
    homes = tuple(f"{os.path.realpath(folder)}/" for folder in (*folders, sys.base_prefix, sys.base_exec_prefix))
    unlisted: dict[str, None] = {}
    try:
        lines = Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return Inventory("no: /proc/self/maps cannot be read")
    for line in lines:
        _area, rights, _offset, _device, _inode, *rest = line.split(None, 5)
        name = rest[0] if rest else ""
        if "x" not in rights or name in _OF_THE_KERNEL:
            continue
        if fault := _fault(rights, name):
            return Inventory(f"no: {fault}")
        if not name.startswith(homes) and not _is_roots(name):
            unlisted[os.path.basename(name)] = None  # noqa: PTH119 - text, as the kernel has it
    return Inventory("yes", tuple(unlisted))


def _fault(rights: str, name: str) -> str:
    """What speaks against code being there, whoever put it there."""
    if not name.startswith("/") or name.startswith(("/memfd:", "/dev/", "/SYSV")):
        return "memory that is no file's can be executed"
    if "w" in rights:
        return f"{name} can be written and executed"
    return f"{name} is not on disk any more" if name.endswith(" (deleted)") else ""


def _is_roots(path: str) -> bool:
    try:
        told = os.stat(path)  # noqa: PTH116 - text, as the kernel has it
    except OSError:
        return False
    return told.st_uid == 0 and not told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
