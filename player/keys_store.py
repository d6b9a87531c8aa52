"""`clearkey keys import`, `list` and `remove`: the keys of a store. None of them prints a key."""

from __future__ import annotations

import json
import time
from typing import Final

import click
import msgspec

from drm.keys import KeyId
from license_server.store import Store
from player.key_options import read_keys_file
from player.store_options import store_options

__all__ = ["COMMANDS"]


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--replace", is_flag=True, help="Overwrite the key of a KID that the store holds with another key.")
@store_options
def _import(file: str, *, replace: bool, store: Store) -> None:
    """Put the keys of FILE, a keys file in any form, into the store: all of them or none."""
    keys = read_keys_file(file)
    new = store.keys.add(keys, replace=replace)
    click.echo(f"{new} new keys, {len(keys) - new} held before", err=True)


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@store_options
def _list(*, as_json: bool, store: Store) -> None:
    """List the KIDs that the store holds, with their rules."""
    rows = store.keys.rows()
    if as_json:
        shown = [
            {
                "kid": str(row.kid),
                "kid_hex": row.kid.hex,
                "kid_base64url": row.kid.base64url,
                "policy": msgspec.to_builtins(row.policy),
                "kek_id": row.kek_id,
                "created_at": row.created_at,
            }
            for row in rows
        ]
        click.echo(json.dumps({"schema": "clearkey.keys", "version": 1, "keys": shown}, indent=2))
        return
    for row in rows:
        made = time.strftime("%Y-%m-%d %H:%M", time.gmtime(row.created_at))
        rules = msgspec.json.encode(row.policy).decode() if row.policy is not None else "default rules"
        click.echo(f"{row.kid}  {made}  {rules}")
    click.echo(f"{len(rows)} keys", err=True)


@click.command("remove")
@click.argument("kids", metavar="KID...", nargs=-1, required=True)
@store_options
def _remove(kids: tuple[str, ...], *, store: Store) -> None:
    """Remove the keys of these KIDs, in any notation."""
    for kid in [KeyId.parse(text) for text in kids]:
        store.keys.remove(kid)
        click.echo(f"removed {kid}", err=True)


COMMANDS: Final = {"import": _import, "list": _list, "remove": _remove}
