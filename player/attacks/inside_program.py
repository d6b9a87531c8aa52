"""Stands in the worker's place: is born as a worker is, and then attacks from the inside. Run by path, as a worker is.

    inside_program.py MODE ATTACKS name=value...

MODE: locked, or open (no lock-down at all: the control). ATTACKS: names with commas between. For each, one JSON array
goes over the channel: its name and its outcome. What ends the process is seen by its parent. A worker's report goes
first, under the name "report".
"""

from __future__ import annotations

import json
import os
import signal
import sys

__all__ = ["main"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Attack, and end."""
    mode, names, *words = sys.argv[1:]
    pairs = [word.partition("=")[::2] for word in words]
    # No worker's path: what is needed of ours is loaded before the lock, like everything else.
    sys.path += [value for name, value in pairs if name == "path"]
    from player.attacks.inside_calls import InsideCalls  # noqa: PLC0415
    from player.attacks.kernel import LIBC, outcome_of  # noqa: PLC0415

    calls = InsideCalls(dict(pairs))
    if mode == "locked":
        from drm.pmp.__main__ import Arguments, born  # noqa: PLC0415

        report = born(Arguments.parse(words)).report
        _tell(calls.channel, "report", {"level": report.level, "layers": report.layers})
    else:
        LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != calls.parent:
            return
    for name in filter(None, names.split(",")):
        try:
            getattr(calls, name)()
            outcome = "done"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the next attack has its turn
            outcome = outcome_of(error)
        _tell(calls.channel, name, outcome)


def _tell(channel: int, name: str, outcome: object) -> None:
    os.write(channel, json.dumps([name, outcome]).encode())


if __name__ == "__main__":
    main()
