"""`python -m tests.interop.peers`: run every round trip and write the table of docs/peers.md anew."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.interop.peers import readers, sealed, writers
from tests.interop.peers.clips import Clips
from tests.interop.peers.known import READING_OURS, WRITING_FOR_US, Fault, fault, surprise
from tests.interop.peers.outcomes import peer_reads, we_read
from tests.interop.peers.programs import NAMES, PeerError, Program, find_programs

PAGE = Path(__file__).parents[3] / "docs" / "peers.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"
TITLES = {
    "mp4decrypt": "mp4decrypt (Bento4)",
    "mp4encrypt": "mp4encrypt (Bento4)",
    "packager": "Shaka Packager",
    "MP4Box": "MP4Box (GPAC)",
    "gpac": "gpac",
    "ffmpeg 8": "FFmpeg 8",
    "ffmpeg 5": "FFmpeg 5",
    "PyAV": "PyAV",
}
LONGEST = 48  # characters of a cell


class Notes:
    """The faults that a table met, numbered as they come."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def cell(self, known: Fault | None, outcome: str) -> str:
        if not outcome:
            return "yes"
        if known is None:
            return f"**{outcome}**"
        if known not in self._faults:
            self._faults.append(known)
        words = outcome.split("; says: ", maxsplit=1)[0].removeprefix("says: ")
        return f"{words if len(words) <= LONGEST else known.says.strip()} [{self._faults.index(known) + 1}]"

    def lines(self) -> Iterator[str]:
        for number, known in enumerate(self._faults, 1):
            yield f"{number}. {', '.join(TITLES[peer] for peer in known.peers)}: {known.why}."


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def table(programs: dict[str, Program], folder: Path) -> tuple[list[str], list[str]]:
    """The lines to write, and what is not as known.py has it."""
    clips = Clips(folder)
    surprises: list[str] = []

    def seen(faults: tuple[Fault, ...], notes: Notes, program: Program, case: str, outcome: str) -> str:
        known = fault(faults, program.name, case)
        words = surprise(known, outcome)
        if words:
            surprises.append(f"{program.name}, {case}: {words}")
        return notes.cell(known, outcome)

    versions = ", ".join(f"{TITLES[name]} {program.version}" for name, program in programs.items())
    lines = [f"Versions: {versions}.", "", "## What they decrypt of ours", ""]
    there = [programs[name] for name in readers.NAMES if name in programs]
    lines += [row("file", *(TITLES[program.name] for program in there)), row(*["---"] * (1 + len(there)))]
    notes = Notes()
    for case in sealed.CASES:
        path, clip, keys = case.encrypt(clips, folder)
        outcomes = [(program, peer_reads(program, path, clip, keys)) for program in there]
        lines.append(row(case.name, *(seen(READING_OURS, notes, program, case.name, out) for program, out in outcomes)))
    lines += ["", *notes.lines(), "", "## What we decrypt of theirs", ""]
    lines += [row("written by", "encryption", "clear files", "`decrypt` and `digest`"), row(*["---"] * 4)]
    notes = Notes()
    rows: dict[tuple[str, str, str, str], list[str]] = {}  # the clips that fared alike
    for other in (case for case in writers.CASES if case.program in programs):
        program = programs[other.program]
        try:
            outcome = we_read(program, other, clips, folder / other.file_name)
        except PeerError as error:
            outcome = f"cannot write it: {error}"
        cell = seen(WRITING_FOR_US, notes, program, other.name, outcome)
        told = f"{cell}, with `--dialect {'`, `'.join(other.dialects)}`" if other.dialects else cell
        rows.setdefault((TITLES[program.name], other.said, other.layout, told), []).append(other.codecs)
    lines += [row(by, said, f"{layout}: {', '.join(of)}", told) for (by, said, layout, told), of in rows.items()]
    return [*lines, "", *notes.lines()], surprises


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop.peers", description=__doc__)
    parser.add_argument("--print", action="store_true", help="print the table and leave the page alone")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        programs = find_programs(Path(folder))
        absent = [name for name in NAMES if name not in programs]
        lines, surprises = table(programs, Path(folder))
    for words in surprises:
        print(f"not as known.py has it: {words}", file=sys.stderr)
    if absent:
        print(f"absent: {', '.join(absent)}", file=sys.stderr)
    if told.print:
        print("\n".join(lines))
    elif absent or surprises:
        print(f"{PAGE.name} is written when all peers are here and nothing surprises; it stays", file=sys.stderr)
    else:
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main())
