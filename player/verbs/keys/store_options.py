"""The options by which a verb names a key store, and the opened store as an argument."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from drm.launch.device_key import home_folder
from license_server.store.engines import is_url
from license_server.store.keyring import find_keyring
from license_server.store.opening import open_store

__all__ = ["store_options"]

_Result = TypeVar("_Result")


def store_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give `command` --store and --kek-file; it gets one argument `store`, open while it runs. Raises StorageError."""

    @click.option(
        "--store",
        "path",
        metavar="PATH|URL",
        help="The key store: a file, made if it is absent, or postgresql://… [default: the one of `clearkey serve`]",
    )
    @click.option(
        "--kek-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The key that wraps the stored keys; or CLEARKEY_KEK; or one beside the store.",
    )
    @functools.wraps(command)
    def with_store(*args: object, path: str | None, kek_file: Path | None, **options: object) -> _Result:
        place = Path(path) if path and not is_url(path) else path or home_folder() / "license_server" / "keys.db"
        with open_store(place, find_keyring(place if isinstance(place, Path) else None, kek_file)) as store:
            return command(*args, store=store, **options)

    return with_store
