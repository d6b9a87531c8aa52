"""`clearkey encrypt` beside every other program that can: CPU of whole processes, start-up and all, taken in turn.

For each file and each peer that is here: first both outputs are decrypted by our reader, sample by sample, and compared
with the clear original; then ours and theirs run in turn. CPU is user and system time of the process and of those it
started; what counts is the median of the ratios of neighbouring runs. Inputs lie in the page cache and outputs go to
memory (/dev/shm), so that no disk is measured.

    python -m benchmarks.encrypt_files [--turns N] [--jobs N] [--only WORDS] [--folder FOLDER] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.decrypt_corpus import KEY, KEY_ID, Case, make_clear
from benchmarks.encrypt_peers import NAMES, encrypting
from benchmarks.peers import Job, Peer, find_peers
from benchmarks.processes import compare, median, once, our_command, room_in_memory, take_turns
from benchmarks.results import Ratio
from drm.app.byte_stream import FileByteStream
from drm.errors import DRMError
from drm.keys import ContentKey
from drm.media import Scheme
from player.digests import digest_tracks

__all__ = ["BARS", "MEMORY_BAR", "main", "run"]

TURNS: Final = 7
MEMORY_BAR: Final = 32.0  # MiB at the peak, for any file
BARS: Final = {
    Case(200, "video", Scheme.CENC): {"mp4encrypt": 0.25, "packager": 0.30},
    Case(200, "video", Scheme.CBCS): {"mp4encrypt": 0.60, "packager": 0.60},
    Case(20, "video", Scheme.CENC): {},
    Case(20, "audio", Scheme.CENC): {},
    Case(20, "audio", Scheme.CBCS): {},
}
"""The most that ours may take of a peer's CPU time. Peers without a bar are measured as well."""

_RIGHT: Final = "writes a file of the same samples"


def run(folder: Path, turns: int = TURNS, only: str = "", jobs: int = 1) -> tuple[list[Ratio], list[str]]:
    """Measure, printing a line for each pair; return the ratios that have a bar, and the names of absent peers.

    `only` takes the files whose name contains it; `jobs` are the processes that ours may use.
    """
    ratios: list[Ratio] = []
    with room_in_memory() as room:
        peers, absent = find_peers(room, NAMES)
        if not peers:
            print("encryption of files: no peer is here to compare with")
            return [], absent
        print("peers that encrypt: " + ", ".join(f"{peer.name} {peer.version}" for peer in peers))
        for case, bars in BARS.items():
            if only in case.name:
                ratios += _measure(make_clear(folder, case), room, case, bars, peers, turns, jobs)
    return ratios, absent


def main(arguments: list[str] | None = None) -> int:
    """Measure and print; exit 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encrypt_files", description=__doc__)
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
    clear: Path, room: Path, case: Case, bars: dict[str, float], peers: list[Peer], turns: int, jobs: int
) -> list[Ratio]:
    name = f"encrypt {case.name}"
    wanted = _samples(clear)
    ours = Job(clear, room / "ours.mp4", KEY_ID.hex, KEY, case.kind, case.scheme.value, room)
    words = ["encrypt", str(clear), "-o", str(ours.target), "--key", f"{ours.kid}:{ours.key}"]
    command = our_command(*words, "--scheme", ours.scheme, "--jobs", str(jobs), "-q")
    # The first run fills the page cache and writes bytecode.
    if (verdict := _verdict(command, room, ours.target, wanted)) != _RIGHT:
        raise SystemExit(f"{name}: what we wrote is wrong: ours {verdict}")
    ratios = []
    for peer in peers:
        theirs = ours._replace(target=room / "theirs.mp4")
        their_command = encrypting(peer, theirs)
        if their_command is None:
            print(f"{name}, {peer.name}: not measured, since it does not know {case.scheme}")
            continue
        verdict = _verdict(their_command, room, theirs.target, wanted)
        if verdict != _RIGHT:
            print(f"{name}, {peer.name}: not measured, since it {verdict}")
            continue
        costs = take_turns((command, ours.target), (their_command, theirs.target), room, turns)
        bar = bars.get(peer.name)
        made = compare(f"{name}, ours / {peer.name}", costs, bar, peer.version)
        if bar:
            ratios.append(made)
    ours.target.unlink(missing_ok=True)
    peak = median(once(command, room).peak for _ in range(3))
    ratios.append(Ratio(f"{name}, peak MiB", peak, MEMORY_BAR, "at most", "median of runs", {}))
    print(ratios[-1].line(), flush=True)
    ours.target.unlink()
    return ratios


def _verdict(command: list[str], room: Path, target: Path, wanted: dict[str, tuple[int, str]]) -> str:
    """Whether the output, decrypted, holds the samples of the clear original, and is encrypted at all."""
    target.unlink(missing_ok=True)
    try:
        once(command, room)
        found = _samples(target, sealed=True)
    except (subprocess.CalledProcessError, DRMError) as error:
        return f"fails ({type(error).__name__})"
    return _RIGHT if found == wanted else "writes other samples"


def _samples(path: Path, *, sealed: bool = False) -> dict[str, tuple[int, str]]:
    """How many samples each track has, and their hash; of a sealed one those that are encrypted."""
    with FileByteStream(path) as stream:
        digests, _ = digest_tracks(stream, {KEY_ID: ContentKey.parse(KEY)}, frozenset())
    return {track.type: (track.samples_encrypted if sealed else track.samples, track.sha256) for track in digests}


if __name__ == "__main__":
    sys.exit(main())
