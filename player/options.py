"""Options that several verbs have: for keys (`--key`, `--keys-file`) and for dialects (`--dialect`)."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar, overload

import click

from drm.cenc.dialect import Dialect
from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.formats import MAX_KEYS_FILE, join_keys, parse_key_entries, parse_keys_file
from drm.keyfile.spellings import KeyEntry, Resolved, parse_keys, resolve
from drm.keys import ContentKey, KeyId

__all__ = ["dialect_option", "key_options", "keys_file_of", "read_keys_file"]

_Result = TypeVar("_Result")
_Command = TypeVar("_Command", bound=Callable[..., object])


def key_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give `command` --key (repeatable; `@FILE` names a keys file) and --keys-file.

    It gets one argument `keys: dict[KeyId, ContentKey]`, empty if none is given.

    A key for a track, or without a KID, is resolved against the media: the verb's arguments `files`, or `file` and
    `segments`.

    Raises InvalidArgumentError or KeysFileError for what cannot be read, and when the two contradict each other;
    MediaError when the media must be read for its KIDs and cannot be.
    """

    @click.option(
        "--key",
        "key_pairs",
        metavar="KID:KEY",
        multiple=True,
        help="A key; repeat it for several. Also TRACK:KEY, a KEY alone, as Shaka Packager and FFmpeg spell it;"
        " @FILE or '-': a keys file.",
    )
    @click.option(
        "--keys-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, allow_dash=True),
        help="Keys in a file: a JWK Set, a JSON map, lines KID:KEY, CSV, GPAC's or CPIX XML, or a player's settings;"
        " '-' reads standard input.",
    )
    @functools.wraps(command)
    def with_keys(*args: object, key_pairs: tuple[str, ...], keys_file: str | None, **options: object) -> _Result:
        if any(keys_file_of(text) is None for text in key_pairs):
            click.echo(
                "note: a key on the command line is visible to other users in the process list;"
                " --keys-file keeps it private",
                err=True,
            )
        entries = list(_entries(key_pairs, keys_file))
        return command(*args, keys=join_keys(_resolved(entries, options)), **options)

    return with_keys


def _entries(key_pairs: tuple[str, ...], keys_file: str | None) -> Iterator[KeyEntry]:
    files = [] if keys_file is None else [keys_file]
    for text in key_pairs:
        path = keys_file_of(text)
        if path is not None:
            files.append(path)
            continue
        for name, key in parse_keys(text):
            yield "--key", name, key
    for path in files:
        for where, name, key in read_keys_file(path, parse_key_entries):
            yield f"{path}, {where}", name, key


def keys_file_of(text: str) -> str | None:
    """The keys file that a `--key` names, `@FILE`, or "-" for standard input; None: it is a key itself."""
    word = text.strip()
    if word == "-":
        return word
    return word[1:] if word.startswith("@") and len(word) > 1 else None


def _resolved(entries: list[KeyEntry], options: Mapping[str, object]) -> Iterator[Resolved]:
    tracks: dict[int, tuple[KeyId, ...]] = {}
    if not all(isinstance(name, KeyId) for _, name, _ in entries):
        paths = _media(options)
        if not paths:
            raise InvalidArgumentError("a key without a KID, and no file that would name it", remedy="give KID:KEY")
        # Most commands never get here, and reading media is not for all of them to import.
        tracks = importlib.import_module("player.key_tracks").track_kids(paths)
    return resolve(entries, tracks)


def _media(options: Mapping[str, object]) -> list[str]:
    """The paths of the media that a verb's arguments name."""
    found: list[object] = []
    for name in ("files", "file", "segments"):
        value = options.get(name, ())
        found += value if isinstance(value, tuple) else (value,)
    return [str(path) for path in found if isinstance(path, str | Path)]


@overload
def read_keys_file(path: str) -> dict[KeyId, ContentKey]: ...
@overload
def read_keys_file(path: str, parse: Callable[[bytes], _Result]) -> _Result: ...
def read_keys_file(path: str, parse: Callable[[bytes], object] = parse_keys_file) -> object:
    """Read the keys file at `path`, or standard input for "-". Raises KeysFileError that names the file."""
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_KEYS_FILE + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_KEYS_FILE + 1)
        return parse(data)
    except OSError as error:
        raise InvalidArgumentError(f"the keys file {path} cannot be read: {error.strerror}") from None
    except KeysFileError as error:
        where = ", ".join(part for part in (path, error.where) if part)
        raise KeysFileError(
            error.what, where=where, seen=error.seen, maybe=error.maybe, remedy=error.remedy, kids=error.kids
        ) from None


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
