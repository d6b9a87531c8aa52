"""`clearkey components update`: the revocation list first, then what it replaces."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click

from drm.app.components.supply import ComponentSupply
from drm.app.components.trust import ComponentTrust
from drm.errors import InvalidArgumentError, TrustError
from player.json_output import encode_json
from player.one_line import echo_line
from player.options import ROOT_VARIABLE, URL_VARIABLE, trust_options
from player.progress import Progress
from player.verbs.components.state import look_at_components

if TYPE_CHECKING:
    from drm.app.components.updater import UpdateResult

__all__ = ["COMMANDS"]


@click.command("update")
@click.option("--list-only", is_flag=True, help="The revocation list and the metadata alone: download no component.")
@click.option("--json", "as_object", is_flag=True, help="Print one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@trust_options
def _update(trust: ComponentTrust, list_only: bool, as_object: bool, quiet: bool) -> None:
    """Renew the revocation list from the server, then fetch the components that are better than those at hand.

    The list is in force before any component is asked for. What is fetched counts from the next session on.
    """
    supply = ComponentSupply(trust)
    _refuse_without_server(trust, supply)
    before = _revoked_before(trust)
    is_drawn = sys.stderr.isatty()
    with Progress(quiet=quiet or as_object, what="updating") as progress:

        def say(line: str) -> None:
            if is_drawn:
                progress.name(line)
            elif not (quiet or as_object):
                echo_line(line, err=True)

        def show(_url: str, got: int, total: int | None) -> None:
            progress.show(got, total or 0)

        result = supply.update(replacements=not list_only, progress=say, received=show)
    if as_object:
        click.echo(encode_json(_as_dict(result), indent=2))
    elif not quiet:
        for line in _lines(result, before):
            echo_line(line)
        if list_only:
            _warn(trust)


def _refuse_without_server(trust: ComponentTrust, supply: ComponentSupply) -> None:
    """Return if there is a server to ask. Raises InvalidArgumentError, which says what to do about it."""
    if supply.repository:
        return
    if trust.root is not None:
        raise InvalidArgumentError(
            "nothing says where the components of this root are renewed from",
            remedy=f"give --url, or set {URL_VARIABLE}: the address that metadata/ and targets/ are below",
        )
    raise InvalidArgumentError(
        "nothing says where components are renewed from",
        maybe="clearkey runs from its sources here: a development authority signs those, and nobody publishes them",
        remedy="give --root and --url of an authority, or set "
        f"{ROOT_VARIABLE} and {URL_VARIABLE}; docs/how-to/publish-components.md makes one",
    )


def _revoked_before(trust: ComponentTrust) -> frozenset[str]:
    try:
        return frozenset(entry for authority in look_at_components(trust).authorities for entry in authority.revoked)
    except (TrustError, OSError):
        return frozenset()  # whatever is wrong with what is stored, the update is to heal


def _lines(result: UpdateResult, before: frozenset[str]) -> list[str]:
    trust = result.trust
    news = "new" if result.changed else "as before"
    lines = [f"revocation list: {trust.revocations.version} of {trust.revocations.issued:%Y-%m-%d}, {news}"]
    lines += [
        f"revoked:         {said}" for said in (e.describe() for e in trust.revocations.entries) if said not in before
    ]
    lines += [f"downloaded:      {entry.name} {entry.version}, {entry.length:,} bytes" for entry in result.downloaded]
    return lines if result.downloaded else [*lines, "downloaded:      nothing"]


def _as_dict(result: UpdateResult) -> dict[str, object]:
    return {
        "generation": result.generation,
        "changed": result.changed,
        "revocation_list": result.trust.revocations.version,
        "revoked": [entry.describe() for entry in result.trust.revocations.entries],
        "downloaded": [
            {"name": e.name, "version": e.version, "class_id": str(e.class_id), "sha256": e.sha256, "bytes": e.length}
            for e in result.downloaded
        ],
    }


def _warn(trust: ComponentTrust) -> None:
    """Say what the new list stops, and nothing has replaced yet."""
    for row in look_at_components(trust).rows:
        if row.state == "revoked":
            click.echo(f"warning: {row.name} {row.version} is revoked and runs no more: update without --list-only",
                       err=True)  # fmt: skip


COMMANDS: Final = {command.name: command for command in (_update,) if command.name}
