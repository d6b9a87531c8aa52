"""Options that several verbs have: for keys, for dialects, and for the authority that vouches for components.

The last are options of `components`, and variables of the environment for everything else.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar, overload

import click

from drm.cenc.dialect import Dialect
from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.formats import MAX_KEYS_FILE, join_keys, parse_key_entries, parse_keys_file
from drm.keyfile.spellings import KeyEntry, Resolved, parse_keys, resolve
from drm.keys import ContentKey, KeyId
from drm.whole_file import WholeFile

if TYPE_CHECKING:
    from drm.app.components.trust import ComponentTrust

__all__ = [
    "CACERT_VARIABLE", "ROOT_VARIABLE", "STORE_VARIABLE", "URL_VARIABLE", "component_trust", "dialect_option",
    "key_options", "keys_file_of", "open_output", "read_keys_file", "trust_options",
]  # fmt: skip

ROOT_VARIABLE: Final = "CLEARKEY_COMPONENTS_ROOT"
STORE_VARIABLE: Final = "CLEARKEY_COMPONENTS_STORE"
URL_VARIABLE: Final = "CLEARKEY_COMPONENTS_URL"
CACERT_VARIABLE: Final = "CLEARKEY_COMPONENTS_CACERT"

_LARGEST_ROOT: Final = 512 << 10  # bytes

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
        if any(keys_file_of(text) is None for text in key_pairs) and not options.get("quiet"):
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
        from player.media_file import track_kids  # noqa: PLC0415

        tracks = track_kids(paths)
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
    """Give `command` --dialect, repeatable; it gets one argument `dialects: tuple[str, ...]`."""
    return click.option(
        "--dialect",
        "dialects",
        metavar="NAME",
        multiple=True,
        type=click.Choice([dialect.value for dialect in Dialect]),
        help=f"A reading of Common Encryption to follow: {', '.join(Dialect)}.",
    )(command)


def component_trust(
    root: str | None = None, store: str | None = None, url: str | None = None, cacert: str | None = None
) -> ComponentTrust:
    """Return what these options come to; what is not given is looked for in the environment.

    `root` is a file with the root of another authority than the one that the package pins. Nothing of it is verified
    here: the worker does that.

    Raises:
        InvalidArgumentError: the root cannot be read.
    """
    from drm.app.components.trust import ComponentTrust  # noqa: PLC0415 - most verbs with options of ours run no worker

    root, store, url, cacert = (
        given or os.environ.get(variable)
        for given, variable in (
            (root, ROOT_VARIABLE),
            (store, STORE_VARIABLE),
            (url, URL_VARIABLE),
            (cacert, CACERT_VARIABLE),
        )
    )
    return ComponentTrust(
        root=_read_root(root) if root else None,
        store=Path(store) if store else None,
        repository=url or "",
        cacert=cacert or None,
    )


def trust_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give `command` one argument `trust: ComponentTrust`, of --root, --store, --url, --cacert or their variables."""

    @click.option(
        "--root",
        metavar="FILE",
        help=f"Root of another authority; what it vouches for is test-signed. Or {ROOT_VARIABLE}.",
    )
    @click.option(
        "--store",
        metavar="FOLDER",
        help=f"Where updates are stored. [default: in the user's data folder] Or {STORE_VARIABLE}.",
    )
    @click.option("--url", metavar="URL", help=f"Where components are renewed from. Or {URL_VARIABLE}.")
    @click.option("--cacert", metavar="FILE", help=f"CA certificates for its TLS. Or {CACERT_VARIABLE}.")
    @functools.wraps(command)
    def with_trust(
        *args: object, root: str | None, store: str | None, url: str | None, cacert: str | None, **options: object
    ) -> _Result:
        return command(*args, trust=component_trust(root, store, url, cacert), **options)

    return with_trust


def _read_root(name: str) -> bytes:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_LARGEST_ROOT + 1)
    except OSError as error:
        raise InvalidArgumentError(
            f"the root of the components' authority cannot be read: {error.strerror}",
            where=name,
            remedy=f"give --root or {ROOT_VARIABLE} the file that `clearkey authority export-root` writes",
        ) from None
    if not 0 < len(data) <= _LARGEST_ROOT:
        seen = f"more than {_LARGEST_ROOT} bytes" if data else "an empty file"
        raise InvalidArgumentError("the root of the components' authority is no root", where=name, seen=seen)
    return data


@contextlib.contextmanager
def open_output(target: str) -> Iterator[int]:
    """Give a descriptor to write `target` to; the file is there whole or not at all when the block ends.

    "-" is standard output; that, a pipe and a device are written to as it goes. None of it is for a worker as it is:
    `player.worker_output` makes that. Raises TargetError, or InvalidArgumentError: there is no standard output.
    """
    if target == "-":
        if sys.stdout is None:  # its descriptor was closed, and the number may be another file's by now
            raise InvalidArgumentError("there is no standard output to write to", remedy="give a file instead of -")
        sys.stdout.flush()
        yield 1
        return
    with WholeFile(target, special="write") as file:
        yield file.descriptor
