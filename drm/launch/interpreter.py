"""The interpreter that workers are started with: a copy that this account can run and not read, where one is installed.

The kernel starts a process of a file that its account cannot read as one that is not dumpable. So nobody but root reads
it or writes into it, also in the time between its exec and the moment when it hides itself. Application and service.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Final

from drm.errors import IsolationError
from drm.readable import readable

__all__ = ["INSTALLED", "install_interpreter", "worker_python"]

INSTALLED: Final = Path("/usr/lib/clearkey-pmp/python3")
"""Where `clearkey pmp-service install` puts it. CLEARKEY_WORKER_PYTHON in the environment names another place."""


def worker_python() -> str:
    """Return the path of the copy, or that of our own interpreter where there is none of it.

    Raises IsolationError: CLEARKEY_WORKER_PYTHON names what is no such copy.
    """
    named = os.environ.get("CLEARKEY_WORKER_PYTHON")
    path = Path(named) if named else INSTALLED
    fault = _fault(path)
    if not fault:
        return str(path)
    if named:
        raise IsolationError(
            "CLEARKEY_WORKER_PYTHON names no interpreter for workers",
            where=named,
            seen=fault,
            remedy="as root: clearkey pmp-service install",
        )
    return sys.executable


def install_interpreter(path: Path) -> None:
    """Copy our interpreter to `path`, so that everybody can run it and root alone read it.

    Raises:
        OSError: it cannot be written.
        IsolationError: the copy does not start where it lies, because it looks for its own libraries beside it.
    """
    source = Path(sys.executable).resolve()
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as copy:  # noqa: PTH123 - a descriptor
        copy.write(source.read_bytes())
    told = source.stat()
    os.utime(draft, ns=(told.st_mtime_ns, told.st_mtime_ns))
    draft.chmod(0o111)
    # By this file the copy finds the standard library, which lies beside the original.
    (path.parent / "pyvenv.cfg").write_text(f"home = {source.parent}\n", encoding="utf-8")
    tried = subprocess.run([draft, "-I", "-S", "-c", "import ctypes"], env={}, capture_output=True, check=False)  # noqa: S603
    if tried.returncode:
        draft.unlink()
        raise IsolationError(
            "a copy of this Python does not run in another folder",
            where=str(source),
            seen=readable(tried.stderr.decode(errors="replace"), 300),
            remedy="install clearkey for a Python of the distribution",
        )
    draft.replace(path)


def _fault(path: Path) -> str:
    """Why it is not to be used; empty: it is a copy of our interpreter, root's, and not to be read by us."""
    try:
        told, own = path.lstat(), Path(sys.executable).stat()
    except OSError as error:
        return f"it cannot be looked at: {error.strerror}"
    if not stat.S_ISREG(told.st_mode) or told.st_uid != 0 or told.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "it is not a file of root's that root alone can change"
    if (told.st_size, told.st_mtime_ns) != (own.st_size, own.st_mtime_ns):
        return f"it is no copy of {sys.executable} as that is now"
    if os.access(path, os.R_OK) or not os.access(path, os.X_OK):
        return "this account can read it, or not run it"
    return ""
