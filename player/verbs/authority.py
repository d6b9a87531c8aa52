"""`clearkey authority`: sign, publish, revoke components. Sub-verbs are imported when they are called."""

from __future__ import annotations

import importlib
from typing import Final

import click

__all__ = ["command"]

_CHANGES: Final = "player.authority_changes"
_SHOWS: Final = "player.authority_shows"
_SUBVERBS: Final = {
    "init": (_CHANGES, "make an authority: keys, roles, an empty revocation list"),
    "sign": (_CHANGES, "pack a component's folder as the archive that will be published"),
    "publish": (_CHANGES, "list signed archives, so that clients take them"),
    "revoke": (_CHANGES, "put a component on the revocation list, and list it no more"),
    "unrevoke": (_CHANGES, "take an entry off the revocation list"),
    "rotate": (_CHANGES, "give a role new keys"),
    "tick": (_CHANGES, "sign again what is half through its life"),
    "status": (_SHOWS, "show roles, keys, expiries and what is published"),
    "verify": (_SHOWS, "verify what is published, as a client does"),
    "export-root": (_SHOWS, "write the root that clients pin"),
    "bundle": (_SHOWS, "write what is published as the bundle that a wheel carries"),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(_SUBVERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _SUBVERBS:
            return None
        found = importlib.import_module(_SUBVERBS[cmd_name][0]).COMMANDS[cmd_name]
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(name, words) for name, (_module, words) in _SUBVERBS.items()])


@click.command("authority", cls=_LazyGroup)
def command() -> None:
    """Sign, publish and revoke components: the publisher's side, on The Update Framework.

    The passphrase of the signing keys is asked for, or read from CLEARKEY_AUTHORITY_PASSPHRASE.
    """
