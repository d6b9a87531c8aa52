"""`clearkey keys revoke` and `rotate`: what is issued no more, and what is issued next."""

from __future__ import annotations

from typing import Final

import click

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from license_server.store.key_rows import CACHE_SECONDS
from license_server.store.opening import Store
from player.verbs.keys.store_options import store_options
from player.verbs.keys.written_down import write_down

__all__ = ["COMMANDS"]


@click.command("revoke")
@click.argument("kids", metavar="[KID]...", nargs=-1)
@click.option("--content", "contents", metavar="NAME", multiple=True, help="All keys of a content.")
@click.option("--token", "tokens", metavar="JTI", multiple=True, help="A token, by its id.")
@click.option("--device", "devices", metavar="ID", multiple=True, help="A device; it cannot register again.")
@click.option("--restore", is_flag=True, help="Take it back.")
@store_options
def _revoke(
    kids: tuple[str, ...],
    contents: tuple[str, ...],
    tokens: tuple[str, ...],
    devices: tuple[str, ...],
    *,
    restore: bool,
    store: Store,
) -> None:
    """Issue no license any more for a key, a content, a token or a device. What players have, they keep."""
    if not (kids or contents or tokens or devices):
        raise InvalidArgumentError("nothing to revoke is named", remedy="give a KID, --content, --token or --device")
    word = "restored" if restore else "revoked"
    for kid in [KeyId.parse(text) for text in kids]:
        store.keys.revoke(kid, restore=restore)
        write_down(store, f"key_{word}", [kid])
        click.echo(f"{word} key {kid}", err=True)
    for content in contents:
        store.contents.revoke(content, restore=restore)
        write_down(store, f"content_{word}", content=content)
        click.echo(f"{word} content {content}", err=True)
    for token in tokens:
        store.tokens.revoke(token, restore=restore)
        write_down(store, f"token_{word}", token_id=token)
        click.echo(f"{word} token {token}", err=True)
    for device in devices:
        device_id = store.devices.revoke(device, restore=restore)
        write_down(store, f"device_{word}", device_id=device_id)
        click.echo(f"{word} device {device_id}", err=True)
    click.echo(f"servers that run know it within {CACHE_SECONDS:g} seconds", err=True)


@click.command("rotate")
@click.argument("content")
@click.option("--track", "tracks", metavar="NAME", multiple=True, help="SD, HD, AUDIO … [default: those it has]")
@store_options
def _rotate(content: str, tracks: tuple[str, ...], *, store: Store) -> None:
    """Make the keys of the next crypto period of CONTENT, or of its first, and print their KIDs."""
    rows = store.contents.next_period(content, tracks)
    write_down(store, "content_rotated", [row.kid for row in rows], content=content)
    for row in rows:
        click.echo(f"{row.kid}  {content}  {row.place.track or '-'}  period {row.place.period}  {row.check_value}")


COMMANDS: Final = {"revoke": _revoke, "rotate": _rotate}
