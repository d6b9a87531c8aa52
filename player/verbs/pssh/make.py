"""`clearkey pssh make` and `insert`: boxes from key ids, and the common system's box put into a file."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Final

import click

from drm.errors import InvalidArgumentError, MediaError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, make_data
from drm.keys import COMMON_SYSTEM, KeyId, SystemId
from drm.packaging.pssh_insert import insert_common_pssh
from drm.whole_file import write_whole
from player.one_line import echo_line
from player.quick.common import require_no_url
from player.verbs.pssh.words import unhex_or_unbase64

__all__ = ["COMMANDS"]

_SYSTEMS: Final = {
    "common": COMMON_SYSTEM,
    "widevine": WIDEVINE,
    "playready": PLAYREADY,
    "clearkey": SystemId.parse("e2719d58-a985-b3c9-781a-b030af78d30e"),
}


@click.command("make")
@click.option("--kid", "kids", metavar="KID", multiple=True, required=True, help="A key id; repeat it for several.")
@click.option(
    "--system",
    "systems",
    metavar="NAME|UUID",
    multiple=True,
    default=("common",),
    show_default=True,
    help=f"{', '.join(_SYSTEMS)}, or a system id; repeat it for several boxes.",
)
@click.option("--version", type=click.IntRange(0, 1), help="Of the box. [default: 1 where the box names the KIDs]")
@click.option("--scheme", type=click.Choice(["cenc", "cens", "cbc1", "cbcs"]), help="What Widevine and PlayReady say.")
@click.option("--license-url", metavar="URL", default="", help="LA_URL of the PlayReady header.")
@click.option("--data", metavar="BASE64|HEX", help="The data of the box, instead of what is made from the KIDs.")
@click.option("--hex", "as_hex", is_flag=True, help="Print hex instead of base64.")
@click.option("--raw", is_flag=True, help="Write the bytes themselves to standard output.")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write the bytes."
)
def _make(
    kids: tuple[str, ...],
    systems: tuple[str, ...],
    version: int | None,
    scheme: str | None,
    license_url: str,
    data: str | None,
    as_hex: bool,
    raw: bool,
    output: Path | None,
) -> None:
    """Make pssh boxes for key ids, one for each --system, one behind the other."""
    if as_hex + raw + (output is not None) > 1:
        raise InvalidArgumentError("--hex, --raw and -o are three forms of one output", remedy="give one of them")
    key_ids = tuple(dict.fromkeys(map(KeyId.parse, kids)))
    given = None if data is None else _data(data)
    made = b"".join(
        _box(_system(name), key_ids, version, scheme or "", license_url, given).encode() for name in systems
    )
    if output is not None and str(output) != "-":
        write_whole(output, made)
    elif raw or output is not None:
        sys.stdout.buffer.write(made)
    else:
        click.echo(made.hex() if as_hex else base64.b64encode(made).decode())


def _system(name: str) -> SystemId:
    return _SYSTEMS.get(name.lower()) or SystemId.parse(name)


def _data(text: str) -> bytes:
    try:
        return unhex_or_unbase64(text, "--data")
    except MediaError as error:
        raise InvalidArgumentError(error.what, where="--data", seen=error.seen) from None


def _box(
    system: SystemId, key_ids: tuple[KeyId, ...], version: int | None, scheme: str, url: str, data: bytes | None
) -> Pssh:
    payload = make_data(system, key_ids, scheme, url) if data is None else data
    if version is None:
        version = int(not payload)
    if version == 0 and not payload:
        raise InvalidArgumentError(
            f"a version 0 box of {system.name} would name no key id",
            seen="only version 1 lists key ids, and this system's data is not made here",
            remedy="leave --version out, or give --data",
        )
    return Pssh(system, key_ids if version else (), payload, version)


@click.command("insert")
@click.argument("file", type=click.Path())
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write.",
)
@click.option("--kid", "kids", metavar="KID", multiple=True, help="A key id to name besides the file's own.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def _insert(file: str, output: Path, kids: tuple[str, ...], *, quiet: bool) -> None:
    """Write FILE (an MP4 or an initialization segment) to OUT with a pssh box of the common system, as browsers need.

    The box names the KIDs of the samples and those in Widevine's and PlayReady's boxes. The samples stay as they are.
    A file that has such a box already is copied.
    """
    if str(output) == "-":
        raise InvalidArgumentError("insert writes a file, not a stream", remedy="give a name to -o")
    require_no_url(file, "pssh insert")
    done = insert_common_pssh(Path(file), output, map(KeyId.parse, kids))
    if quiet:
        return
    for note in done.notes:
        echo_line(f"note: {note}", err=True)
    if done.is_copy:
        named = ", ".join(map(str, done.key_ids))
        echo_line(f"note: {file} has a box of the common system that names {named}: nothing to put in", err=True)
        echo_line(f"written: {output}  (a copy)", err=True)
        return
    for kid in done.key_ids:
        click.echo(f"KID {kid}", err=True)
    room = f"the media lies {done.moved} bytes further back" if done.moved else "the media stays where it was"
    echo_line(f"written: {output}  ({room})", err=True)


COMMANDS: Final = {"make": _make, "insert": _insert}
