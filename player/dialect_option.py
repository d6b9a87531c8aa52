"""The option by which a verb takes dialects: `--dialect NAME`, repeatable."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from drm.cenc.dialect import Dialect

__all__ = ["dialect_option"]

_Command = TypeVar("_Command", bound=Callable[..., object])


def dialect_option(command: _Command) -> _Command:
    """Give `command` the option; it gets one argument `dialects: tuple[str, ...]`."""
    return click.option(
        "--dialect",
        "dialects",
        metavar="NAME",
        multiple=True,
        type=click.Choice([dialect.value for dialect in Dialect]),
        help=f"A reading of Common Encryption to follow: {', '.join(Dialect)}.",
    )(command)
