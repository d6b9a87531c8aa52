"""Who could have reached into the process that was executed before it hid: what this machine tells of that.

What was opened in that time does not lead to the worker (drm/lockdown/fresh_memory.py). What was written then, into
memory or by a debugger, the worker has inherited, and a performance counter that is inherited goes on counting in it.
Runs in the worker, before the lock, and only reads.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from drm.protection import StartWindow

__all__ = ["look"]

_KERNEL: Final = Path("/proc/sys/kernel")


def look(parent_pid: int, *, dumpable: bool) -> StartWindow:
    """Return what is known. `dumpable`: whether the process was when it first looked."""
    return StartWindow(
        dumpable=dumpable,
        ptrace_scope=_setting("yama/ptrace_scope"),
        perf_event_paranoid=_setting("perf_event_paranoid"),
        has_company=_has_company({os.getpid(), parent_pid}),
    )


def _setting(name: str) -> int | None:
    """A whole number of the kernel's; None: this kernel has no such setting, or hides it."""
    try:
        return int((_KERNEL / name).read_text())
    except (OSError, ValueError):
        return None


def _has_company(ours: set[int]) -> bool:
    """Whether another process of this account can be seen now. One that cannot be seen may be there all the same."""
    own = os.getuid()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit() and int(entry.name) not in ours:
                try:
                    if entry.stat().st_uid == own:
                        return True
                except OSError:  # it ended
                    continue
    return False
