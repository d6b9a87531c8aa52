"""SVT-AV1, run by root, gives the thread that encodes the highest real-time priority, and does not take it back.

Whatever that process starts later would inherit it, and take the processor from everything else on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["usual_scheduling"]


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """At its end this thread is scheduled as any other, whatever an encoder made of it."""
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
