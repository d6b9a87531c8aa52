"""`clearkey encrypt`: write the encrypted file. A usual call of it never comes here: see `player.quick.encrypt`."""

from __future__ import annotations

import click

from drm.errors import InvalidArgumentError
from drm.media import Scheme
from player.options import keys_file_of, read_keys_file
from player.quick.common import MAX_JOBS
from player.quick.encrypt_run import IV_SIZES, PSSH, Request, encrypt

__all__ = ["command"]


@click.command("encrypt")
@click.argument("source", metavar="INPUT", type=click.Path())
@click.option("-o", "--output", metavar="FILE", type=click.Path(), help="The file to write.")
@click.option("--in-place", is_flag=True, help="Write INPUT itself: it is replaced when all went well.")
@click.option(
    "--key",
    "key_words",
    metavar="[TRACK=]KID:KEY",
    multiple=True,
    help="A key; TRACK is video, audio or a number. Repeat it for tracks, or with --rotate for periods;"
    " @FILE or '-': a keys file.",
)
@click.option(
    "--keys-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The key for all tracks, or with --rotate the keys in order: a keys file in any form, as lines KID:KEY.",
)
@click.option("--scheme", type=click.Choice([scheme.value for scheme in Scheme]), default="cenc", show_default=True,
              help="Scheme of Common Encryption.")  # fmt: skip
@click.option("--pattern", metavar="CRYPT:SKIP", help="Blocks of cens and cbcs. [default: 1:9 video, all of sound]")
@click.option(
    "--iv-size",
    type=click.Choice(IV_SIZES),
    help="Bytes of each sample's IV; 0: one for all samples. [default: 8; cbc1 16; cbcs 0]",
)
@click.option("--clear-lead", metavar="SECONDS", type=float, default=0.0, help="Leave the first seconds clear.")
@click.option("--rotate", metavar="SECONDS", type=float, help="Take the next key after each such period.")
@click.option("--clear", "clear_words", metavar="TRACK", multiple=True, help="Leave video, audio or a track clear.")
@click.option(
    "--pssh",
    type=click.Choice(PSSH),
    default="common",
    show_default=True,
    help="The pssh box to put in: W3C's common one lists every KID.",
)
@click.option("--jobs", metavar="N", type=click.IntRange(1, MAX_JOBS), default=1, show_default=True,
              help="Processes for a large file.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object that says what was done.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    source: str,
    output: str | None,
    in_place: bool,
    key_words: tuple[str, ...],
    keys_file: str | None,
    scheme: str,
    pattern: str | None,
    iv_size: str | None,
    clear_lead: float,
    rotate: float | None,
    clear_words: tuple[str, ...],
    pssh: str,
    jobs: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write INPUT, a clear MP4, encrypted with Common Encryption.

    Video is encrypted behind the headers that a player must read, sound whole; other tracks stay clear. One key is for
    every track; or each has its own: --key video=KID:KEY --key audio=KID:KEY. The output appears when it is complete,
    or not at all, and it is another file than INPUT, unless --in-place says otherwise.
    """
    if output is None and not in_place:
        raise InvalidArgumentError("there is no file to write", remedy="name it with --output, or give --in-place")
    named = [keys_file_of(word) for word in key_words]
    files = [path for path in (keys_file, *named) if path is not None]
    keys = [pair for path in files for pair in read_keys_file(path).items()]
    encrypt(
        Request(
            source=source,
            output=source if output is None else output,
            key_words=[word for word, path in zip(key_words, named, strict=True) if path is None],
            keys_file=files[0] if files else None,
            keys_of_file=keys,
            scheme=scheme,
            pattern=pattern,
            iv_size=iv_size,
            clear_lead=clear_lead,
            rotate=rotate,
            clear_words=clear_words,
            pssh=pssh,
            jobs=jobs,
            as_json=as_json,
            quiet=quiet,
            in_place=in_place,
        )
    )
