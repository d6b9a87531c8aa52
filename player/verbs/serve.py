"""`clearkey serve`: the license server, until it is told to stop."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from drm.app.device_key import home_folder
from license_server.cors import Cors
from license_server.decisions import DeviceRules
from license_server.rules import ServerRules
from license_server.serving import DEFAULT_PORT, Settings, serve
from player.key_options import read_keys_file

__all__ = ["command"]


@click.command("serve", short_help="Run the Clear Key license server.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=DEFAULT_PORT, show_default=True, help="0 takes a free one."
)
@click.option(
    "--keys-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Keys to serve: a JWK Set, a JSON map, or lines KID:KEY; alone, they are forgotten at the end.",
)
@click.option(
    "--store",
    metavar="PATH",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The key store; made if it is absent. [default: one in the user's data folder]",
)
@click.option(
    "--kek-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key that wraps the stored keys; or CLEARKEY_KEK; or one beside the store, which protects nothing.",
)
@click.option(
    "--devices",
    type=click.Choice(["register", "enrolled-only"]),
    default="register",
    show_default=True,
    help="Who gets sealed licenses: any device that registers, or those that `clearkey keys devices` enrolled.",
)
@click.option(
    "--components",
    metavar="FOLDER",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A published component repository (`repository` of an authority), to serve at URL/components/.",
)
@click.option("--allow-origin", "origins", metavar="ORIGIN", multiple=True, help="Page that may ask. [default: all]")
@click.option("-v", "--verbose", count=True, help="Log each decision; twice: more.")
def command(
    *,
    host: str,
    port: int,
    keys_file: str | None,
    store: Path | None,
    kek_file: Path | None,
    devices: str,
    components: Path | None,
    origins: tuple[str, ...],
    verbose: int,
) -> int:
    """Serve licenses at URL/license; the first line of output says `license server: URL`.

    Ends at SIGTERM with exit code 0, and at an interrupt (Ctrl-C) with 130.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    keys = read_keys_file(keys_file) if keys_file is not None else {}
    if store is None and keys_file is None:
        store = home_folder() / "license_server" / "keys.db"
    return serve(
        Settings(
            host=host,
            port=port,
            store=store,
            kek_file=kek_file,
            keys=keys,
            rules=ServerRules(
                devices=DeviceRules(enrolled_only=devices == "enrolled-only"),
                cors=Cors(origins=frozenset(origins) or None),
                components=components,
            ),
        ),
        _announce,
    )


def _announce(url: str) -> None:
    click.echo(f"license server: {url}")  # flushes
