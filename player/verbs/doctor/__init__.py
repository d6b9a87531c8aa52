"""`clearkey doctor`: starts a real worker and shows what isolation this machine gives it, and what it lacks.

With --attack it does not ask the worker but attacks it.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from drm.app.service_process import probe_service
from drm.errors import DRMError, ExitCode, IsolationError, StorageError
from drm.launch.device_key import home_folder, open_device_key
from drm.launch.process import probe_worker
from drm.protection import Level
from player.json_output import encode_json
from player.options import component_trust
from player.verbs.components.state import Components, look_at_components
from player.verbs.components.text import summary
from player.verbs.doctor.attack import attack
from player.verbs.doctor.report import as_dict, as_text, machine

__all__ = ["command"]


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--service", metavar="SOCKET", help="Look at a worker of this PMP service (level 3).")
@click.option("--attack", "is_attack", is_flag=True, help="Attack a worker, each time beside an unprotected process.")
@click.option(
    "--level", type=click.IntRange(1, 3), help="With --attack: what the worker must reach (3: the service's)."
)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="With --attack: write the table as a page."
)
@click.option("--as-user", metavar="NAME", help="With --attack, as root: attack under this account.")
@click.option(
    "--service-state", type=click.Path(path_type=Path, readable=False), metavar="DIR", default="/var/lib/clearkey-pmp",
    show_default=True, help="With --attack: folder of the service's device key, which is attacked.",
)  # fmt: skip
def command(
    *,
    as_json: bool,
    service: str | None,
    is_attack: bool,
    level: int | None,
    html: Path | None,
    as_user: str | None,
    service_state: Path,
) -> int:
    """Show what isolation this machine gives a PMP worker, whether its components are trusted, and your data folder.

    Exits with 9 when protected content cannot be played here: when level 1 is not to be had. With 3, when the data
    folder, which each session needs, cannot be written to.

    --attack attacks a worker as hostile media would from inside, and as its application would from outside. Each attack
    is made on an unprotected process too, where it must succeed: otherwise it counts as unproven, and never as refused.
    Exits with 9 when an attack was done. A worker of the service (--level 3, --service) is attacked from outside.
    """
    if is_attack:
        return attack(level, service, service_state, html, as_user, as_json=as_json)
    if level is not None or html is not None or as_user is not None:
        raise click.UsageError("--level, --html and --as-user belong to --attack")
    try:
        report = probe_service(service) if service else probe_worker()
    except IsolationError as error:
        if as_json:
            click.echo(encode_json({"level": 0, "host": machine(), "error": error.to_dict()}, indent=2))
        raise
    components, unusable = _components(), _data_folder_error()
    if as_json:
        folder = {"path": str(home_folder()), "error": unusable.to_dict() if unusable else None}
        more = {"components_trust": _trust_dict(components), "data_folder": folder}
        click.echo(encode_json(as_dict(report) | more, indent=2))
    else:
        click.echo(f"{as_text(report, unusable)}\n{_trust_line(components)}\ndata folder: {home_folder()}")
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
