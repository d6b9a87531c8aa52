"""Which authority vouches for the components of a command: options of `components`, environment of everything else."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from drm.app.components.trust import ComponentTrust
from drm.errors import InvalidArgumentError

__all__ = ["CACERT_VARIABLE", "ROOT_VARIABLE", "STORE_VARIABLE", "URL_VARIABLE", "component_trust", "trust_options"]

ROOT_VARIABLE: Final = "CLEARKEY_COMPONENTS_ROOT"
STORE_VARIABLE: Final = "CLEARKEY_COMPONENTS_STORE"
URL_VARIABLE: Final = "CLEARKEY_COMPONENTS_URL"
CACERT_VARIABLE: Final = "CLEARKEY_COMPONENTS_CACERT"

_LARGEST_ROOT: Final = 512 << 10  # bytes

_F = TypeVar("_F", bound=Callable[..., Any])


def component_trust(
    root: str | None = None, store: str | None = None, url: str | None = None, cacert: str | None = None
) -> ComponentTrust:
    """Return what these options come to; what is not given is looked for in the environment.

    `root` is a file with the root of another authority than the one that the package pins. Nothing of it is verified
    here: the worker does that.

    Raises:
        InvalidArgumentError: the root cannot be read.
    """
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


def trust_options(function: _F) -> _F:
    """Give a verb the parameter `trust`, of --root, --store, --url and --cacert or their variables."""

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
    @functools.wraps(function)
    def wrapped(
        *args: Any,  # noqa: ANN401 - what the verb takes beside
        root: str | None,
        store: str | None,
        url: str | None,
        cacert: str | None,
        **more: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return function(*args, trust=component_trust(root, store, url, cacert), **more)

    return wrapped  # type: ignore[return-value]  # click's decorators forget what they wrap


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
