"""`clearkey keys new` and `convert`: the only verbs that print keys, because that is what they are asked for."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

import click

from drm.errors import InvalidArgumentError
from drm.keyfile.spellings import parse_keys
from drm.keyfile.writing import WRITERS
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from drm.whole_file import write_whole
from player.options import read_keys_file

__all__ = ["COMMANDS", "write_keys_file"]


def write_keys_file(path: Path, data: bytes) -> None:
    """Write a new file of keys that its owner alone reads. Raises InvalidArgumentError: there is a file; OSError."""
    try:
        write_whole(path, data, 0o600, replace=False)
    except OSError as error:
        if error.errno != errno.EEXIST:
            raise
        raise InvalidArgumentError(
            "there is a file of that name, and keys are not overwritten", where=str(path)
        ) from None


_NOTATIONS: Final = ("hex", "uuid", "base64url")  # of one value, or of both sides of KID:KEY


@click.command("new")
@click.argument("count", type=click.IntRange(1, 10_000), default=1)
@click.option("--format", "form", type=click.Choice(["jwk", "lines"]), default="jwk", show_default=True)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a new file that only you can read, instead of printing.",
)
def _new(count: int, form: str, output: Path | None) -> None:
    """Make COUNT random keys under random KIDs, as a keys file."""
    keys = {KeyId(secrets.token_bytes(16)): ContentKey(secrets.token_bytes(16)) for _ in range(count)}
    text = WRITERS[form](keys)
    if output is None:
        click.echo(text)
        return
    write_keys_file(output, text.encode() + b"\n")
    click.echo(f"{count} keys in {output}", err=True)


@click.command("convert")
@click.argument("text")
@click.option("--to", "form", type=click.Choice([*_NOTATIONS, *WRITERS]), required=True)
def _convert(text: str, form: str) -> None:
    """Write TEXT - a KID or key, KID:KEY in any spelling, or the name of a keys file - in another notation.

    The other forms are keys files: `lines` for mp4decrypt, `csv` for a spreadsheet, `cpix` for a packager, and for the
    tools that are named.
    """
    if text == "-" or Path(text).is_file():
        click.echo(_written(read_keys_file(text), form))
        return
    keys = _keys(text)
    if keys:
        click.echo(_written(keys, form))
    elif form in WRITERS:
        raise InvalidArgumentError(
            f"--to {form} needs a KID and a key, and there is one value", remedy="give KID:KEY, or a keys file"
        )
    else:
        click.echo(_notation(KeyId.parse(text).value, form))


def _keys(text: str) -> dict[KeyId, ContentKey]:
    """The keys in `text` with their KIDs; none if it is one value alone."""
    try:
        KeyId.parse(text)
    except InvalidArgumentError:
        if ":" not in text and "=" not in text:
            raise InvalidArgumentError(
                "this is no KID, no key, no KID:KEY and no file",
                seen=f"{len(text)} characters",  # they may be a key
                remedy="give 32 hex digits, a UUID or 22 characters of base64url, or a file's name",
            ) from None
        found = parse_keys(text)
        if not all(isinstance(name, KeyId) for name, _ in found):
            raise InvalidArgumentError(
                "a key for a track, and there is no media file here that would say which KID that is",
                remedy="give KID:KEY",
            ) from None
        return {name: key for name, key in found if isinstance(name, KeyId)}
    return {}


def _written(keys: Mapping[KeyId, ContentKey], form: str) -> str:
    if form in WRITERS:
        return WRITERS[form](keys)
    return "\n".join(f"{_notation(kid.value, form)}:{_notation(key.secret, form)}" for kid, key in keys.items())


def _notation(value: bytes, form: str) -> str:
    if form == "uuid":
        return str(UUID(bytes=value))
    return b64url(value) if form == "base64url" else value.hex()


COMMANDS: Final = {"new": _new, "convert": _convert}
