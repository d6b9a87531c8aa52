"""`clearkey inspect`: what is encrypted in a file, with what, and whether anything is wrong with it. Needs no key."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click
import msgspec

from drm.component import ByteStream
from drm.errors import MediaError
from drm.webm.container import begins_as_ebml
from player.json_output import encode_json
from player.manifests.given import ManifestOptions, is_manifest, manifest_options
from player.media_file import open_stream
from player.options import open_output
from player.verbs.inspect.box_listing import ListedBox, list_boxes
from player.verbs.inspect.element_listing import list_elements
from player.verbs.inspect.map import encryption_map
from player.verbs.inspect.read_file import inspect_stream
from player.verbs.inspect.sample_lines import sample_lines
from player.verbs.inspect.text import report_lines, tree_lines

__all__ = ["command"]

SCHEMA = "clearkey-inspect"
VERSION = 1
SCHEMA_FILE = Path(__file__).parents[2] / "schemas" / "inspect-1.json"


def _print_schema(context: click.Context, _option: click.Parameter, value: bool) -> None:
    if value and not context.resilient_parsing:
        click.echo(SCHEMA_FILE.read_text(encoding="utf-8"), nl=False)
        context.exit()


@click.command("inspect")
@click.argument("files", metavar="FILE [SEGMENT…]", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --samples, one a line.")
@click.option(
    "--schema",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_schema,
    help="Print the JSON Schema of --json, and end.",
)
@click.option("--boxes/--no-boxes", default=None, help="Show all boxes or elements, or none; else those of encryption.")
@click.option("--samples", is_flag=True, help="Show every sample instead: time, size, KID, IV, subsamples.")
@click.option("--track", "tracks", metavar="ID", multiple=True, type=int, help="For --samples and --svg: this track.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="For --samples: the first N of each track.")
@manifest_options
@click.option("--svg", metavar="FILE", type=click.Path(), help="Draw a map of what is encrypted; - is stdout.")
def command(
    files: tuple[str, ...],
    *,
    as_json: bool,
    boxes: bool | None,
    samples: bool,
    tracks: tuple[int, ...],
    limit: int | None,
    svg: str | None,
    manifest: ManifestOptions,
) -> None:
    """Show what of FILE (MP4 or WebM, its URL, or an init segment and its media segments) is encrypted, and how.

    No key is needed. Of an MPD or an HLS playlist, its periods and renditions, and what it says of keys and licenses.
    A file that is broken further on is shown as far as it can be read; the command then ends with the error.
    """
    if (tracks and not (samples or svg)) or (limit and not samples) or (samples and svg):
        raise click.UsageError("--track goes with --samples or --svg, --limit with --samples, and these not together")
    if is_manifest(files, manifest):
        if samples or svg or boxes is not None:
            raise click.UsageError("--samples, --svg and --boxes are about media, not about a manifest")
        from player.manifests.inspection import print_manifest  # noqa: PLC0415 - loads what talks HTTP, for manifests alone

        print_manifest(files[0], manifest, as_json=as_json)
        return
    with closing(open_stream(files)) as stream:
        if samples:
            for line in sample_lines(stream, tracks, limit, as_json=as_json):
                click.echo(line)
            return
        refusal = _draw(stream, svg, tracks) if svg else None
        if svg != "-":
            refusal = _report(stream, as_json=as_json, boxes=boxes) or refusal
    if refusal is not None:
        raise refusal


def _draw(stream: ByteStream, target: str, tracks: tuple[int, ...]) -> MediaError | None:
    drawn, refusal = encryption_map(stream, tracks)
    with open_output(target) as output, open(output, "wb", closefd=False) as file:
        file.write(drawn.encode())
    return refusal


def _report(stream: ByteStream, *, as_json: bool, boxes: bool | None) -> MediaError | None:
    report, error = inspect_stream(stream)
    listed: list[ListedBox] = []
    if boxes is not False:
        try:
            listed.extend(list_elements(stream) if begins_as_ebml(stream) else list_boxes(stream))
        except MediaError as broken:
            error = error or broken
    if as_json:
        head = {"schema": SCHEMA, "version": VERSION}
        tail = {"boxes": listed, "error": error.to_dict() if error else None}
        click.echo(encode_json({**head, **msgspec.structs.asdict(report), **tail}))
    else:
        for line in (*report_lines(report), *tree_lines(listed, everything=boxes is True)):
            click.echo(line)
    return error
