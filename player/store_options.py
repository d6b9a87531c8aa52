"""The options by which a verb names a key store, and the opened store as an argument."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from drm.app.device_key import home_folder
from license_server.store import open_store
from license_server.wrapping import find_kek

__all__ = ["store_options"]

_Result = TypeVar("_Result")


def store_options(command: Callable[..., _Result]) -> Callable[..., _Result]:
    """Give `command` --store and --kek-file; it gets one argument `store`, open while it runs. Raises StorageError."""

    @click.option(
        "--store",
        "path",
        metavar="PATH",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The key store; made if it is absent. [default: the one of `clearkey serve`]",
    )
    @click.option(
        "--kek-file",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The key that wraps the stored keys; or CLEARKEY_KEK; or one beside the store.",
    )
    @functools.wraps(command)
    def with_store(*args: object, path: Path | None, kek_file: Path | None, **options: object) -> _Result:
        place = path or home_folder() / "license_server" / "keys.db"
        with open_store(place, find_kek(place, kek_file)) as store:
            return command(*args, store=store, **options)

    return with_store
