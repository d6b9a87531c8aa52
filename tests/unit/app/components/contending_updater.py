"""Run by test_killed_updater, several at once: update one store and read it, over and over, until told to stop.

Usage: contending_updater.py STORE REPOSITORY. Prints "ready", and in the end one JSON object.
"""

from __future__ import annotations

import importlib.util
import json
import select
import sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("trust_conftest", Path(__file__).parents[2] / "trust" / "conftest.py")
assert spec
assert spec.loader
conftest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(conftest)


def main(store: Path, shown: Path) -> None:
    installation = conftest.Installation(store, shown, (shown / "metadata/1.root.json").read_bytes())
    told = {"updates": 0, "looks": 0, "installed": 0, "failures": []}
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            told["installed"] += installation.update(race_pause=1.0).changed
            told["updates"] += 1
            for _ in range(3):
                assert installation.version() == "1.0.0"
                told["looks"] += 1
        except Exception as error:  # noqa: BLE001 - any is what this is after
            told["failures"].append(repr(error))
    print(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
