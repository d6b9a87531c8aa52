"""`clearkey keys import`, `list` and `remove`: the keys of a store. None of them prints a key."""

from __future__ import annotations

import time
from typing import Final

import click
import msgspec

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from license_server.store.keys import LAST_PERIOD, Place
from license_server.store.names import check_content, check_track
from license_server.store.opening import Store
from player.json_output import encode_json
from player.one_line import echo_line
from player.options import read_keys_file
from player.verbs.keys.store_options import store_options
from player.verbs.keys.table import parse_placed_keys
from player.verbs.keys.written_down import write_down

__all__ = ["COMMANDS"]


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--replace", is_flag=True, help="Overwrite the key of a KID that the store holds with another key.")
@click.option("--content", metavar="NAME", help="The content that the keys belong to.")
@click.option("--track", metavar="NAME", help="The track of it: SD, HD, AUDIO and the like.")
@click.option("--period", type=click.IntRange(0, LAST_PERIOD), help="The crypto period of it.")
@store_options
def _import(
    file: str, *, replace: bool, content: str | None, track: str | None, period: int | None, store: Store
) -> None:
    """Put the keys of FILE into the store: all of them or none.

    FILE is a keys file in any form, or '-'. A CSV table may say what keys are for: its columns are kid, key, and any of
    content, track, period, check_value.
    """
    found = read_keys_file(file, parse_placed_keys)
    keys, places = found.keys, found.places
    if content is not None:
        check_content(content)
        if track is not None:
            check_track(track)
        places = dict.fromkeys(keys, Place(content, track, period)) | places
    elif track is not None or period is not None:
        raise InvalidArgumentError("a track or period belongs to a content", remedy="name it with --content")
    new = store.keys.add(keys, replace=replace, places=places)
    write_down(store, "keys_imported", keys, content=content or "")
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
                "content": row.place.content,
                "track": row.place.track,
                "period": row.place.period,
                "check_value": row.check_value,
                "revoked_at": row.revoked_at,
            }
            for row in rows
        ]
        click.echo(encode_json({"schema": "clearkey.keys", "version": 1, "keys": shown}, indent=2))
        return
    for row in rows:
        made = time.strftime("%Y-%m-%d %H:%M", time.gmtime(row.created_at))
        rules = msgspec.json.encode(row.policy).decode() if row.policy is not None else "default rules"
        place = " ".join(
            str(part) for part in (row.place.content, row.place.track, row.place.period) if part is not None
        )
        revoked = "  revoked" if row.revoked_at is not None else ""
        echo_line(f"{row.kid}  {made}  {row.check_value or '------'}  {rules}  {place}".rstrip() + revoked)
    click.echo(f"{len(rows)} keys", err=True)


@click.command("remove")
@click.argument("kids", metavar="KID...", nargs=-1, required=True)
@store_options
def _remove(kids: tuple[str, ...], *, store: Store) -> None:
    """Remove the keys of these KIDs, in any notation."""
    for kid in [KeyId.parse(text) for text in kids]:
        store.keys.remove(kid)
        write_down(store, "key_removed", [kid])
        click.echo(f"removed {kid}", err=True)


COMMANDS: Final = {"import": _import, "list": _list, "remove": _remove}
