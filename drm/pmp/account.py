"""Whether this worker runs under an account of its own, with code that this account cannot change. Worker only.

Asked once, before the lock, in a worker that the service started: what the answers rest on cannot be opened after it.
"""

from __future__ import annotations

import os
import stat
import sys

__all__ = ["own_account"]


def own_account(peer: int, device_key: int, root: str | None = None) -> dict[str, str]:
    """Return the layers of level 3, as `drm.protection.SERVICE_LAYERS` names them: "yes", or "no: " and why.

    Args:
        peer: user id of the application.
        device_key: descriptor of the device key's file.
        root: the file that vouches for components instead of the package's own, which decides what is run as code does.
    """
    return {
        "own_account": _account(peer),
        "own_device_key": _device_key(device_key),
        "code_not_writable": _code([] if root is None else [os.path.realpath(root)]),
    }


def _account(peer: int) -> str:
    users = set(os.getresuid())
    if 0 in users:
        return "no: the worker runs as root"
    return "no: the worker runs under the application's account" if peer in users else "yes"


def _device_key(descriptor: int) -> str:
    if descriptor < 0:
        return "no: there is none"
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode) or told.st_uid != os.geteuid() or told.st_mode & 0o077:
        return "no: others can reach it"
    return "yes"


def _code(more: list[str]) -> str:
    """Whether a file that was loaded or is one of `more`, or a folder on its way, can be changed by this account."""
    seen: set[str] = set()
    for path in (*more, *_loaded()):
        while path not in seen:
            seen.add(path)
            if _can_change(path):
                return f"no: {path}"
            path = os.path.dirname(path)  # noqa: PTH120, PLW2901 - text: some thousand of them
    return "yes"


def _can_change(path: str) -> bool:
    """Whether this account can write it, or owns it and could then. What is gone cannot be changed."""
    try:
        told = os.stat(path)  # noqa: PTH116 - as above
    except OSError:
        return False
    if told.st_uid == os.geteuid():
        return True
    # In a sticky folder (/tmp) nobody replaces what is another's, and what leads to the file is looked at as well.
    is_sticky = stat.S_ISDIR(told.st_mode) and told.st_mode & stat.S_ISVTX
    return not is_sticky and os.access(path, os.W_OK, effective_ids=True)


def _loaded() -> list[str]:
    """The files of all modules, and all that is mapped to be run; the interpreter is one of these."""
    files = [file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    with open("/proc/self/maps") as maps:  # noqa: PTH123 - before the lock
        files += [line.split(None, 5)[5].strip() for line in maps if " r-xp " in line and "/" in line]
    real: dict[str, str] = {}  # of folders
    found = []
    for file in dict.fromkeys(files):
        folder, name = os.path.split(file)
        if not file.startswith("/"):
            continue
        if folder not in real:
            real[folder] = os.path.realpath(folder)
        path = f"{real[folder]}/{name}"
        found.append(os.path.realpath(path) if os.path.islink(path) else path)  # noqa: PTH114 - as above
    return found
