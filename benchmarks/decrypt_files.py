"""`clearkey decrypt` beside every other program that can: CPU of whole processes, start-up and all, taken in turn.

For each file and each peer that is here: first the outputs of both are read, sample by sample, and compared with the
clear original; then ours and theirs run in turn, ours, theirs, ours, theirs. CPU is user and system time of the
process and of those it started; what counts is the median of the ratios of neighbouring runs. Inputs lie in the page
cache and outputs go to memory (/dev/shm), so that no disk is measured.

    python -m benchmarks.decrypt_files [--turns N] [--jobs N] [--only WORDS] [--folder FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.decrypt_corpus import KEY, KEY_ID, Case, make_case
from benchmarks.peers import Job, Peer, find_peers
from benchmarks.processes import compare, median, once, our_command, room_in_memory, take_turns
from benchmarks.results import Ratio
from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.errors import DRMError
from drm.keys import ContentKey
from drm.media import Scheme
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


def run(folder: Path, turns: int = TURNS, only: str = "", jobs: int = 1) -> tuple[list[Ratio], list[str]]:
    """Measure, printing a line for each pair; return the ratios that have a bar, and the names of absent peers.

    `only` takes the files whose name contains it; `jobs` are the processes that ours may use.
    """
    ratios: list[Ratio] = []
    with room_in_memory() as room:
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


def _measure(
    folder: Path, room: Path, case: Case, bars: dict[str, float], peers: list[Peer], turns: int, jobs: int
) -> list[Ratio]:
    clear, sealed = make_case(folder, case)
    wanted = _samples(clear)
    ours = Job(sealed, room / "ours.mp4", KEY_ID.hex, KEY, case.kind, case.scheme.value, room)
    ratios = []
    words = ["decrypt", str(sealed), "-o", str(ours.target), "--key", f"{ours.kid}:{ours.key}"]
    command_of_ours = our_command(*words, "-q", "--jobs", str(jobs))
    once(command_of_ours, room)  # the first run fills the page cache and writes bytecode
    if _samples(ours.target) != wanted:
        raise SystemExit(f"{case.name}: what we wrote is not the clear original")
    for peer in peers:
        theirs = ours._replace(target=room / "theirs.mp4")
        command = peer.command(theirs)
        verdict = _verdict(command, room, theirs.target, wanted)
        if verdict != _RIGHT:
            print(f"{case.name}, {peer.name}: not measured, since it {verdict}")
            continue
        costs = take_turns((command_of_ours, ours.target), (command, theirs.target), room, turns)
        bar = bars.get(peer.name)
        made = compare(f"{case.name}, ours / {peer.name}", costs, bar, peer.version)
        if bar:
            ratios.append(made)
        if peer.name == "gpac":
            ratios.append(_warm(case, ours, median(cost.cpu for _, cost in costs), turns))
    ours.target.unlink(missing_ok=True)
    peak = median(once(command_of_ours, room).peak for _ in range(3))
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


def _verdict(command: list[str], room: Path, target: Path, wanted: dict[str, tuple[int, str]]) -> str:
    """Whether a peer's output holds the samples of the clear original: its exit code alone does not tell."""
    target.unlink(missing_ok=True)
    try:
        once(command, room)
        found = _samples(target)
    except (subprocess.CalledProcessError, DRMError):
        return "fails"
    return _RIGHT if found == wanted else "writes other samples"


def _samples(path: Path) -> dict[str, tuple[int, str]]:
    """How many samples each track has, and their hash."""
    with FileByteStream(path) as stream:
        digests, _ = digest_tracks(stream, {}, frozenset())
    return {track.type: (track.samples, track.sha256) for track in digests}


if __name__ == "__main__":
    sys.exit(main())
