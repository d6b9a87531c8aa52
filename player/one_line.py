"""Print what stands on one line, whoever its words are of."""

from __future__ import annotations

import click

from drm.readable import readable

__all__ = ["echo_line"]


def echo_line(text: str, *, err: bool = False) -> None:
    """Print `text` on one line, on standard error with `err`: a name with a line break in it begins no line."""
    click.echo(readable(text, None), err=err)
