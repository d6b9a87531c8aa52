"""`clearkey decrypt` beside every other program that can: CPU of whole processes, start-up and all, taken in turn.

For each file and each peer that is here: first the outputs of both are read, sample by sample, and compared with the
clear original; then ours and theirs run in turn, ours, theirs, ours, theirs. CPU is user and system time of the
process and of those it started; what counts is the median of the ratios of neighbouring runs. Inputs lie in the page
cache and outputs go to memory (/dev/shm), so that no disk is measured.

    python -m benchmarks.decrypt_files [--turns N] [--jobs N] [--only WORDS] [--folder FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.decrypt_corpus import KEY, KEY_ID, Case, make_case
from benchmarks.peers import Job, Peer, find_peers
from benchmarks.results import Ratio
from drm.app.byte_stream import FileByteStream
from drm.errors import DRMError
from drm.keys import ContentKey
from drm.media import Scheme
from drm.packaging.decrypt_file import decrypt_file
from player.digests import digest_tracks

__all__ = ["BARS", "MEMORY_BAR", "main", "run"]

TURNS: Final = 7
MEMORY_BAR: Final = 32.0  # MiB at the peak, for any file
BARS: Final = {
    Case(200, "video", Scheme.CENC): {"mp4decrypt": 0.20, "packager": 0.25, "ffmpeg 8": 0.30, "MP4Box": 0.75,
                                      "gpac": 1.1},
    Case(200, "video", Scheme.CBCS): {"mp4decrypt": 1.0, "gpac": 1.1},
    Case(20, "video", Scheme.CENC): {"mp4decrypt": 0.65},
    Case(20, "video", Scheme.CBCS): {},
    Case(20, "audio", Scheme.CENC): {"mp4decrypt": 0.95},
    Case(20, "audio", Scheme.CBCS): {},
    Case(200, "video", Scheme.CENC, is_progressive=True): {"MP4Box": 0.75, "gpac": 1.1},
}  # fmt: skip
"""The most that ours may take of a peer's CPU time. Peers without a bar are measured as well."""

_RIGHT: Final = "writes the same samples"
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


def run(folder: Path, turns: int = TURNS, only: str = "", jobs: int = 1) -> tuple[list[Ratio], list[str]]:
    """Measure, printing a line for each pair; return the ratios that have a bar, and the names of absent peers.

    `only` takes the files whose name contains it; `jobs` are the processes that ours may use.
    """
    ratios: list[Ratio] = []
    with _room() as room:
        peers, absent = find_peers(room)
        if not peers:
            print("decryption of files: no peer is here to compare with")
            return [], absent
        print("peers: " + ", ".join(f"{peer.name} {peer.version}" for peer in peers))
        for case, bars in BARS.items():
            if only in case.name:
                ratios += _measure(folder, room, case, bars, peers, turns, jobs)
    return ratios, absent


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decrypt_files", description=__doc__)
    parser.add_argument("--turns", type=int, default=TURNS, help="turns of each pair (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build", "bench"), help="where the files are kept")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--only", default="", help="files whose name contains this: '200 MB', 'audio', 'cbcs'")
    parser.add_argument("--jobs", type=int, default=1, help="processes for ours (default: %(default)s)")
    options = parser.parse_args(arguments)
    ratios, absent = run(options.folder, options.turns, options.only, options.jobs)
    print(f"absent peers: {', '.join(absent) or 'none'}")
    if options.json:
        told = {"absent_peers": absent, "ratios": [each._asdict() | {"is_met": each.is_met} for each in ratios]}
        options.json.write_text(json.dumps(told, indent=1) + "\n")
    for ratio in ratios:
        if not ratio.is_met:
            print(f"missed: {ratio.line()}")
    return int(not all(ratio.is_met for ratio in ratios))


@contextlib.contextmanager
def _room() -> Iterator[Path]:
    """A folder in memory, where there is one."""
    shm = Path("/dev/shm")  # noqa: S108 - the folder in it is made by mkdtemp
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None, prefix="clearkey-bench-") as room:
        yield Path(room)


def _measure(
    folder: Path, room: Path, case: Case, bars: dict[str, float], peers: list[Peer], turns: int, jobs: int
) -> list[Ratio]:
    clear, sealed = make_case(folder, case)
    wanted = _samples(clear)
    ours = Job(sealed, room / "ours.mp4", KEY_ID.hex, KEY, case.kind, case.scheme.value, room)
    ratios = []
    command_of_ours = [*_our_command(ours), "--jobs", str(jobs)]
    _once(command_of_ours, room)  # the first run fills the page cache and writes bytecode
    if _samples(ours.target) != wanted:
        raise SystemExit(f"{case.name}: what we wrote is not the clear original")
    for peer in peers:
        theirs = ours._replace(target=room / "theirs.mp4")
        command = peer.command(theirs)
        verdict = _verdict(command, room, theirs.target, wanted)
        if verdict != _RIGHT:
            print(f"{case.name}, {peer.name}: not measured, since it {verdict}")
            continue
        costs = _turns((command_of_ours, ours.target), (command, theirs.target), room, turns)
        ratio = _median(a.cpu / b.cpu for a, b in costs)
        wall = _median(a.wall / b.wall for a, b in costs)
        us, them = (
            [_median(getattr(pair[side], field) for pair in costs) for field in Cost._fields] for side in (0, 1)
        )
        detail = (
            f"CPU {us[0] * 1e3:.0f} against {them[0] * 1e3:.0f} ms, wall {wall:.2f}, "
            f"peak {us[2]:.0f} against {them[2]:.0f} MiB"
        )
        figures: dict[str, object] = {"peer": peer.version, "turns": costs, "wall_ratio": wall}
        bar = bars.get(peer.name)
        made = Ratio(f"{case.name}, ours / {peer.name}", ratio, bar or 0.0, "at most", detail, figures)
        print(made.line() if bar else f"{made.name}: {ratio:.3f} (no bar)  {detail}", flush=True)
        if bar:
            ratios.append(made)
        if peer.name == "gpac":
            ratios.append(_warm(case, ours, them[0], turns))
    ours.target.unlink(missing_ok=True)
    peak = _median(_once(command_of_ours, room).peak for _ in range(3))
    ratios.append(Ratio(f"{case.name}, peak MiB", peak, MEMORY_BAR, "at most", "median of runs", {}))
    print(ratios[-1].line(), flush=True)
    ours.target.unlink()
    return ratios


def _warm(case: Case, job: Job, theirs: float, turns: int) -> Ratio:
    """The same as a call of the library, in this process: what a service that decrypts pays."""
    keys = {KEY_ID: ContentKey.parse(job.key)}
    gc.collect()
    taken = []
    for _ in range(turns + 1):
        job.target.unlink(missing_ok=True)
        began = time.process_time()
        decrypt_file(job.source, job.target, keys)
        taken.append(time.process_time() - began)
    cpu = statistics.median(taken[1:])
    detail = f"CPU {cpu * 1e3:.0f} against {theirs * 1e3:.0f} ms"
    made = Ratio(f"{case.name}, ours in a warm process / gpac", cpu / theirs, 1.0, "at most", detail, {"turns": taken})
    print(made.line(), flush=True)
    return made


def _our_command(job: Job) -> list[str]:
    command = Path(sys.executable).with_name("clearkey")
    if not command.is_file():
        raise SystemExit(f"the command is not installed: there is no {command}")
    return [str(command), "decrypt", str(job.source), "-o", str(job.target), "--key", f"{job.kid}:{job.key}", "-q"]


def _turns(
    ours: tuple[list[str], Path], theirs: tuple[list[str], Path], room: Path, turns: int
) -> list[tuple[Cost, Cost]]:
    """Run both in turn, each time without an output that is there already; the first turn does not count."""
    costs = []
    for _ in range(turns + 1):
        pair = []
        for command, target in (ours, theirs):
            # Ours would keep an old output until the new one is complete: other memory, which costs in itself.
            target.unlink(missing_ok=True)
            pair.append(_once(command, room))
            target.unlink()
        costs.append((pair[0], pair[1]))
    return costs[1:]


def _once(command: list[str], home: Path) -> Cost:
    """Run it to its end; what it costs includes the processes that it waited for."""
    # An installed package has its bytecode beside it; a checkout may be told to write none, so it is kept here.
    environment = {"PATH": os.defpath, "HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "bytecode")}
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *command]
    ran = subprocess.run(launcher, env=environment, capture_output=True, text=True, timeout=_LIMIT, check=True)
    status, *cost = map(float, ran.stdout.split())
    if status:
        raise subprocess.CalledProcessError(int(status), command, stderr=ran.stderr)
    return Cost(*cost)


def _verdict(command: list[str], room: Path, target: Path, wanted: dict[str, tuple[int, str]]) -> str:
    """Whether a peer's output holds the samples of the clear original: its exit code alone does not tell."""
    target.unlink(missing_ok=True)
    try:
        _once(command, room)
        found = _samples(target)
    except (subprocess.CalledProcessError, DRMError):
        return "fails"
    return _RIGHT if found == wanted else "writes other samples"


def _samples(path: Path) -> dict[str, tuple[int, str]]:
    """How many samples each track has, and their hash."""
    with FileByteStream(path) as stream:
        digests, _ = digest_tracks(stream, {}, frozenset())
    return {track.type: (track.samples, track.sha256) for track in digests}


def _median(values: Iterator[float]) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    sys.exit(main())
