"""`clearkey inspect`: show tracks, schemes, KIDs, pssh, clear lead and the box tree of a file."""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from drm.app.byte_stream import FileByteStream
from drm.errors import MediaError
from drm.webm.container import begins_as_ebml
from player.box_listing import ListedBox, list_boxes
from player.element_listing import list_elements
from player.inspection import Inspection, PsshReport, TrackReport, inspect_stream

__all__ = ["command"]

SCHEMA = "clearkey-inspect"
VERSION = 1


@click.command("inspect")
@click.argument("files", metavar="FILE [SEGMENT…]", nargs=-1, required=True, type=click.Path())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--no-boxes", is_flag=True, help="Leave the tree of boxes or elements out.")
def command(files: tuple[str, ...], *, as_json: bool, no_boxes: bool) -> None:
    """Show what FILE (MP4 or WebM, or an init segment and its media segments) says of its tracks and their encryption.

    A file that is broken further on is shown as far as it can be read; the command then ends with the error.
    """
    with FileByteStream(files) as stream:
        report, error = inspect_stream(stream)
        boxes: list[ListedBox] = []
        if not no_boxes:
            try:
                boxes.extend(list_elements(stream) if begins_as_ebml(stream) else list_boxes(stream))
            except MediaError as broken:
                error = error or broken
    if as_json:
        head = {"schema": SCHEMA, "version": VERSION}
        click.echo(msgspec.json.encode({**head, **msgspec.structs.asdict(report), "boxes": boxes}))
    else:
        for line in (*_report(report), *_tree(boxes)):
            click.echo(line)
    if error is not None:
        raise error


def _report(report: Inspection) -> Iterator[str]:
    state = "encrypted" if report.encrypted else "not encrypted"
    yield f"{report.file}: {report.container}, {report.bytes} bytes, {state}"
    for track in report.tracks:
        yield from _track(track)
    for box in report.pssh:
        yield from _pssh(box)
    for warning in report.warnings:
        yield f"note: {warning}"


def _track(track: TrackReport) -> Iterator[str]:
    facts = [f"track {track.track_id}: {track.type} {track.codec}"]
    if track.width:
        facts.append(f"{track.width}x{track.height}")
    if track.sample_rate:
        facts.append(f"{track.sample_rate} Hz, {track.channels} channels")
    facts.append(f"{track.seconds:.3f} s, {track.samples} samples")
    if track.language:
        facts.append(track.language)
    yield ", ".join(facts)
    for duration, start in track.edits:
        length = f"{duration:.3f} s" if duration else "to the end"
        yield f"  edit: {length}, " + ("empty" if start < 0 else f"from {start:.3f} s of the media")
    if not track.scheme and not track.encrypted:
        yield "  not encrypted"
        return
    yield from _encryption(track)


def _encryption(track: TrackReport) -> Iterator[str]:
    yield f"  scheme {track.scheme}, sample entries {', '.join(track.sample_entries)}"
    for each in track.protections:
        iv = (
            f"IV of {each.iv_size} bytes in each sample"
            if each.iv_size
            else f"constant IV {each.constant_iv or 'none'}"
        )
        pattern = f", pattern {each.pattern}" if each.pattern else ""
        yield f"  description {each.description}: {each.scheme}, default KID {each.default_kid.uuid}, {iv}{pattern}"
    for kid in track.kids:
        yield f"  KID {kid.uuid}: {kid.samples} samples"
    if track.error is not None:
        yield f"  {track.samples_encrypted} samples encrypted, {track.samples_clear} clear, then: {track.error['what']}"
        return
    if track.clear_lead is None:
        yield f"  marked as encrypted, but not one of its {track.samples} samples is"
        return
    lead = track.clear_lead
    yield f"  {track.samples_encrypted} samples encrypted, {track.samples_clear} clear"
    yield f"  clear lead: {lead.seconds:.3f} s, {lead.samples} samples" if lead.samples else "  no clear lead"


def _pssh(box: PsshReport) -> Iterator[str]:
    data = f", {box.data_bytes} bytes of data" if box.data_bytes else ""
    yield f"pssh: {box.system} ({box.system_id}), version {box.version}{data}"
    for kid in box.kids:
        yield f"  KID {kid.uuid}"


def _tree(boxes: list[ListedBox], depth: int = 0) -> Iterator[str]:
    for box in boxes:
        text = f"{'  ' * depth}{box.type}  @{box.offset}, {box.size} bytes"
        text += f"  {box.detail}" if box.detail else ""
        mark = "* " if box.encryption else "  "
        yield click.style(mark + text, fg="yellow") if box.encryption else click.style(mark + text, dim=True)
        yield from _tree(list(box.children), depth + 1)
        if box.alike:
            kind = "Clusters" if box.type == "Cluster" else "fragments alike"
            yield click.style(f"  … and {box.alike} more {kind}", dim=True)
