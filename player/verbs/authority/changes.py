"""The verbs of `clearkey authority` that change what is published."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import click

from drm.errors import InvalidArgumentError
from drm.trust.authority.component_folder import sign
from drm.trust.authority.create import ROOT_KEYS, ROOT_THRESHOLD, create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.naming import Named, describe, names_of, what_is_named
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke, unrevoke
from drm.trust.authority.rotating import rotate
from drm.trust.authority.staged_repository import ROLES
from drm.trust.authority.ticking import next_tick, tick
from drm.trust.revocations import Reason, Renewal, Revocation
from player.verbs.authority.options import authority_options, say_notes

__all__ = ["COMMANDS", "life"]

_SHORTEST_WAIT: Final = 60.0  # seconds between two looks of `tick --watch`
_LONGEST_WAIT: Final = 3600.0


@click.command("init")
@click.option("--root-keys", metavar="N", type=click.IntRange(1, 15), default=ROOT_KEYS, show_default=True)
@click.option("--root-threshold", metavar="N", type=click.IntRange(1, 15), default=ROOT_THRESHOLD, show_default=True)
@click.option("--life", "lives", metavar="ROLE=DAYS", multiple=True, help="How long a role's metadata is good for.")
@authority_options(makes=True)
def _init(home: AuthorityHome, root_keys: int, root_threshold: int, lives: tuple[str, ...]) -> None:
    """Make an authority: keys, roles, and an empty revocation list."""
    keys = create_authority(home, root_keys=root_keys, root_threshold=root_threshold, days=dict(map(life, lives)))
    say_notes(home)
    click.echo(f"authority:   {home.folder}")
    for role in ROLES:
        for key_id in keys[role]:
            click.echo(f"key:         {key_id}  {role}")
    click.echo(f"serve:       {home.trees.shown}")
    click.echo("next:        take the root, targets and components keys off this machine; see `authority status`")


@click.command("sign")
@click.argument("folders", metavar="FOLDER…", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@authority_options()
def _sign(home: AuthorityHome, folders: tuple[Path, ...]) -> None:
    """Pack each component's FOLDER as an archive that waits for `publish`."""
    for folder in folders:
        described, path = sign(home, folder)
        click.echo(f"{described.name} v{described.version}  {path}")
    say_notes(home)


@click.command("publish")
@click.argument("sources", metavar="[FOLDER|ARCHIVE…]", nargs=-1, type=click.Path(exists=True, path_type=Path))
@authority_options()
def _publish(home: AuthorityHome, sources: tuple[Path, ...]) -> None:
    """Publish what was signed, or the components in these folders and archives."""
    entries = publish(home, sources)
    say_notes(home)
    for entry in entries:
        click.echo(f"{entry.name} v{entry.version}  {entry.class_id}  sha256 {entry.sha256}")
    click.echo(f"published as tree {home.trees.number()}")


@click.command("revoke")
@click.argument("words", metavar="[NAME [VERSION] | CLSID | HASH | KEY]", nargs=-1)
@click.option("--version", "versions", metavar="VERSION", multiple=True, help="A version of the component. Repeatable.")
@click.option("--below", metavar="VERSION", help="Every version of the component under this one.")
@click.option("--sha256", metavar="HEX", multiple=True, help="An archive, whoever signed it. Repeatable.")
@click.option("--key", "keyid", metavar="KEYID", help="What a lost key signed; rotate the key first.")
@click.option("--reason", type=click.Choice([reason.value for reason in Reason]), required=True)
@click.option("--text", metavar="WORDS", default="", help="Why, for people.")
@click.option("--renewal", metavar="VERSION", default="", help="The version to take instead, as a hint for people.")
@click.option("--page", metavar="URL", default="", help="Where people read more.")
@authority_options()
def _revoke(
    home: AuthorityHome,
    words: tuple[str, ...],
    versions: tuple[str, ...],
    below: str | None,
    sha256: tuple[str, ...],
    keyid: str | None,
    reason: str,
    text: str,
    renewal: str,
    page: str,
) -> None:
    """Put versions of a component, archives, or what a key signed on the revocation list, and list them no more.

    It is named as `authority status` names it, or by the options.
    """
    named = what_is_named(home, " ".join(words)) if words else Named()
    versions, sha256 = (*named.versions, *versions), (*named.sha256, *(digest.lower() for digest in sha256))
    keyid = what_is_named(home, keyid).keyid or keyid if keyid else named.keyid
    if not (versions or below or sha256 or keyid):
        raise InvalidArgumentError("nothing says what is revoked", remedy="give --version, --below, --sha256 or --key")
    try:
        wanted = Revocation(
            id="-",
            class_id=named.class_id,
            sha256=sha256,
            versions=versions,
            below=below,
            keyid=keyid,
            reason=Reason(reason),
            text=text,
            renewal=Renewal(version=renewal, page=page) if renewal or page else None,
        )
    except ValueError as error:
        raise InvalidArgumentError(str(error)) from None
    entry = revoke(home, wanted)
    say_notes(home)
    click.echo(f"revocation list {home.trust().revocations.version}: {describe(entry, names_of(home))}")


@click.command("unrevoke")
@click.argument("entry", metavar="ENTRY")
@authority_options()
def _unrevoke(home: AuthorityHome, entry: str) -> None:
    """Take ENTRY off the list; `authority status` shows their names. What it delisted is to be published again."""
    revocations = unrevoke(home, entry)
    say_notes(home)
    click.echo(f"revocation list {revocations.version}: {len(revocations.entries)} entries")


@click.command("rotate")
@click.argument("role", metavar="ROLE", type=click.Choice(ROLES))
@click.option("--key", "only", metavar="KEYID", help="Replace this key alone.")
@authority_options()
def _rotate(home: AuthorityHome, role: str, only: str | None) -> None:
    """Give ROLE new keys: root, targets, components, revocations, snapshot or timestamp. Clients notice nothing."""
    keys = rotate(home, role, only)
    say_notes(home)
    click.echo(f"{role} key:  {', '.join(keys)}")


@click.command("tick")
@click.option("--watch", is_flag=True, help="Go on for ever, and sign whenever something is due.")
@authority_options()
def _tick(home: AuthorityHome, watch: bool) -> None:
    """Sign again what is half through its life, as far as the keys are here. For a timer, or with --watch."""
    while True:
        signed = tick(home)
        say_notes(home)
        home.notes.clear()
        if signed or not watch:
            click.echo(f"signed: {', '.join(signed) or 'nothing was due'}")
        if not watch:
            return
        wait = next_tick(home.trust(), home.lifetimes, home.now()).total_seconds()
        time.sleep(min(max(wait, _SHORTEST_WAIT), _LONGEST_WAIT))


def life(text: str) -> tuple[str, int]:
    """Read ROLE=DAYS. Raises InvalidArgumentError."""
    role, _, days = text.partition("=")
    if role not in ROLES or not days.isdecimal() or not 1 <= int(days) <= 36_500:
        raise InvalidArgumentError(f"--life takes ROLE=DAYS, not {text!r}", remedy=f"a role is {', '.join(ROLES)}")
    return role, int(days)


COMMANDS: Final = {
    command.name: command for command in (_init, _sign, _publish, _revoke, _unrevoke, _rotate, _tick) if command.name
}
