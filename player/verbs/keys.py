"""`clearkey keys`: make, import, list, convert and check keys. Sub-verbs are imported when they are called."""

from __future__ import annotations

import importlib
from typing import Final

import click

__all__ = ["command"]

_SUBVERBS: Final = {
    "new": ("player.keys_text", "make new keys"),
    "convert": ("player.keys_text", "write KIDs and keys in another notation"),
    "check": ("player.keys_check", "say whether keys decrypt a file"),
    "import": ("player.keys_store", "put keys into a store"),
    "list": ("player.keys_store", "list the KIDs of a store"),
    "remove": ("player.keys_store", "remove keys from a store"),
    "policy": ("player.keys_store_rules", "set the rules under which a key is issued"),
    "revoke": ("player.keys_revoke", "issue no license for a key, content, token or device"),
    "rotate": ("player.keys_revoke", "make the keys of a content's next crypto period"),
    "token": ("player.keys_token", "make a token for a server that asks for one"),
    "export": ("player.keys_operation", "write keys of a store to a file; audited"),
    "verify": ("player.keys_operation", "hold every stored key to its check value"),
    "rewrap": ("player.keys_operation", "wrap a store's keys with a new key-encryption key"),
    "migrate": ("player.keys_operation", "bring a store to the version of this program"),
    "devices": ("player.keys_store_rules", "list, enrol and remove devices"),
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


@click.command("keys", cls=_LazyGroup)
def command() -> None:
    """Make, import, list, convert and check keys. Only `new`, `convert` and `export` write keys."""
