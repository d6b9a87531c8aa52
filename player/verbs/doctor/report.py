"""What `clearkey doctor` found of a worker's lock-down, in lines for people and as JSON."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import msgspec

from drm.errors import StorageError
from drm.protection import (
    ADVICE,
    CONTAINED_LAYERS,
    SERVICE_LAYERS,
    WALL_LAYERS,
    Level,
    ProtectionReport,
    missing,
)
from drm.readable import readable

__all__ = ["as_dict", "as_text", "machine"]


def machine() -> dict[str, str]:
    """The machine, and who asks."""
    return {
        "system": platform.system(),
        "distribution": _distribution(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": sys.version.split()[0],
        "account": "root" if os.geteuid() == 0 else "ordinary user",
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        return "unknown"


def _lacks(report: ProtectionReport) -> dict[str, str]:
    level = Level.SERVICE if SERVICE_LAYERS[0] in report.layers else Level.CONTAINED_PLUS
    return missing(report.layers, level)


def as_dict(report: ProtectionReport) -> dict[str, object]:
    """The report for --json, with what to do about each missing layer."""
    advice = {name: ADVICE[name] for name in _lacks(report)}
    found: dict[str, object] = msgspec.to_builtins(report)
    window = report.start_window
    return found | {
        "start_window_text": window.text() if window else "",
        "label": Level(report.level).label,
        "advice": advice,
        "host": machine(),
        "executable": str(Path(sys.executable)),
    }


def as_text(report: ProtectionReport, unusable: StorageError | None) -> str:
    """The report in lines; `unusable`: why the data folder cannot be used."""
    host, versions = machine(), report.versions
    libraries = [
        f"{name} {versions[name]}" for name in ("av", "cryptography", "joserfc", "msgspec") if name in versions
    ]
    ffmpeg = [f"{name} {number}" for name, number in versions.items() if name in ("libavcodec", "libavutil")]
    lines = [
        f"isolation level {report.level} ({Level(report.level).label})",
        f"  {host['distribution']}, Linux {report.kernel}, {report.machine}, {host['account']}",
        f"  Python {versions.get('python', '?')}; {', '.join(libraries)}; FFmpeg: {', '.join(ffmpeg)}",
        f"  worker ready after {sum(report.startup_ms.values()):.0f} ms of its own, "
        f"{report.startup_ms.get('lock', 0):.1f} of them for the lock; Landlock ABI {report.landlock_abi or 'none'}",
    ]
    levels = [("level 1, contained", CONTAINED_LAYERS), ("level 2, contained+", WALL_LAYERS)]
    if SERVICE_LAYERS[0] in report.layers:
        levels.append(("level 3, service", SERVICE_LAYERS))
    for title, names in levels:
        lines += ["", title]
        lines += [f"  {name.replace('_', ' '):<20} {report.layers.get(name, 'no: not probed')}" for name in names]
    if report.start_window is not None:
        lines += ["", f"start window {report.start_window.text()}"]
    if report.unlisted_code:
        lines += ["", f"code of others in the worker: {', '.join(map(readable, report.unlisted_code))}"]
    lacks = _lacks(report)
    if lacks:
        lines += ["", "what to do"]
        lines += [f"  {name.replace('_', ' ')}: {ADVICE[name]}" for name in lacks]
    return "\n".join([*lines, "", _verdict(report, unusable)])


def _verdict(report: ProtectionReport, unusable: StorageError | None) -> str:
    withstood = "Not withstood at any level: root, the kernel, screen capture; below level 3, the owner of the account."
    if report.level < Level.CONTAINED:
        return "Protected content cannot be played here; clear content can."
    if unusable is not None:
        return "The isolation is there, but nothing can be played: the data folder cannot be used."
    return f"Protected content can be played here.\n{withstood}"
