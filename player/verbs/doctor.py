"""`clearkey doctor`: starts a real worker and shows what isolation this machine gives it, and what it lacks."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

import click
import msgspec

from drm.app.service_process import probe_service
from drm.errors import DRMError, ExitCode, IsolationError, StorageError
from drm.launch.device_key import home_folder, open_device_key
from drm.launch.process import probe_worker
from drm.protection import (
    ADVICE,
    CONTAINED_LAYERS,
    SERVICE_LAYERS,
    WALL_LAYERS,
    Level,
    ProtectionReport,
    missing,
)
from player.json_output import encode_json
from player.options import component_trust
from player.verbs.components.state import Components, look_at_components
from player.verbs.components.text import summary

__all__ = ["command"]


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--service", metavar="SOCKET", help="Look at a worker of this PMP service (level 3).")
def command(*, as_json: bool, service: str | None) -> int:
    """Show what isolation this machine gives a PMP worker, whether its components are trusted, and your data folder.

    Exits with 9 when protected content cannot be played here: when level 1 is not to be had. With 3, when the data
    folder, which each session needs, cannot be written to.
    """
    try:
        report = probe_service(service) if service else probe_worker()
    except IsolationError as error:
        if as_json:
            click.echo(encode_json({"level": 0, "host": _machine(), "error": error.to_dict()}, indent=2))
        raise
    components, unusable = _components(), _data_folder_error()
    if as_json:
        folder = {"path": str(home_folder()), "error": unusable.to_dict() if unusable else None}
        more = {"components_trust": _trust_dict(components), "data_folder": folder}
        click.echo(encode_json(_as_dict(report) | more, indent=2))
    else:
        click.echo(f"{_as_text(report, unusable)}\n{_trust_line(components)}\ndata folder: {home_folder()}")
    if report.level < Level.CONTAINED:
        return ExitCode.ISOLATION
    if unusable is not None:
        raise unusable
    return ExitCode.GOOD


def _data_folder_error() -> StorageError | None:
    """Do with the data folder what each session does, and return what is wrong with it."""
    try:
        os.close(open_device_key())
    except StorageError as error:
        return error
    return None


def _components() -> Components | DRMError:
    """What is at hand. That none of it can be read is a finding too, and no end of this verb."""
    try:
        return look_at_components(component_trust())
    except DRMError as error:
        return error
    except OSError as error:
        return DRMError(str(error))


def _trust_line(components: Components | DRMError) -> str:
    return f"components: {components.what}" if isinstance(components, DRMError) else summary(components)


def _trust_dict(components: Components | DRMError) -> dict[str, object]:
    if isinstance(components, DRMError):
        return {"error": components.to_dict()}
    return {"signed": components.signed, "summary": summary(components)}


def _machine() -> dict[str, str]:
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


def _as_dict(report: ProtectionReport) -> dict[str, object]:
    advice = {name: ADVICE[name] for name in _lacks(report)}
    found: dict[str, object] = msgspec.to_builtins(report)
    window = report.start_window
    return found | {
        "start_window_text": window.text() if window else "",
        "label": Level(report.level).label,
        "advice": advice,
        "host": _machine(),
        "executable": str(Path(sys.executable)),
    }


def _as_text(report: ProtectionReport, unusable: StorageError | None) -> str:
    machine, versions = _machine(), report.versions
    libraries = [
        f"{name} {versions[name]}" for name in ("av", "cryptography", "joserfc", "msgspec") if name in versions
    ]
    ffmpeg = [f"{name} {number}" for name, number in versions.items() if name in ("libavcodec", "libavutil")]
    lines = [
        f"isolation level {report.level} ({Level(report.level).label})",
        f"  {machine['distribution']}, Linux {report.kernel}, {report.machine}, {machine['account']}",
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
