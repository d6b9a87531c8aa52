"""Runs of whole programs and what they cost: CPU, wall time and peak memory, each in a process of its own."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from os import defpath
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.results import Ratio

__all__ = ["Cost", "compare", "median", "once", "our_command", "room_in_memory", "take_turns"]

_LIMIT: Final = 120  # seconds for any one run
# A process inherits the peak memory of the one that it was forked from, so one that is smaller than any peer starts it.
_LAUNCHER: Final = """
import os, resource, sys, time
began = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, 1, 0)])
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
wall = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024)
"""


class Cost(NamedTuple):
    """What one run of a program took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    peak: float  # MiB resident


Command = tuple[list[str], Path]
"""The words, and the file that they make."""


@contextlib.contextmanager
def room_in_memory() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    shm = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="clearkey-bench-") as room:
        yield Path(room)


def our_command(*words: str) -> list[str]:
    """The words of a `clearkey` command, as it is installed beside this Python."""
    command = Path(sys.executable).with_name("clearkey")
    if not command.is_file():
        raise SystemExit(f"the command is not installed: there is no {command}")
    return [str(command), *words]


def once(command: list[str], home: Path) -> Cost:
    """Run it to its end; what it costs includes the processes that it waited for."""
    # An installed package has its bytecode beside it; a checkout may be told to write none, so it is kept here.
    environment = {"PATH": defpath, "HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    ran = subprocess.run(launcher, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=True)
    status, *cost = map(float, ran.stdout.split())
    if status:
        raise subprocess.CalledProcessError(int(status), command, stderr=ran.stderr)
    return Cost(*cost)


def take_turns(ours: Command, theirs: Command, room: Path, turns: int) -> list[tuple[Cost, Cost]]:
    """Run both in turn, each time without an output that is there already; the first turn does not count."""
    costs = []
    for _ in range(turns + 1):
        pair = []
        for command, target in (ours, theirs):
            # Ours would keep an old output until the new one is complete: other memory, which costs in itself.
            target.unlink(missing_ok=True)
            pair.append(once(command, room))
            target.unlink()
        costs.append((pair[0], pair[1]))
    return costs[1:]


def compare(name: str, costs: list[tuple[Cost, Cost]], bar: float | None, version: str) -> Ratio:
    """The median of the ratios of neighbouring runs, ours to theirs, printed; without a bar it is 0."""
    ratio = median(ours.cpu / theirs.cpu for ours, theirs in costs)
    wall = median(ours.wall / theirs.wall for ours, theirs in costs)
    us, them = ([median(getattr(pair[side], field) for pair in costs) for field in Cost._fields] for side in (0, 1))
    detail = (
        f"CPU {us[0] * 1e3:.0f} against {them[0] * 1e3:.0f} ms, wall {wall:.2f}, "
        f"peak {us[2]:.0f} against {them[2]:.0f} MiB"
    )
    figures: dict[str, object] = {"peer": version, "turns": costs, "wall_ratio": wall}
    made = Ratio(name, ratio, bar or 0.0, "at most", detail, figures)
    print(made.line() if bar else f"{name}: {ratio:.3f} (no bar)  {detail}", flush=True)
    return made


def median(values: Iterable[float]) -> float:
    """Of the values."""
    return statistics.median(values)
