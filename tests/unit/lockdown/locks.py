"""Runs programs/locks.py: one part of the lock-down, alone, in a process that then tries what the part is against."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drm.lockdown import landlock

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).parent / "programs" / "locks.py"
INSIDE = ("no_new_privs", "not_dumpable", "no_core", "untraced", "parent_death", "no_capabilities", "seccomp",
          "open_refused", "socket_refused", "exec_memory_refused", "limits")  # fmt: skip


def ran(part: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), part, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False, cwd=ROOT)


def told(part: str, *words: object) -> dict[str, Any]:
    run = ran(part, *words)
    assert run.returncode == 0, run.stderr
    found: dict[str, Any] = json.loads(run.stdout)
    return found


@pytest.fixture(scope="module")
def at_level_2() -> None:
    """Elsewhere the isolation tests say what is missing, and what is there all the same."""
    if os.geteuid() != 0:
        pytest.skip("only root can show each part of the lock-down by itself")
    try:
        landlock.abi_version()
    except OSError:
        pytest.skip("this machine gives no Landlock")
    if subprocess.run(["unshare", "-U", "-r", "-n", "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine gives no user namespaces")
