"""The players of others, and axe-core: fetched from npm once, checked by hash, and never part of the repository.

One version stands for each that is in use: the last of its line. A new one is a line here, then `make players`.
"""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / "build" / "browser-players"
VENDORED = Path(__file__).parents[2] / "license_server" / "pages" / "static"
_LIMIT = 50  # seconds for one package


@dataclass(frozen=True)
class Script:
    """A file of a package, or a folder of modules, that a page loads."""

    package: str  # with its version
    inside: str
    digest: str  # SHA-256

    @property
    def name(self) -> str:
        """In the cache."""
        return self.package + Path(self.inside).suffix


@dataclass(frozen=True)
class Player:
    """One version of a player. `kind` names its page, `reads` the kinds of manifests that it is tried with."""

    name: str
    version: str
    kind: str
    reads: tuple[str, ...]
    scripts: tuple[Script, ...]

    @property
    def id(self) -> str:
        return f"{self.name}@{self.version}"


def _shaka(version: str, digest: str, inside: str = "dist/shaka-player.compiled.js") -> Player:
    script = Script(f"shaka-player@{version}", inside, digest)
    return Player("Shaka Player", version, "shaka", ("DASH", "HLS"), (script,))


def _dashjs(version: str, digest: str, inside: str = "dist/dash.all.min.js") -> Player:
    return Player("dash.js", version, "dashjs", ("DASH",), (Script(f"dashjs@{version}", inside, digest),))


def _hlsjs(version: str, digest: str) -> Player:
    return Player("hls.js", version, "hlsjs", ("HLS",), (Script(f"hls.js@{version}", "dist/hls.min.js", digest),))


PLAYERS = (
    _shaka("3.3.7", "cfd9f067796480ce2b90aee92f060dd7244d0c019b655c022684c07594c58848"),
    _shaka("4.3.16", "117a0a6e7ebc855195fa3c46b94e8c31dc8e66b40701be88918a836364a0a8ce"),
    _shaka("4.16.50", "89c7bb218465102ae86d7388e8c5717e73300ffd59f0e91c79f4b4cbe4e7fe0f"),
    _shaka("5.2.12", "1c57fdc3fdf98ae0405af66234986bc21ef1e453034bfcd6b19ebf009bd5d3d6",
           "dist/shaka-player.compiled-es2021.js"),
    _dashjs("3.2.2", "41f6dfad06c1f2fea2f93206249ce801ceade21f1b379996baa9d67845df09d4"),
    _dashjs("4.7.4", "3a1db51ed00412c16f9edb304db69ac84f1ffce8aa2d61caf4895aa9c9bdf0df"),
    _dashjs("5.2.1", "3a22b1f4576ab294f41e56f156cec7972a5f83edda379416778293ff22d2eb49",
            "dist/modern/umd/dash.all.min.js"),
    _hlsjs("1.5.20", "d016c1230496ee59f3f5b01c16cce4cc01b5a1d3d357adec200c908b131ebe49"),
    _hlsjs("1.6.19", "72b87a6e58db623feca73ab370970c1126ec06eb3dcd0a67fd14b47b6340b820"),
    _hlsjs("1.7.4", "cfc70cc9e9fc63d071919e087670abc760c8fd1bc889b88588026e4d22193bbe"),
    Player("rx-player", "4.5.0", "rxplayer", ("DASH",), (
        Script("rx-player@4.5.0", "dist/es2017", "2b8428cc7fcaa0099f299603f8ae8513d9b3316853222c3884b3ba14d031f7d2"),
    )),
    Player("video.js", "8.24.1", "videojs", ("DASH", "HLS"), (
        Script("video.js@8.24.1", "dist/video.min.js",
               "22394426b1c285f77afd575cd9cd63ae84f033ef08d39b315c2a5c6726d3f8b7"),
        Script("videojs-contrib-eme@5.5.2", "dist/videojs-contrib-eme.min.js",
               "40463a0f0bfab006970e89268f07db9a5f854f50c68637c4e4c16b6fa5b628b4"),
    )),
)  # fmt: skip


AXE = Script("axe-core@4.14.1", "axe.min.js", "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c")


def axe_source() -> str:
    """The text of axe-core, which looks for what people cannot perceive or operate; skip as `fetched` does."""
    _fetched(AXE)
    return (CACHE / AXE.name).read_text()


def newest(kind: str) -> Player:
    """The newest version that a page of this kind is tried with."""
    return next(player for player in reversed(PLAYERS) if player.kind == kind)


def fetched(player: Player) -> list[str]:
    """Return the paths of the player's scripts on the site; skip where npm or its registry is not to be had."""
    return [_fetched(script) for script in player.scripts]


def _fetched(script: Script) -> str:
    ours = VENDORED / Path(script.inside).name
    if ours.exists() and sha256(ours) == script.digest:
        return f"/vendored/{ours.name}"
    kept = CACHE / script.name
    if not kept.exists() or sha256(kept) != script.digest:
        _fetch(script, kept)
    return f"/players/{kept.name}"


def _fetch(script: Script, kept: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"npm is not installed, and {script.package} is not in {CACHE.name}")
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        command = [npm, "pack", "--silent", script.package]
        try:
            ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LIMIT)
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm has no {script.package} here: no answer in {_LIMIT} seconds")
        if ran.returncode:
            said = (ran.stderr.strip().splitlines() or ["no answer"])[0][:100]
            pytest.skip(f"npm has no {script.package} here: {said}")
        with tarfile.open(folder / ran.stdout.split()[-1]) as archive:
            archive.extractall(folder, filter="data")
        part = folder / "package" / script.inside
        assert sha256(part) == script.digest, f"{script.package} is not what these tests were written with"
        if kept.is_dir():
            shutil.rmtree(kept)
        part.replace(kept)


def sha256(path: Path) -> str:
    """Of a file; of a folder, over the names and hashes of its files, as `sha256sum` writes them."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
    return hashlib.sha256("".join(f"{sha256(path / file)}  {file}\n" for file in files).encode()).hexdigest()
