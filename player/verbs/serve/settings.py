"""The configuration file of `clearkey serve`: TOML whose members are the options by their names.

Options win over the environment (CLEARKEY_SERVE_PORT and so on), the environment over the file, and the file over
what is built in.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from drm.errors import InvalidArgumentError

__all__ = ["read_config"]


def read_config(context: click.Context, _option: click.Parameter, path: Path | None) -> None:
    """Take the members of a file as defaults of the command's options. Raises InvalidArgumentError."""
    if path is None:
        return
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgumentError(f"the configuration cannot be read: {error.strerror}", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgumentError("the configuration is not TOML", where=str(path), seen=str(error)[:200]) from None
    names = {
        spelling.removeprefix("--"): option.name
        for option in context.command.params
        if isinstance(option, click.Option)
        for spelling in option.opts
        if spelling.startswith("--")
    }
    unknown = sorted(set(told) - names.keys())
    if unknown:
        raise InvalidArgumentError(
            f"the configuration names what is no option: {', '.join(unknown)[:200]}",
            where=str(path),
            remedy="its members are the long names of the options, as in `port = 8700`",
        )
    context.default_map = {**(context.default_map or {}), **{names[name] or name: told[name] for name in told}}
