"""A copy of the tree to plant mistakes in, with a virtual environment whose `clearkey` is that copy."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["Tree", "copied_tree"]


class Tree:
    """A tree whose modules are changed and put back. One process at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = root / ".venv" / "bin" / "python"
        self._turn = 0

    def plant(self, module: str, source: str) -> None:
        """Write `source` as `module`, which `restore` puts back."""
        path = self.root / module
        kept = path.with_suffix(".py.original")
        if not kept.exists():
            shutil.copy2(path, kept)
        path.write_text(source, encoding="utf-8")
        # Compiled code is told by size and by whole seconds: two mutants must share neither with one another.
        self._turn += 1
        when = kept.stat().st_mtime + 1000 + self._turn
        os.utime(path, (when, when))

    def restore(self, module: str) -> None:
        """Undo `plant`."""
        (self.root / module).with_suffix(".py.original").replace(self.root / module)


def copied_tree(source: Path, target: Path) -> Tree:
    """Make `target` a copy of what git tracks, or would, in `source`, and give it a virtual environment.

    Files that are there already and are the same stay, with their compiled code; what is gone in `source` goes.
    """
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source, capture_output=True, check=True, timeout=60,
    )  # fmt: skip
    wanted = {path for path in listed.stdout.decode().split("\0") if path and (source / path).is_file()}
    for folder, folders, files in os.walk(target):
        folders[:] = [name for name in folders if name not in (".venv", "__pycache__", "build")]
        for name in files:
            path = Path(folder, name)
            if str(path.relative_to(target)) not in wanted:
                path.unlink()
    for path in wanted:
        old, new = source / path, target / path
        known, here = old.stat(), new.stat() if new.exists() else None
        if here is None or (here.st_size, here.st_mtime_ns) != (known.st_size, known.st_mtime_ns):
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(old, new)
    if not (target / ".venv").exists():
        _virtual_environment(source, target)
    return Tree(target)


def _virtual_environment(source: Path, target: Path) -> None:
    """The running one again, by links; where it names `source` as the place of `clearkey`, it names `target`."""
    old, new = Path(sys.prefix), target / ".venv"
    packages = Path("lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages")
    (new / packages).mkdir(parents=True)
    (new / "bin").mkdir()
    shutil.copy2(old / "pyvenv.cfg", new)
    for path in (old / packages).iterdir():
        here = new / packages / path.name
        if path.suffix == ".pth":
            here.write_text(path.read_text().replace(str(source), str(target)))
        elif path.name.startswith("clearkey-"):
            shutil.copytree(path, here)
            origin = here / "direct_url.json"
            if origin.exists():
                origin.write_text(origin.read_text().replace(str(source), str(target)))
        elif path.name != "__pycache__":
            here.symlink_to(path)
    for path in (old / "bin").iterdir():
        here = new / "bin" / path.name
        if path.is_symlink():
            here.symlink_to(path.resolve() if path.name == "python" else path.readlink())
        else:
            text = path.read_bytes()
            here.write_bytes(text.replace(bytes(source), bytes(target)))
            here.chmod(0o755)
