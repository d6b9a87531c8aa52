"""The verbs of `clearkey authority` for bad days, and for keys that are kept elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from drm.errors import InvalidArgumentError, PassphraseError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.naming import what_is_named
from drm.trust.authority.recovering import LONGEST_STEP, recover
from drm.trust.authority.root_request import MAX_REQUEST, accept, countersign, prepare
from drm.trust.authority.staged_repository import ROLES
from drm.whole_file import write_whole
from player.one_line import echo_line
from player.verbs.authority.changes import life
from player.verbs.authority.options import authority_options, say_notes

__all__ = ["COMMANDS", "NEW_PASSPHRASE_VARIABLE"]

NEW_PASSPHRASE_VARIABLE: Final = "CLEARKEY_AUTHORITY_NEW_PASSPHRASE"  # noqa: S105 - its name, not its value
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("recover")
@click.argument("served", metavar="[FOLDER]", required=False,
                type=click.Path(exists=True, file_okay=False, path_type=Path))  # fmt: skip
@click.option("--ahead", metavar="N", type=click.IntRange(0, LONGEST_STEP), default=0, show_default=True,
              help="Let all numbers but a root's jump: for what clients saw and nobody has any more.")  # fmt: skip
@click.option("--life", "lives", metavar="ROLE=DAYS", multiple=True, help="As for `init`; it is not in what is served.")
@authority_options()
def _recover(home: AuthorityHome, served: Path | None, ahead: int, lives: tuple[str, ...]) -> None:
    """Make the authority again of its keys and the published files in FOLDER, or let an old one catch up with them."""
    trust = recover(home, served, ahead=ahead, days=dict(map(life, lives)))
    say_notes(home)
    versions = ", ".join(f"{role} {version}" for role, version in trust.versions.items())
    click.echo(f"published:   {versions}, revocation list {trust.revocations.version}")
    click.echo(f"serve:       {home.trees.shown}")


@click.command("passphrase")
@click.argument("names", metavar="ROLE|KEY…", nargs=-1, required=True)
@authority_options()
def _passphrase(home: AuthorityHome, names: tuple[str, ...]) -> None:
    """Give the keys of a role, or a key by the beginning of its id, another passphrase; the keys stay the same."""
    listed = home.trust().key_ids
    for name in names:
        key_ids = listed.get(name) or [what_is_named(home, name).keyid or ""]
        for key_id in [key_id for key_id in key_ids if home.keys.has(key_id)] or key_ids:
            called = f"the key {key_id[:12]} of {name}"
            path = home.keys.change_passphrase(key_id, called, _new_passphrase(called))
            click.echo(f"changed:     {path}")


@click.command("root-request")
@click.argument("role", metavar="ROLE", type=click.Choice(ROLES))
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(dir_okay=False, path_type=Path))
@authority_options()
def _root_request(home: AuthorityHome, role: str, output: Path) -> None:
    """Write what the holders of root keys are to sign so that ROLE gets new keys; `root`: so that it lasts longer.

    Carry FILE to where root keys are, have it signed with `countersign`, carry it back, and `accept` it.
    """
    write_whole(output, prepare(home, role))
    say_notes(home)
    click.echo(f"request:     {output}; next: `clearkey authority countersign` where root keys are")


@click.command("countersign")
@click.argument("request", metavar="FILE", type=_FILE)
@authority_options()
def _countersign(home: AuthorityHome, request: Path) -> None:
    """Show what the request in FILE changes, and sign it with the root keys that are here. Needs no repository."""
    signed, lines = countersign(_bounded(request), home.keys)
    write_whole(request, signed)
    for line in lines:
        echo_line(line)


@click.command("accept")
@click.argument("request", metavar="FILE", type=_FILE)
@authority_options()
def _accept(home: AuthorityHome, request: Path) -> None:
    """Publish the roots that a signed request holds."""
    numbers = accept(home, _bounded(request))
    say_notes(home)
    click.echo(f"published:   root {', '.join(map(str, numbers))}, as tree {home.trees.number()}")


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_REQUEST + 1)


def _new_passphrase(called: str) -> str:
    said = os.environ.get(NEW_PASSPHRASE_VARIABLE)
    if said is not None:
        if len(said.splitlines()) != 1:
            raise InvalidArgumentError(f"{NEW_PASSPHRASE_VARIABLE} holds no single line")
        return said.strip("\n")
    if not (sys.stdin and sys.stdin.isatty()):
        raise PassphraseError(
            "there is nobody to ask for the new passphrase", remedy=f"set {NEW_PASSPHRASE_VARIABLE} in the environment"
        )
    return str(click.prompt(f"New passphrase of {called}", hide_input=True, confirmation_prompt=True, err=True))


COMMANDS: Final = {
    command.name: command for command in (_recover, _passphrase, _root_request, _countersign, _accept) if command.name
}
