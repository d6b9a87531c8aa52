"""The options by which a verb takes keys: `--key KID:KEY`, repeatable, and `--keys-file FILE`."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from drm.errors import KeysFileError
from drm.keys import ContentKey, KeyId, parse_key_pair
from drm.keys_file import MAX_KEYS_FILE, join_keys, parse_keys_file

__all__ = ["key_options", "read_keys_file"]

_Result = TypeVar("_Result")


def key_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give `command` the two options; it gets one argument `keys: dict[KeyId, ContentKey]`, empty if none is given.

    Raises InvalidArgumentError or KeysFileError for what cannot be read, and when the two contradict each other.
    """

    @click.option("--key", "key_pairs", metavar="KID:KEY", multiple=True, help="A key; repeat it for several.")
    @click.option(
        "--keys-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True),
        help="Keys: a JWK Set, a JSON map, or lines KID:KEY; '-' reads standard input.",
    )
    @functools.wraps(command)
    def with_keys(*args: object, key_pairs: tuple[str, ...], keys_file: str | None, **options: object) -> _Result:
        if key_pairs:
            click.echo(
                "note: a key on the command line is visible to other users in the process list;"
                " --keys-file keeps it private",
                err=True,
            )
        return command(*args, keys=join_keys(_entries(key_pairs, keys_file)), **options)

    return with_keys


def _entries(key_pairs: tuple[str, ...], keys_file: str | None) -> Iterator[tuple[str, KeyId, ContentKey]]:
    for text in key_pairs:
        yield "--key", *parse_key_pair(text)
    if keys_file is not None:
        for kid, key in read_keys_file(keys_file).items():
            yield keys_file, kid, key


def read_keys_file(path: str) -> dict[KeyId, ContentKey]:
    """Read the keys file at `path`, or standard input for "-". Raises KeysFileError that names the file."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_KEYS_FILE + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_KEYS_FILE + 1)
        return parse_keys_file(data)
    except KeysFileError as error:
        where = ", ".join(part for part in (path, error.where) if part)
        raise KeysFileError(
            error.what, where=where, seen=error.seen, maybe=error.maybe, remedy=error.remedy, kids=error.kids
        ) from None
