"""The verbs of `clearkey components` that look and change nothing."""

from __future__ import annotations

from typing import Final

import click
import msgspec

from drm.app.components.trust import ComponentTrust
from drm.app.server import create_pmp_server
from drm.app.worker_configuration import WorkerConfiguration
from drm.errors import DRMError, ExitCode, TrustError
from drm.hresult import name_of
from drm.protection import Level, ProtectionReport, TrustReport
from player.json_output import encode_json
from player.one_line import echo_line
from player.options import trust_options
from player.verbs.components.state import Components, look_at_components
from player.verbs.components.text import as_json, authority_lines, component_lines

__all__ = ["COMMANDS"]


@click.command("list")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@trust_options
def _list(trust: ComponentTrust, as_object: bool) -> int:
    """Show every component at hand: its version, who signed it, and whether it may run.

    Asks no server, and believes nothing unverified. Exits with 7 when one that every session needs must not run.
    """
    components = look_at_components(trust)
    if as_object:
        click.echo(_encoded(as_json(components)))
    else:
        for line in component_lines(components.rows):
            echo_line(line)
        for authority in components.authorities:
            click.echo()
            for line in authority_lines(authority):
                echo_line(line)
    return _ended(components, quiet=as_object)


@click.command("verify")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@trust_options
def _verify(trust: ComponentTrust, as_object: bool) -> int:
    """Verify root, metadata and every archive here, and once more in a real worker.

    Says `trusted` where the root of this package vouches for all of it, `test-signed` where another root vouches for
    any of it. Exits with 7 when what every session needs must not run.
    """
    components = look_at_components(trust)
    report, refusal = _asked_worker(trust)
    if as_object:
        worker = {"trust": msgspec.to_builtins(report.trust), "level": report.level} if report else {}
        worker |= {"error": refusal.to_dict() if refusal else None}
        click.echo(_encoded(as_json(components) | {"worker": worker}))
        return ExitCode.COMPONENT_NOT_TRUSTED if refusal else _ended(components, quiet=True)
    for authority in components.authorities:
        for line in authority_lines(authority):
            echo_line(line)
        versions = ", ".join(f"{role} {number}" for role, number in authority.versions.items())
        echo_line(f"versions:         {versions or 'none'}")
    running = sum(row.runs for row in components.rows)
    click.echo(f"verified here:    {running} of {len(components.rows)} components, each archive by its sha256")
    if report is not None and report.trust is not None:
        click.echo(f"verified there:   {_worker(report, report.trust)}")
        click.echo(f"{report.trust.signed}")
    if refusal is not None:
        click.echo(f"verified there:   the worker refuses: 0x{refusal.hresult:08X} {name_of(refusal.hresult)}")
    code = _ended(components, quiet=False, but=refusal)
    if refusal is not None:
        raise refusal  # the last paragraph, and the exit code
    return code


def _asked_worker(trust: ComponentTrust) -> tuple[ProtectionReport | None, TrustError | None]:
    """Have a worker verify the same. Raises IsolationError where none can be locked down."""
    try:
        with create_pmp_server(WorkerConfiguration(trust=trust, sealed=False)) as server:
            return server.protection_report, None
    except TrustError as error:
        return None, error


def _worker(report: ProtectionReport, trust: TrustReport) -> str:
    level = Level(report.level)
    return (
        f"{len(trust.components)} components in {trust.verify_ms:.1f} ms, by a worker of isolation level "
        f"{level.value} ({level.label})"
    )


def _ended(components: Components, *, quiet: bool, but: DRMError | None = None) -> int:
    """Say each fault in a paragraph, except that one; return the exit code."""
    for error in components.faults:
        if not quiet and (but is None or error.what != but.what):
            click.echo(error.render(), err=True)
    return ExitCode.GOOD if components.signed else ExitCode.COMPONENT_NOT_TRUSTED


def _encoded(document: dict[str, object]) -> str:
    return encode_json(document, indent=2)


COMMANDS: Final = {command.name: command for command in (_list, _verify) if command.name}
