"""`clearkey encrypt`: write the encrypted file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click
import msgspec

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.media import Scheme
from drm.packaging.encrypt import EncryptedTrack, Encryption, TrackEncryption, encrypt_file
from player.decrypt_start import KEY_IS_VISIBLE, MAX_JOBS, end_tidily, useful_jobs
from player.encrypt_keys import Chooser, Label, parse_label, parse_labelled_key
from player.key_options import read_keys_file
from player.progress import Progress

__all__ = ["command"]

SCHEMA: Final = "clearkey-encrypt"
VERSION: Final = 1


@click.command("encrypt")
@click.argument("source", metavar="INPUT", type=click.Path())
@click.option("-o", "--output", metavar="FILE", required=True, type=click.Path(), help="The file to write.")
@click.option(
    "--key",
    "key_words",
    metavar="[TRACK=]KID:KEY",
    multiple=True,
    help="A key; TRACK is video, audio or a number. Repeat it for tracks, or with --rotate for periods.",
)
@click.option(
    "--keys-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The key for all tracks, or with --rotate the keys in order: a JWK Set, JSON map, or lines KID:KEY.",
)
@click.option("--scheme", type=click.Choice([scheme.value for scheme in Scheme]), default="cenc", show_default=True)
@click.option("--pattern", metavar="CRYPT:SKIP", help="Blocks of cens and cbcs. [default: 1:9 video, all of sound]")
@click.option(
    "--iv-size",
    type=click.Choice(["0", "8", "16"]),
    help="Bytes of each sample's IV; 0: one for all samples. [default: 8; cbc1 16; cbcs 0]",
)
@click.option("--clear-lead", metavar="SECONDS", type=float, default=0.0, help="Leave the first seconds clear.")
@click.option("--rotate", metavar="SECONDS", type=float, help="Take the next key after each such period.")
@click.option("--clear", "clear_words", metavar="TRACK", multiple=True, help="Leave video, audio or a track clear.")
@click.option(
    "--pssh",
    type=click.Choice(["common", "none"]),
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
    output: str,
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
    or not at all.
    """
    if output == "-":
        raise InvalidArgumentError("encrypt writes a file, not a stream", remedy="give a name to -o")
    keys = _keys(key_words, keys_file)
    if rotate is not None and not rotate > 0:
        raise InvalidArgumentError(f"periods of {rotate} seconds", remedy="say after how many seconds the key changes")
    # Each track gets keys of its own; this one is never used.
    settings = TrackEncryption(
        KeyId(bytes(16)),
        ContentKey(bytes(16)),
        iv_size=None if iv_size is None else int(iv_size),
        pattern=None if pattern is None else _pattern(pattern),
        clear_lead=clear_lead,
        period=rotate or 0.0,
    )
    chooser = Chooser(keys, map(parse_label, clear_words), settings)
    end_tidily()
    with Progress(quiet=quiet, what="encrypting") as progress:
        path = Path(source)
        done = encrypt_file(
            source,
            output,
            scheme=Scheme(scheme),
            tracks=chooser,
            pssh=pssh == "common",
            jobs=useful_jobs(jobs, path.stat().st_size if path.is_file() else 0),
            progress=progress.show,
        )
    if as_json:
        click.echo(msgspec.json.encode(_told(source, output, done)))
    if not quiet:
        if key_words:
            click.echo(KEY_IS_VISIBLE, err=True)
        _say(output, done, keys_file)


def _keys(words: tuple[str, ...], path: str | None) -> list[tuple[Label, KeyId, ContentKey]]:
    keys: list[tuple[Label, KeyId, ContentKey]] = []
    if path is not None:
        keys += [(None, kid, key) for kid, key in read_keys_file(path).items()]
    return keys + [parse_labelled_key(word) for word in words]


def _pattern(text: str) -> tuple[int, int]:
    crypt, _, skip = text.partition(":")
    if not (crypt.isascii() and crypt.isdigit() and skip.isascii() and skip.isdigit() and len(text) <= 5):
        raise InvalidArgumentError(
            f"{text[:16]!r} is no pattern", remedy="write the blocks that are encrypted and those that stay clear: 1:9"
        )
    return int(crypt), int(skip)


def _told(source: str, output: str, done: Encryption) -> dict[str, object]:
    tracks = [
        {
            "track_id": track.track_id,
            "type": str(track.type),
            "codec": track.codec,
            "samples": track.samples,
            "encrypted_samples": track.encrypted,
            "key_ids": [str(kid) for kid in track.key_ids],
        }
        for track in done.tracks
    ]
    head = {"schema": SCHEMA, "version": VERSION, "input": source, "output": output, "scheme": done.scheme.value}
    return {**head, "tracks": tracks, "warnings": list(done.warnings)}


def _say(output: str, done: Encryption, keys_file: str | None) -> None:
    """Tell what was done, and what can be done now."""
    for warning in done.warnings:
        click.echo(f"note: {warning}", err=True)
    for track in done.tracks:
        click.echo(f"track {track.track_id} ({track.type} {track.codec}): {_what(track, done.scheme)}", err=True)
    click.echo(f"written: {output}", err=True)
    key_ids = dict.fromkeys(kid for track in done.tracks for kid in track.key_ids)
    from_file = keys_file is not None and keys_file != "-"
    given = f"--keys-file {keys_file}" if from_file else " ".join(f"--key {kid}:KEY" for kid in key_ids)
    click.echo(f"next: clearkey play {output} {given}", err=True)


def _what(track: EncryptedTrack, scheme: Scheme) -> str:
    if not track.key_ids:
        return "stays clear"
    kids = ", ".join(str(kid) for kid in track.key_ids)
    return f"{scheme.value}, {track.encrypted} of {track.samples} samples encrypted, KID {kids}"
