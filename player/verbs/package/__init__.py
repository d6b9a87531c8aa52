"""`clearkey package`: a clear MP4 becomes a folder of encrypted files, an MPD and HLS playlists."""

from __future__ import annotations

import click

from player.options import keys_file_of, read_keys_file
from player.verbs.package.run import HLS_FOR, PackageRequest, package

__all__ = ["command"]


@click.command("package")
@click.argument("source", metavar="INPUT", type=click.Path())
@click.option("-o", "--output", "folder", metavar="FOLDER", required=True, type=click.Path(file_okay=False),
              help="The folder to write to.")  # fmt: skip
@click.option(
    "--key",
    "key_words",
    metavar="[TRACK=]KID:KEY",
    multiple=True,
    help="A key; TRACK is video, audio or a number. Tracks that get none stay clear. @FILE or '-': a keys file.",
)
@click.option(
    "--keys-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The key for all tracks: a keys file in any form, as a JWK Set or a line KID:KEY.",
)
@click.option("--clear", is_flag=True, help="Encrypt nothing.")
@click.option("--scheme", type=click.Choice(["cenc", "cbcs"]), default="cenc", show_default=True,
              help="Scheme of Common Encryption.")  # fmt: skip
@click.option("--license-url", metavar="URL", help="Where players ask for licenses; stands in the manifests.")
@click.option("--keys-base", metavar="URL",
              help="Where Shaka Player fetches keys of HLS. [default: hls/key beside the license URL]")  # fmt: skip
@click.option("--segment-seconds", metavar="SECONDS", type=float, default=4.0, show_default=True,
              help="Length of segments; they begin with sync samples.")  # fmt: skip
@click.option("--hls-for", type=click.Choice(list(HLS_FOR)), default="both", show_default=True,
              help="Players that get HLS playlists: each takes its own.")  # fmt: skip
@click.option("--pssh", type=click.Choice(["common", "none"]), default="common", show_default=True,
              help="The pssh box in files; manifests have none.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object that says what was done.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    source: str,
    folder: str,
    key_words: tuple[str, ...],
    keys_file: str | None,
    clear: bool,
    scheme: str,
    license_url: str | None,
    keys_base: str | None,
    segment_seconds: float,
    hls_for: str,
    pssh: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Package INPUT, a clear MP4, for browsers: DASH and HLS over one encrypted file per track.

    The manifests are in the forms that Shaka Player, dash.js and hls.js play. The folder goes to any web server that
    answers Range requests.
    """
    named = [keys_file_of(word) for word in key_words]
    files = [path for path in (keys_file, *named) if path is not None]
    package(
        PackageRequest(
            source=source,
            folder=folder,
            key_words=[word for word, path in zip(key_words, named, strict=True) if path is None],
            keys_of_file=[pair for path in files for pair in read_keys_file(path).items()],
            keys_file=files[0] if files else None,
            scheme=scheme,
            license_url=license_url,
            keys_base=keys_base,
            segment_seconds=segment_seconds,
            hls_for=hls_for,
            pssh=pssh,
            clear=clear,
            as_json=as_json,
            quiet=quiet,
        )
    )
