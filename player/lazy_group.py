"""A verb with sub-verbs, each imported when it is called: `clearkey --help` must not wait for any of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import click

__all__ = ["lazy_group"]


class _LazyGroup(click.Group):
    def __init__(self, *args: Any, sub_verbs: Mapping[str, tuple[str, str]], **more: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **more)
        self._sub_verbs = sub_verbs

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(self._sub_verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in self._sub_verbs:
            return None
        command = importlib.import_module(self._sub_verbs[cmd_name][0]).COMMANDS[cmd_name]
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Verbs"):
            formatter.write_dl([(name, words) for name, (_module, words) in self._sub_verbs.items()])


def lazy_group(name: str, sub_verbs: Mapping[str, tuple[str, str]]) -> Callable[[Callable[..., None]], click.Command]:
    """Make a verb of a function that has nothing but a docstring.

    `sub_verbs` maps each sub-verb to the module whose COMMANDS hold it, and to what it does, in words.
    """
    return click.command(name, cls=_LazyGroup, sub_verbs=sub_verbs)
