"""A clock that a test can trust on a machine that is busy with other things: it shows a bound of time exactly."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any, Self

import pytest

__all__ = ["HeldClock"]


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
