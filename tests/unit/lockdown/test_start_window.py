"""What is said of the time before a worker hid, for every kind of machine; and what is found on this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drm.lockdown import start_window
from drm.protection import StartWindow

WRITERS, COUNTERS = "could write into the worker", "performance counter"


@pytest.mark.parametrize(
    ("dumpable", "scope", "paranoid", "said"),
    [
        (True, None, 2, {"open", "a process of this account could write", COUNTERS}),
        (True, 0, 3, {"open", "a process of this account could write"}),
        (True, 1, 3, {"open", "an ancestor of the worker could write"}),
        (True, 2, 2, {"open", COUNTERS}),
        (True, 3, None, {"open", COUNTERS}),
        (True, 2, 4, {"closed", "debuggers and performance counters"}),
        (False, None, 2, {"closed", "cannot read the interpreter"}),
    ],
)
def test_each_machine_is_told_apart(dumpable: bool, scope: int | None, paranoid: int | None, said: set[str]) -> None:
    window = StartWindow(dumpable, scope, paranoid, has_company=True)
    text = window.text()
    assert {part for part in said if part in text} == said
    assert window.is_open == text.startswith("open: ")
    assert (WRITERS in text) == any(WRITERS.split()[1] in part and "write" in part for part in said)


@pytest.mark.parametrize(("company", "said"), [(True, "there are others"), (False, "no other was seen")])
def test_whether_anybody_was_there_is_said_only_as_what_was_seen(company: bool, said: str) -> None:
    assert StartWindow(True, None, None, company).text().endswith(said)


def test_what_is_found_here_is_what_the_kernel_says() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        found = start_window.look(os.getppid(), dumpable=True)
        other.communicate(b"\n")
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid")
    assert found.perf_event_paranoid == (int(paranoid.read_text()) if paranoid.exists() else None)
    yama = Path("/proc/sys/kernel/yama/ptrace_scope")
    assert found.ptrace_scope == (int(yama.read_text()) if yama.exists() else None)
    assert found.has_company
    assert found.dumpable
