"""`clearkey demo`: a sample, a license server, a session in a locked-down worker, and a page that shows the path.

Unattended, and ends by itself. The sample maker and the license server are processes of their own: this one, the
application, never opens a keys file.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from drm.app.byte_stream import FileByteStream
from drm.app.rights.license_forms import LicenseForm
from drm.app.rights.managers import LicenseManager
from drm.app.session_proxy import MediaSessionProxy
from drm.errors import DRMError, ExitCode
from drm.media import StreamDescriptor
from drm.protection import Level
from drm.whole_file import WholeFile
from license_server.process import LicenseServer
from player.comparison import compare
from player.component_renewal import renewing
from player.playback import Playback, PlaybackResult, Snapshot
from player.progress import Progress
from player.verbs.demo.pictures import flow_events
from player.verbs.demo.report import BoxRow, ReportData, write_report
from player.verbs.inspect.box_listing import ListedBox, list_boxes

if TYPE_CHECKING:
    from player.verbs.demo.revoked_story import RevokedStory

__all__ = ["command"]

_SAMPLE: Final = "fragmented_cenc"
_MAKER_LIMIT: Final = 120.0  # seconds


@click.command("demo")
@click.option("--output", type=click.Path(file_okay=False, path_type=Path), default=Path("build"), show_default=True)
@click.option("--revoked", is_flag=True, help="Revoke a component first: refused, replaced by its enabler, played.")
def command(output: Path, revoked: bool) -> int:
    """Make an encrypted sample, start the license server, play it protected, and leave a report page."""
    began = time.monotonic()
    samples, report = output / "sample", output / "demo" / "index.html"
    sample, clear = _make_sample(samples)
    click.echo(f"sample:          {sample} (8 s of H.264 and AAC, two keys, cenc, 2 s clear lead)")
    report.parent.mkdir(parents=True, exist_ok=True)
    sheet = report.with_name("contact-sheet.png")
    with contextlib.ExitStack() as stack:
        story = stack.enter_context(_story(report.with_name("components"))) if revoked else None
        server = stack.enter_context(_served(samples / "keys.json", sample, story))
        click.echo(f"license server:  {server.url} (process {server.pid})")
        if story is not None:
            story.install(server.components_url)
            story.revoke()
        result, session, equal = _play(sample, clear, server.license_url, sheet, story)
        if story is not None:
            story.played(result.report, result.frames)
    level = Level(result.report.level)
    click.echo(f"PMP worker:      process {session.pid}, isolation level {level.value} ({level.label})")
    click.echo(f"license:         {result.license_path.value}: this process relayed it and cannot open it")
    click.echo(f"played:          {result.frames} frames, {'all' if equal else 'NOT all'} equal to the clear original")
    write_report(report, _report(sample, result, session, sheet.read_bytes(), story, equal=equal))
    click.echo(f"contact sheet:   {sheet}")
    click.echo(f"report:          {report}")
    click.echo(f"took:            {time.monotonic() - began:.1f} s")
    return ExitCode.GOOD if equal else ExitCode.UNEXPECTED


class _Session:
    """What the report needs to know of the session after it is gone."""

    def __init__(self) -> None:
        self.begin = self.ready = time.monotonic()
        self.pid = 0

    def note(self, session: MediaSessionProxy) -> None:
        self.ready = time.monotonic()
        self.pid = session.pid


def _make_sample(folder: Path) -> tuple[Path, Path]:
    maker = [sys.executable, "-m", "sample_content", str(folder), "--only", _SAMPLE]
    try:
        done = subprocess.run(maker, capture_output=True, text=True, timeout=_MAKER_LIMIT, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise DRMError(f"the sample was not made within {_MAKER_LIMIT:.0f} seconds") from None
    if done.returncode:
        raise DRMError("the sample could not be made", seen=done.stderr.strip().splitlines()[-1] if done.stderr else "")
    return folder / f"{_SAMPLE}.mp4", folder / f"{_SAMPLE.replace('cenc', 'clear')}.mp4"


def _story(store: Path) -> RevokedStory:
    from player.verbs.demo.revoked_story import RevokedStory  # noqa: PLC0415 - signing costs 100 ms to import

    return RevokedStory(store)


def _served(keys: Path, sample: Path, story: RevokedStory | None) -> LicenseServer:
    if story is None:
        return LicenseServer(keys_file=keys)
    story.publish()
    return LicenseServer(keys_file=keys, components=story.repository, policies=story.policies(sample))


def _play(
    sample: Path, clear: Path, license_url: str, sheet: Path, story: RevokedStory | None
) -> tuple[PlaybackResult, _Session, bool]:
    session = _Session()
    with contextlib.ExitStack() as stack:
        hashes = os.memfd_create("framemd5", os.MFD_CLOEXEC)
        stack.callback(os.close, hashes)
        picture = stack.enter_context(WholeFile(sheet))
        progress = stack.enter_context(Progress(quiet=False))
        playback = Playback(
            [str(sample)],
            manager=LicenseManager(license_url, form=LicenseForm.SEALED),  # it is the one that was just started
            framemd5=hashes,
            snapshot=Snapshot(picture.descriptor),
            on_progress=progress.show,
            on_ready=session.note,
            trust=story.trust if story is not None else None,
        )
        result = playback.run() if story is None else renewing(playback.run, story, may_update=True)
        progress.close()
        equal = compare(hashes, str(clear), result, quiet=True) == ExitCode.GOOD
    return result, session, equal


def _report(
    sample: Path,
    result: PlaybackResult,
    session: _Session,
    sheet: bytes,
    story: RevokedStory | None,
    *,
    equal: bool,
) -> ReportData:
    flow = flow_events(session.begin, session.ready, result.commands, result.events)
    if story is not None:
        flow = sorted([*flow, *story.flow(session.begin)], key=lambda row: row.seconds)
    facts = [
        ("Frames", f"{result.frames}, each compared by hash with the clear original"),
        ("License path", result.license_path.value),
        ("Worker", f"process {session.pid}"),
    ]
    facts += [(f"Track {stream.track.track_id}", _described(stream)) for stream in result.streams]
    return ReportData(
        title="clearkey: the protected path",
        file=str(sample),
        verdict="Every decoded frame equals the clear original" if equal else "Some frames differ from the original",
        passed=equal,
        facts=facts,
        contact_sheet=sheet,
        events=flow,
        story=story.steps if story is not None else (),
        protection=msgspec.to_builtins(result.report),
        boxes=_box_rows(sample),
        notes=result.notes,
    )


def _box_rows(sample: Path) -> list[BoxRow]:
    with FileByteStream(sample) as stream:
        return [_box_row(box) for box in list_boxes(stream)]


def _box_row(box: ListedBox) -> BoxRow:
    alike = f"and {box.alike} more like it" if box.alike else ""
    detail = ", ".join(part for part in (box.detail, *box.notes, alike) if part)
    return BoxRow(box.type, box.offset, box.size, detail, box.encryption, [_box_row(child) for child in box.children])


def _described(stream: StreamDescriptor) -> str:
    track = stream.track
    kind = f"{track.type.value} {track.codec}"
    kids = ", ".join(str(kid) for kid in track.key_ids)
    return f"{kind}, scheme {track.scheme}, KID {kids}" if stream.is_protected else f"{kind}, not encrypted"
