"""`clearkey decrypt`: write the decrypted file. An everyday call of it never comes here: see `player.quick.decrypt`."""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from drm.cenc.dialect import Dialect
from drm.decrypting.file import decrypt_file
from drm.errors import InvalidArgumentError, KeyMissingError, KeyWrongError, UnsupportedMediaError
from drm.keys import ContentKey, KeyId
from player.key_mistakes import explain
from player.one_line import echo_line
from player.options import dialect_option, key_options
from player.progress import Progress
from player.quick.common import MAX_JOBS, end_tidily, require_no_url, useful_jobs
from player.quick.decrypt import said_when_done

__all__ = ["command"]


@click.command("decrypt")
@click.argument("files", metavar="INPUT [SEGMENT…]", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="The file to write.")
@click.option("--in-place", is_flag=True, help="Write INPUT itself: it is replaced when every key was found right.")
@key_options
@dialect_option
@click.option("--check", is_flag=True, help="Decode a little with each key first, and stop if one is wrong.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, MAX_JOBS),
    default=1,
    show_default=True,
    help="Processes for a large file.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    files: tuple[str, ...],
    output: str | None,
    in_place: bool,
    keys: dict[KeyId, ContentKey],
    dialects: tuple[str, ...],
    check: bool,
    jobs: int,
    quiet: bool,
) -> None:
    """Write INPUT decrypted: an MP4 or a WebM, or an initialization segment and its media segments, which become one.

    The output has the size of the input; the boxes that told of the encryption are renamed to `free` (in WebM its
    elements become Void), and nothing moves. It appears when it is complete, or not at all. A missing key ends this
    with exit code 4 before anything is written. A wrong one makes noise, which no file tells by itself: --check finds
    it (exit code 5), and takes a moment, since it loads a decoder. --in-place does that too, and takes no key of which
    the decoder says nothing.
    """
    for file in files:
        require_no_url(file, "decrypt")
    if in_place:
        if output is not None or len(files) > 1:
            raise InvalidArgumentError("--in-place writes INPUT itself, and one alone", remedy="leave it out, or -o")
        output, check = files[0], True
    if output is None:
        raise InvalidArgumentError("there is no file to write", remedy="name it with --output, or give --in-place")
    if output == "-":
        raise InvalidArgumentError("decrypt writes a file, not a stream", remedy="give a name to -o")
    end_tidily()
    try:
        if check:
            _check(files, keys, dialects)
        jobs = useful_jobs(jobs, sum(Path(file).stat().st_size for file in files if Path(file).is_file()))
        with Progress(quiet=quiet, what="decrypting") as progress:
            done = decrypt_file(
                files,
                output,
                keys,
                dialects=frozenset(map(Dialect, dialects)),
                jobs=jobs,
                progress=progress.show,
                in_place=in_place,
            )
    except (KeyMissingError, KeyWrongError) as error:
        raise explain(error, keys) from None
    if quiet:
        return
    for warning in done.warnings:
        echo_line(f"note: {warning}", err=True)
    if not done.is_encrypted:
        echo_line(f"note: {files[0]} is not encrypted: it was copied as it is", err=True)
    echo_line(said_when_done(output, checked=check or not done.is_encrypted), err=True)


def _check(files: tuple[str, ...], keys: dict[KeyId, ContentKey], dialects: tuple[str, ...]) -> None:
    """Raise for a key that is missing, wrong or cannot be judged: what --check lets pass was seen to decode."""
    checked = importlib.import_module("player.verbs.keys.check_file").verdicts(files, keys)
    for verdict in checked.verdicts:
        if verdict.key_id not in keys:
            continue
        if verdict.dialect and verdict.dialect not in dialects:
            raise UnsupportedMediaError(
                f"samples of KID {verdict.key_id} decode in another dialect alone",
                where=files[0],
                remedy=f"add --dialect {verdict.dialect}",
            )
    checked.raise_for_status(files[0])
