"""Clocks that a test can trust on a machine that is busy with other things.

`HeldClock` stands still until the test moves it: it shows a bound of time exactly. `Beats` counts time as this process
gets it, for what only runs in real time: what waits five seconds is found out where half a second is allowed, and a
machine that lets everything wait is not.
"""

from __future__ import annotations

import threading
import time
from types import ModuleType
from typing import Any, Self

import pytest

__all__ = ["Beats", "HeldClock"]

_BEAT = 0.01  # seconds


class HeldClock:
    """What a module sees as `time`: the seconds of its clocks stand still until `advance`."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def hold(self, patch: pytest.MonkeyPatch, *modules: ModuleType) -> Self:
        """Be the `time` of these modules for as long as the test lasts."""
        for module in modules:
            patch.setattr(module, "time", self)
        return self

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class Beats:
    """A stopwatch for as long as its block lasts, in beats of a thread of this process.

    On an idle machine a second has a hundred of them; where the processor is shared, as many fewer as others get.
    """

    def __enter__(self) -> Self:
        self._count = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="beats", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            self._count += 1

    @property
    def seconds(self) -> float:
        """Since the block began."""
        return self._count * _BEAT
