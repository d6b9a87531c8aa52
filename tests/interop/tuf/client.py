#!/usr/bin/env python3
"""`clearkey components update` as a client of the TUF conformance suite: its command-line protocol, translated.

`client.py --metadata-dir D init ROOT`, `client.py --metadata-dir D --metadata-url URL refresh`, and `download`: the
commands of github.com/theupdateframework/tuf-conformance, which is run in a checkout of its own, with this
environment's `bin` in PATH:

    pytest -c pyproject.toml tuf_conformance --entrypoint /path/to/tests/interop/tuf/client.py

`download` does what a refresh does and fails: which archives are fetched follows from the metadata, and nobody names a
target. client.py.xfails says which tests that concerns, and why.

After each refresh D holds what the command remembers as verified. A repository that has no revocation list, as those of
the suite have none, is refused at the very end; what TUF asks of a client was done by then, and that counts as success.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from drm.app.components.metadata import NO_LIST

_ROOT = re.compile(r"([1-9][0-9]*)\.root\.json")


def main() -> int:
    """Return the protocol's exit code: 0 good, 1 refused."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    for ignored in ("--target-name", "--target-dir", "--target-base-url"):
        parser.add_argument(ignored, action="append")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    words = parser.parse_args()
    beside = words.metadata_dir.parent / "clearkey"
    pin, store = beside / "root.json", beside / "store"
    if words.command == "init":
        beside.mkdir()
        shutil.copyfile(words.root, pin)
        return 0
    url = words.metadata_url.rstrip("/").removesuffix("metadata")
    clearkey = Path(sys.executable).with_name("clearkey")
    command = [clearkey, "components", "update", "--root", pin, "--url", url, "--store", store]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    sys.stderr.write(ran.stderr)
    export(store / "refresh", words.metadata_dir)
    is_good = ran.returncode == 0 or NO_LIST in ran.stderr
    return 0 if is_good and words.command == "refresh" else 1


def export(kept: Path, shown: Path) -> None:
    """Put what the store remembers where the suite looks for it, by the suite's names."""
    roots = {int(found[1]): path for path in kept.glob("root_history/*") if (found := _ROOT.fullmatch(path.name))}
    files = {"root.json": roots[max(roots)]} if roots else {}
    files |= {path.name: path for path in kept.glob("*.json") if path.name != "root.json"}
    for path in shown.glob("*.json"):
        if path.name not in files:
            path.unlink()
    for name, path in files.items():
        shutil.copyfile(path, shown / name)


if __name__ == "__main__":
    sys.exit(main())
