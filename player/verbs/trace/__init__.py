"""`clearkey trace`: what a session says, event by event, while something is done with it in a locked-down worker."""

from __future__ import annotations

import contextlib

import click

from drm.app.rights.enabler import ContentProtectionManager
from drm.app.rights.license_forms import LicenseForm
from drm.app.rights.managers import LicenseManager, LocalKeysManager
from drm.errors import DRMError, InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.protection import Level
from license_server.process import LicenseServer
from player.json_output import encode_json
from player.key_mistakes import explain
from player.license_form_option import form_options
from player.media_file import shown_name
from player.options import component_trust, key_options
from player.verbs.trace.log import TraceLog
from player.verbs.trace.run import Scenario, Tracer

__all__ = ["command"]

_SCENARIOS = [scenario.value for scenario in Scenario]


@click.command("trace")
@click.argument("files", metavar="FILE [SEGMENT…]", nargs=-1, required=True, type=click.Path())
@click.option(
    "--scenario",
    type=click.Choice(_SCENARIOS),
    default=Scenario.PLAY.value,
    show_default=True,
    help="play: to the end. seek: pause, and start elsewhere. queue: twice in a row. license: rights alone.",
)
@key_options
@click.option("--license-url", metavar="URL", help="Clear Key license server to ask.")
@form_options
@click.option("--seconds", type=click.FloatRange(min=0.1), help="Play only so much from the beginning.")
@click.option("--unprotected", is_flag=True, help="Isolated but not locked down; plays clear content only.")
@click.option("--min-level", type=click.IntRange(1, 3), default=1, show_default=True, help="Isolation level to demand.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, for programs.")
def command(
    files: tuple[str, ...],
    scenario: str,
    keys: dict[KeyId, ContentKey],
    license_url: str | None,
    form: LicenseForm,
    seconds: float | None,
    unprotected: bool,
    min_level: int,
    as_json: bool,
) -> int:
    """Do something with FILE in a Media Session, and print its events in order.

    Each line tells the time, the side (a command of the application, an event of the session, a call of its content
    enabler), the event's number and name as in Media Foundation, and what it carries. With --scenario license, keys
    that are given are handed to a license server, which is started for it and asked over HTTP.
    """
    if license_url and keys:
        raise InvalidArgumentError(
            "keys come either from --license-url or from --key and --keys-file", remedy="leave one of them out"
        )
    wanted = Scenario(scenario)
    log = TraceLog()
    failure: DRMError | None = None
    level: int | None = None
    with contextlib.ExitStack() as stack:
        manager: ContentProtectionManager | None = LocalKeysManager(keys) if keys else None
        if wanted is Scenario.LICENSE and keys:
            license_url = stack.enter_context(LicenseServer(keys=keys)).license_url
            form = LicenseForm.SEALED  # nobody needs to ask it what it takes
        if license_url:
            manager = LicenseManager(license_url, form=form)
        tracer = Tracer(
            files,
            log,
            manager,
            seconds=seconds,
            unprotected=unprotected,
            min_level=min_level,
            trust=component_trust(),
        )
        try:
            level = tracer.run(wanted).level
        except DRMError as error:
            failure = explain(error, keys)
    if as_json:
        document = {
            "files": [shown_name([file]) for file in files],
            "scenario": scenario,
            "level": level,
            "log": log.rows(),
        }
        click.echo(encode_json(document, indent=2))
    else:
        if level is not None:
            click.echo(f"isolation level {level} ({Level(level).label})", err=True)
        click.echo("\n".join(log.lines()))
    if failure is not None:
        raise failure
    return 0
