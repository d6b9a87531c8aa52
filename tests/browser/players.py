"""The players of others: fetched from npm once, checked by hash, and never part of the repository."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / "build" / "browser-players"
VENDORED = Path(__file__).parents[2] / "license_server" / "pages" / "static"

# package and version: the file of it that a page loads, and its SHA-256
PLAYERS = {
    "dashjs@5.2.1": (
        "dist/modern/umd/dash.all.min.js",
        "3a22b1f4576ab294f41e56f156cec7972a5f83edda379416778293ff22d2eb49",
    ),
    "hls.js@1.7.4": ("dist/hls.min.js", "cfc70cc9e9fc63d071919e087670abc760c8fd1bc889b88588026e4d22193bbe"),
}


def fetched() -> Path:
    """Return the folder with a file of every player; skip where npm or its registry is not to be had."""
    CACHE.mkdir(parents=True, exist_ok=True)
    for package, (inside, digest) in PLAYERS.items():
        file = CACHE / Path(inside).name
        if file.is_file() and sha256(file) == digest:
            continue
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip(f"npm is not installed, and {package} is not in {CACHE.name}")
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            command = [npm, "pack", "--silent", package]
            try:
                ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=50)
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm has no {package} here: no answer in 50 seconds")
            if ran.returncode:
                pytest.skip(f"npm has no {package} here: {(ran.stderr.strip().splitlines() or ['no answer'])[0][:100]}")
            with tarfile.open(Path(folder) / ran.stdout.split()[-1]) as archive:
                data = archive.extractfile(f"package/{inside}").read()
            part = Path(folder) / "part"
            part.write_bytes(data)
            assert sha256(part) == digest, f"{package} is not what these tests were written with"
            part.replace(file)
    return CACHE


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
