"""`clearkey digest`: hash the decrypted samples of each track."""

from __future__ import annotations

from contextlib import closing

import click

from drm.cenc.dialect import Dialect
from drm.errors import KeyMissingError
from drm.keys import ContentKey, KeyId
from player.digests import TrackDigest, digest_tracks
from player.json_output import encode_json
from player.key_mistakes import explain
from player.manifests.given import ManifestOptions, is_manifest, manifest_options
from player.media_file import open_stream
from player.one_line import echo_line
from player.options import dialect_option, key_options
from player.table import table_lines

__all__ = ["command"]

_HEADINGS = ("track", "type", "scheme", "samples", "encrypted", "sha256 of the decrypted samples")


@click.command("digest")
@click.argument("files", metavar="FILE [SEGMENT…]", nargs=-1, required=True, type=click.Path())
@key_options
@dialect_option
@manifest_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    files: tuple[str, ...],
    keys: dict[KeyId, ContentKey],
    dialects: tuple[str, ...],
    manifest: ManifestOptions,
    *,
    as_json: bool,
) -> None:
    """Hash the decrypted samples of each track of FILE (MP4 or WebM, its URL, or an init segment and media segments).

    FILE may be an MPD or an HLS playlist: then of each rendition of each period. The hash is SHA-256 over all samples
    of the track, decrypted, in decode order. Nothing is written but the hashes.
    """
    if is_manifest(files, manifest):
        from player.manifests.digests import print_digests  # noqa: PLC0415 - loads what talks HTTP, for manifests alone

        print_digests(files[0], manifest, keys, frozenset(map(Dialect, dialects)), as_json=as_json)
        return
    try:
        with closing(open_stream(files)) as stream:
            digests, warnings = digest_tracks(stream, keys, frozenset(map(Dialect, dialects)))
    except KeyMissingError as error:
        raise explain(error, keys) from None
    if as_json:
        click.echo(encode_json({"tracks": digests}))
        return
    for warning in warnings:
        echo_line(f"note: {warning}", err=True)
    for line in _table(digests):
        echo_line(line)


def _table(digests: list[TrackDigest]) -> list[str]:
    rows = [
        (str(d.track_id), d.type, d.scheme or "clear", str(d.samples), str(d.samples_encrypted), d.sha256)
        for d in digests
    ]
    return table_lines([_HEADINGS, *rows])
