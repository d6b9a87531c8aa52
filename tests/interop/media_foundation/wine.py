"""Makes Wine's logs anew: builds mf_oracle.c and runs every scenario. They change with Wine's version alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.interop.media_foundation.scenarios import FOLDER, SCENARIOS

__all__ = ["OLDEST", "UnusableWineError", "check", "rebuild"]

OLDEST: Final = 10  # 8 hangs in seeks
_COMPILER: Final = "x86_64-w64-mingw32-gcc"
_PACKAGES: Final = "wine wine64 gcc-mingw-w64-x86-64 (Debian 13 has Wine 10; no display is needed)"
_LIMIT: Final = 60  # seconds for a scenario
_AT_ONCE: Final = 8


class UnusableWineError(Exception):
    """Wine is not there, or too old, or its programs cannot be built; says what to install."""


def check() -> str:
    """Return the version of Wine. Raises UnusableWineError."""
    wine = shutil.which("wine")
    missing = [name for name, found in (("wine", wine), (_COMPILER, shutil.which(_COMPILER))) if not found]
    if wine is None or missing:
        raise UnusableWineError(f"{' and '.join(missing)} not found on PATH; install {_PACKAGES}")
    said = subprocess.run([wine, "--version"], check=False, capture_output=True, text=True, timeout=_LIMIT).stdout
    version = re.match(r"wine-(\d+)\.(\d+)", said)
    if version is None:
        raise UnusableWineError(f"{wine} --version says {said.strip()!r}, which names no version; install {_PACKAGES}")
    if int(version[1]) < OLDEST:
        raise UnusableWineError(
            f"{version[0]} is older than Wine {OLDEST}.0: its Media Foundation hangs in seeks; install {_PACKAGES}"
        )
    return said.strip()


def rebuild(names: Sequence[str], into: Path = FOLDER / "wine") -> str:
    """Write the log of each scenario; return Wine's version. Raises UnusableWineError before anything is written."""
    version = check()
    with tempfile.TemporaryDirectory(prefix="mf-oracle-") as folder:
        program = Path(folder) / "mf_oracle.exe"
        libraries = ("-lmf", "-lmfplat", "-lmfuuid", "-lole32", "-luuid")
        built = subprocess.run(
            [_COMPILER, "-O1", "-Wall", "-o", str(program), str(FOLDER / "mf_oracle.c"), *libraries],
            check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        if built.returncode:
            raise UnusableWineError(f"mf_oracle.c cannot be built: {built.stderr.strip()}")
        runtime = Path(folder) / "run"
        runtime.mkdir(mode=0o700)
        environment = {
            **os.environ,
            "WINEDLLOVERRIDES": "winedbg.exe=d",
            "WINEDEBUG": "-all",
            "WINEPREFIX": str(Path(folder) / "prefix"),
            "XDG_RUNTIME_DIR": str(runtime),
            "LC_ALL": "C",
        }
        subprocess.run(
            ["wine", "wineboot", "-i"], check=False, env=environment, capture_output=True, timeout=10 * _LIMIT
        )

        def play(name: str) -> str:
            command = ["wine", str(program), str(SCENARIOS), name, "calls"]
            try:
                done = subprocess.run(
                    command, check=False, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                    timeout=_LIMIT,
                )  # fmt: skip
            except subprocess.TimeoutExpired as late:
                return f"{(late.stdout or b'').decode(errors='replace')}rc 124\n"
            text = done.stdout.decode(errors="replace").replace("\r\n", "\n")
            return text if not done.returncode else f"{text}rc {done.returncode}\n"

        play(names[0])  # starts Wine's server: it would count as the first one's time
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            logs = dict(zip(names, pool.map(play, names), strict=True))
    for name, log in logs.items():
        (into / f"{name}.log").write_text(log, encoding="utf-8")
    return version
