"""`clearkey components`: what a worker would run, whether it may, and how it is renewed. Sub-verbs load lazily."""

from __future__ import annotations

import importlib
from typing import Final

import click

__all__ = ["command"]

_SUBVERBS: Final = {
    "list": ("player.components_show", "show every component at hand, who signed it and whether it may run"),
    "verify": ("player.components_show", "verify all of it here, and once more in a worker"),
    "update": ("player.components_update", "renew the revocation list, and what it replaces, from a server"),
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


@click.command("components", cls=_LazyGroup)
def command() -> None:
    """Show, verify and renew the components that a worker runs.

    Without options: those that the package pins an authority for; in a checkout, those that a development authority
    signs by itself. Exits with 7 when a component that every session needs must not run.
    """
