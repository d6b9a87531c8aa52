"""Processes that are ended at random moments, by the hundred: the other one has one end, in time, and nothing is left.

    python -m tests.faults.kills --count 1000 [--seed 1]

Three times in four it is the worker, or what starts it, by one of several signals; else the application, of which its
worker must not stay behind. Orphans come to this process, by PR_SET_CHILD_SUBREAPER.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drm.class_ids import DISCARD_SINK
from drm.errors import DRMError
from drm.session.events import MediaEventType as E
from tests.unit.app.pmp import Playback, clip, configured

__all__ = ["LIMIT", "Outcome", "kill_often"]

LIMIT: Final = 20.0  # seconds within which each playback has ended, and each process gone, also on a busy machine
_PR_SET_CHILD_SUBREAPER: Final = 36
_FRAMES: Final = 20
_SIGNALS: Final = (
    *(signal.SIGKILL,) * 4,
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGSTOP,
)


@dataclass
class Outcome:
    """What a run came to."""

    kills: int = 0
    missed: int = 0  # playbacks that were over, or not begun, by then
    ends: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0  # seconds from the kill to the end of it all
    findings: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ends = ", ".join(f"{name} {count}" for name, count in self.ends.most_common())
        return (
            f"{self.kills} kills ({self.missed} too early or too late), slowest end {self.slowest:.2f} s of "
            f"{LIMIT:.0f}, {len(self.findings)} findings; ends: {ends}"
        )


def play() -> None:
    """A protected clip, each frame at its time. Raises DRMError."""
    with Playback(clip(1, _FRAMES), configured((1,), components=(), start_timeout=10.0, stall_timeout=2.0)) as at:
        at.set_topology(at.topology(DISCARD_SINK, options={"in_time": True}))
        for kind in (E.SESSION_TOPOLOGY_SET, E.SESSION_ENDED, E.SESSION_CLOSED):
            while (event := at.session.get_event(timeout=LIMIT)).type != kind:
                event.raise_if_fatal()
            event.raise_if_fatal()
            at.session.start() if kind == E.SESSION_TOPOLOGY_SET else at.session.close()


def kill_often(count: int, seed: int) -> Outcome:
    """Play and kill `count` times. The calling process gets orphans from now on, and has no other thread."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    outcome, rng = Outcome(), random.Random(seed)
    began = time.monotonic()
    play()  # also the control: undisturbed, it plays
    usual = time.monotonic() - began
    for number in range(count):
        whom = _the_application if number % 4 == 3 else _the_worker
        moment, how = rng.uniform(0, usual * 1.05), rng.choice(_SIGNALS)
        before = _held()
        problem = whom(outcome, moment, how)
        if not problem and (children := _children_after(LIMIT)):
            problem = f"orphans: {children}"
        if not problem and (after := _settled(before)) != before:
            problem = f"{before} before, and then {after}"
        outcome.kills += 1
        if problem:
            what = f"{whom.__name__.removeprefix('_')}, {how.name} after {moment * 1000:.0f} ms"
            outcome.findings.append(f"seed {seed}, kill {number}, {what}: {problem}")
    return outcome


def _the_worker(outcome: Outcome, moment: float, how: signal.Signals) -> str:
    """Play here, and have it killed meanwhile. Returns what is wrong with its end."""
    killed: list[float] = []

    def kill() -> None:
        time.sleep(moment)
        killed.extend(time.monotonic() for pid in _children() if _sent(pid, how))

    killer = threading.Thread(target=kill)
    killer.start()
    end, problem = "played", ""
    try:
        play()
    except DRMError as error:
        end = error.code
        problem = "a traceback" if "Traceback" in error.render() else ""
    except Exception as fault:  # noqa: BLE001 - that is what is looked for
        end, problem = type(fault).__name__, f"{type(fault).__name__}: {fault}"
    over = time.monotonic()
    killer.join()
    outcome.ends[f"worker: {end}"] += 1
    if not killed:
        outcome.missed += 1
    else:
        outcome.slowest = max(outcome.slowest, over - killed[0])
        problem = problem or (f"no end within {LIMIT:.0f} s" if over - killed[0] > LIMIT else "")
    return problem or ("it ended so by itself" if not killed and end != "played" else "")


def _the_application(outcome: Outcome, moment: float, how: signal.Signals) -> str:
    """Have a child of ours play, and kill it; what it started comes to us."""
    how = signal.SIGKILL if how == signal.SIGSTOP else how
    child = os.fork()
    if child == 0:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            play()
        finally:
            os._exit(0)
    time.sleep(moment)
    killed = time.monotonic()
    _sent(child, how)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    outcome.ends[f"application: {code}"] += 1
    outcome.missed += code == 0
    left = _children_after(LIMIT)
    outcome.slowest = max(outcome.slowest, time.monotonic() - killed)
    return f"orphans: {left}" if left else ""


def _sent(pid: int, how: signal.Signals) -> bool:
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return False
    return True


def _children() -> list[int]:
    found = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # that thread ended
            found += [int(pid) for pid in path.read_text().split()]
    return found


def _children_after(limit: float) -> list[str]:
    """The processes that are still ours after so many seconds, by what they are; those that ended are reaped."""
    ends = time.monotonic() + limit
    while time.monotonic() < ends:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not _children():
            return []
        time.sleep(0.005)
    return [Path(f"/proc/{pid}/status").read_text()[:60] for pid in _children()]


def _held() -> tuple[int, int, int]:
    """Descriptors, threads, and mappings of shared memory."""
    maps = Path("/proc/self/maps").read_text()
    return len(os.listdir("/proc/self/fd")), threading.active_count(), maps.count("/memfd:")  # noqa: PTH208


def _settled(before: tuple[int, int, int]) -> tuple[int, int, int]:
    ends = time.monotonic() + 3
    while (found := _held()) != before and time.monotonic() < ends:
        time.sleep(0.005)
    return found


def main() -> int:
    """Run, and say what came of it. Return 1 when something was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    told = parser.parse_args()
    outcome = kill_often(told.count, told.seed)
    print(outcome)
    for line in outcome.findings:
        print(f"FINDING {line}")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
