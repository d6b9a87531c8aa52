"""`clearkey keys migrate`, `rewrap`, `verify`, `export`: a store over the years. Only `export` writes keys."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from drm.errors import InvalidArgumentError, StorageError
from drm.keys import KeyId
from drm.launch.device_key import home_folder
from drm.license.clearkey import encode_jwk_set
from drm.whole_file import write_whole
from license_server.store.engines import is_url
from license_server.store.exports import export_keys
from license_server.store.keyring import find_keyring, predecessor, successor
from license_server.store.opening import Store, migrate_store, open_store
from license_server.store.wrapping import kek_path, make_kek, read_kek
from player.verbs.keys.store_options import store_options
from player.verbs.keys.text import write_keys_file
from player.verbs.keys.written_down import who_runs_this, write_down

__all__ = ["COMMANDS"]

_STORE: Final = click.option("--store", "place", metavar="PATH|URL", help="[default: the one of `clearkey serve`]")
_KEK: Final = click.option(
    "--kek-file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="As in `serve`."
)


@click.command("migrate")
@_STORE
def _migrate(place: str | None) -> None:
    """Bring the tables of a store to the version of this program; an empty database gets its first ones."""
    found = migrate_store(_place(place), who_runs_this())
    click.echo(f"the store had revision {found}, and has the newest now", err=True)


@click.command("rewrap")
@click.option(
    "--new-kek-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take this key-encryption key. [default: a new one]",
)
@_STORE
@_KEK
def _rewrap(new_kek_file: Path | None, place: str | None, kek_file: Path | None) -> None:
    """Wrap all keys with a new key-encryption key, while servers go on.

    The new one comes into the place of the old one, which is kept as FILE.old until you remove it. Interrupted, the
    same command goes on where it was.
    """
    where = _place(place)
    path = kek_path(None if is_url(where) else Path(where), kek_file)
    if path is None:
        raise InvalidArgumentError(
            "the key-encryption key is in the environment, where it cannot be replaced",
            remedy="put it into a file, and name that with --kek-file here and in `clearkey serve`",
        )
    find_keyring(None if is_url(where) else Path(where), kek_file)  # the old one is there, and can be read
    fresh = successor(path)
    if new_kek_file is not None and not fresh.exists():
        _copy_kek(new_kek_file, fresh)
    make_kek(fresh)  # one that is there stays: an earlier run was interrupted
    count = 0
    with open_store(where, find_keyring(None if is_url(where) else Path(where), kek_file)) as store:
        while done := store.keys.rewrap():  # again, until nothing came in between
            count += done
        write_down(store, "rewrapped")
    predecessor(path).unlink(missing_ok=True)
    predecessor(path).hardlink_to(path)
    fresh.replace(path)
    click.echo(f"{count} keys are wrapped with the new key in {path}; the old one is {predecessor(path)}", err=True)


@click.command("verify")
@store_options
def _verify(*, store: Store) -> None:
    """Unwrap every key and hold it to its check value."""
    click.echo(f"{store.keys.verify()} keys open, and are those that their check values name", err=True)


@click.command("export")
@click.argument("kids", metavar="[KID]...", nargs=-1)
@click.option("--content", metavar="NAME", help="All keys of a content.")
@click.option(
    "-o", "--output", metavar="FILE", required=True, type=click.Path(dir_okay=False, path_type=Path),
    help="A new file that only you can read.",
)  # fmt: skip
@store_options
def _export(kids: tuple[str, ...], content: str | None, output: Path, *, store: Store) -> None:
    """Write keys, unwrapped, as a JWK Set. The audit log of the store tells who did it, and for which KIDs."""
    found = export_keys(store, [KeyId.parse(text) for text in kids], content, who_runs_this())
    write_keys_file(output, encode_jwk_set(found) + b"\n")
    click.echo(f"{len(found)} keys in {output}, readable for whoever reads the file", err=True)


def _place(text: str | None) -> Path | str:
    if text is None:
        return home_folder() / "license_server" / "keys.db"
    return text if is_url(text) else Path(text)


def _copy_kek(source: Path, target: Path) -> None:
    read_kek(source)  # it is one
    try:
        write_whole(target, source.read_bytes(), 0o600, replace=False)
    except OSError as error:
        raise StorageError(f"the new key cannot be written: {error.strerror}", where=str(target)) from None


COMMANDS: Final = {"migrate": _migrate, "rewrap": _rewrap, "verify": _verify, "export": _export}
