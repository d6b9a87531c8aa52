"""One ratio beside its bar, as it is printed and as it goes into results.json."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import av

from drm.whole_file import write_whole

__all__ = ["Ratio", "write_results"]


class Ratio(NamedTuple):
    """A claim of speed: both sides were measured in this very run."""

    name: str
    value: float
    bar: float
    keeps: Literal["at most", "at least"]
    detail: str
    figures: dict[str, object]

    @property
    def is_met(self) -> bool:
        return self.value <= self.bar if self.keeps == "at most" else self.value >= self.bar

    def line(self) -> str:
        verdict = "good" if self.is_met else "MISSED"
        return f"{self.name}: {self.value:.3f} (bar: {self.keeps} {self.bar:g}, {verdict})  {self.detail}"


def write_results(path: Path, ratios: Sequence[Ratio], absent: Sequence[str]) -> None:
    """Write what was measured and on what machine; the file is replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()},
        "libraries": {"av": av.__version__},
        "absent_peers": list(absent),
        "ratios": [ratio._asdict() | {"is_met": ratio.is_met} for ratio in ratios],
    }
    write_whole(path, json.dumps(found, indent=2).encode() + b"\n")
