"""The peers' programs: which are here, and what one that ran said."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from benchmarks.peers import find_peers

LIMIT = 30.0  # seconds; each of these takes a tenth of one
# Those whose faults are known. Another version of FFmpeg is a peer that nobody has looked at.
NAMES = ("mp4decrypt", "mp4encrypt", "packager", "MP4Box", "gpac", "ffmpeg 8", "ffmpeg 5", "PyAV")


class PeerError(Exception):
    """A peer ended with an error. The message is its own words."""


@dataclass
class Program:
    """One peer."""

    name: str
    path: str
    version: str
    folder: Path  # its home, and the place of its outputs
    said: str = ""  # by its last run, of an error, even if it then ended as if there were none

    def run(self, *words: object, makes: Path | None = None) -> str:
        """Its standard output. Raises PeerError if it fails, never ends, or does not make the file `makes`."""
        self.said = ""
        if makes is not None:  # no peer is credited with what another, or an earlier run, left
            makes.unlink(missing_ok=True)
        told = {"HOME": str(self.folder), "PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
        try:
            ran = subprocess.run(
                [self.path, *map(str, words)], check=False, capture_output=True, text=True, errors="replace",
                timeout=LIMIT, env=told, stdin=subprocess.DEVNULL, cwd=self.folder,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise PeerError(f"did not end within {LIMIT:.0f} s") from None
        if ran.returncode < 0:
            raise PeerError(f"ended by signal {-ran.returncode}")
        if ran.returncode:
            raise PeerError(in_few_words(ran.stderr + "\n" + ran.stdout) or f"exit status {ran.returncode}")
        self.said = in_few_words(ran.stderr, of_encryption=True)
        if makes is not None and not makes.exists():
            raise PeerError(self.said or "made no file")
        return ran.stdout


def find_programs(folder: Path) -> dict[str, Program]:
    """Every peer that is here, by its name in NAMES."""
    found, _absent = find_peers(folder)
    programs = {peer.name: Program(peer.name, peer.path, peer.version.lstrip("vn"), folder) for peer in found}
    for name in ("mp4decrypt", "mp4encrypt"):
        path = shutil.which(name)
        if path:
            ran = subprocess.run([path], capture_output=True, text=True, timeout=LIMIT, check=False)
            release = re.search(r"Bento4 Version ([\d.]+)", ran.stdout + ran.stderr)
            programs[name] = Program(name, path, release.group(1) if release else "unknown", folder)
    programs["PyAV"] = Program("PyAV", "", av.__version__, folder)
    return {name: programs[name] for name in NAMES if name in programs}


_NOISE: Sequence[tuple[str, str]] = (
    (r"\x1b\[[0-9;]*m", ""),  # colours
    (r"\[[\w,#/]+ @ 0x[0-9a-f]+\] ", ""),  # which part of FFmpeg speaks
    (r"^.*?[\w]+\.cc:\d+\] ", ""),  # when and where Packager speaks
    (r"\S*/\w[^/\s']*\.(mp4|webm|xml)\b:?'?", "FILE"),
)
_OF_ENCRYPTION = re.compile(r"sub-?sample|sai[zo]|senc|crypt|CENC|protect|invalid data found", re.IGNORECASE)
_OF_FAILURE = re.compile(r"error|fail|cannot|unable|not found", re.IGNORECASE)


def in_few_words(text: str, *, of_encryption: bool = False) -> str:
    """The first line that tells of encryption or else of an error, without what differs from run to run.

    With `of_encryption`, only the former: FFmpeg, shown encrypted samples while it looks for the parameters of a
    stream, says much that a decoder thinks of them, and goes on.
    """
    lines = [line.strip() for line in text.splitlines()]
    telling = [line for line in lines if _OF_ENCRYPTION.search(line)]
    if not telling and not of_encryption:
        telling = [line for line in lines if _OF_FAILURE.search(line)]
    if not telling:
        return ""
    words = telling[0]
    for pattern, instead in _NOISE:
        words = re.sub(pattern, instead, words)
    return words.strip()
