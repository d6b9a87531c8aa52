"""`clearkey play`: play a file inside the locked-down worker, headless, and compare or keep what comes out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

import click

from drm.app.rights.license_forms import LicenseForm
from drm.app.rights.managers import LicenseManager, LocalKeysManager
from drm.errors import DRMError, InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.protection import Level
from drm.session.events import MediaEvent
from drm.streaming.selection import Selection
from drm.worker_memory import DEFAULT_MEMORY, LEAST_MEMORY, MOST_MEMORY
from player.comparison import compare
from player.component_renewal import RenewalLines, renewing
from player.key_mistakes import explain
from player.license_form_option import form_options
from player.manifests.given import ManifestOptions, is_manifest, manifest_options
from player.one_line import echo_line
from player.options import component_trust, dialect_option, key_options, open_output
from player.playback import Playback, PlaybackResult, Snapshot
from player.progress import Progress

__all__ = ["command"]


@click.command("play")
@click.argument("files", metavar="FILE [SEGMENT…]", nargs=-1, required=True, type=click.Path())
@key_options
@click.option("--license-url", metavar="URL", help="Clear Key license server to ask.")
@click.option("--header", "headers", metavar="'K: V'", multiple=True, help="Header for the license server.")
@click.option("--cacert", metavar="FILE", type=click.Path(exists=True), help="CA certificates for its TLS.")
@form_options
@click.option("--framemd5", metavar="FILE", help="Write a hash of each frame, as ffmpeg -f framemd5; '-': stdout.")
@click.option("--snapshot", metavar="FILE", help="Write a contact sheet (PNG), if the license grants snapshots.")
@click.option("--at", "moments", metavar="SECONDS", type=float, multiple=True, help="Moment of the snapshot.")
@click.option("--compare", "clear", metavar="CLEAR.mp4", type=click.Path(), help="Are all frames equal to this file's?")
@dialect_option
@manifest_options
@click.option("--variant", metavar="ID|N|WxH|BPS", default="", help="Of a manifest: this picture. [default: the best]")
@click.option("--max-height", metavar="LINES", type=click.IntRange(1), help="Of a manifest: no picture beyond this.")
@click.option("--language", metavar="TAG", default="", help="Of a manifest: sound in this language.")
@click.option("--remote-source", is_flag=True, help="Let the worker read the container; only stored bytes go there.")
@click.option("--unprotected", is_flag=True, help="Isolated but not locked down; plays clear content only.")
@click.option("--min-level", type=click.IntRange(1, 3), default=1, show_default=True, help="Isolation level to demand.")
@click.option("--service", metavar="SOCKET", help="Play in a worker of this PMP service; level 3 asks the usual one.")
@click.option(
    "--worker-memory",
    metavar="MIB",
    type=click.IntRange(LEAST_MEMORY, MOST_MEMORY),
    default=DEFAULT_MEMORY,
    show_default=True,
    help="Memory that the worker may use; what a file asks for beyond it is refused.",
)
@click.option("--update-components", is_flag=True, help="Renew components that must not run, off a terminal too.")
@click.option("--engine", type=click.Choice(["cryptography", "pycryptodome"]), default="cryptography", hidden=True)
@click.option("-v", "--verbose", is_flag=True, help="Show every event.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def command(
    files: tuple[str, ...],
    keys: dict[KeyId, ContentKey],
    license_url: str | None,
    headers: tuple[str, ...],
    cacert: str | None,
    form: LicenseForm,
    framemd5: str | None,
    snapshot: str | None,
    moments: tuple[float, ...],
    clear: str | None,
    dialects: tuple[str, ...],
    manifest: ManifestOptions,
    variant: str,
    max_height: int | None,
    language: str,
    remote_source: bool,
    unprotected: bool,
    min_level: int,
    service: str | None,
    worker_memory: int,
    update_components: bool,
    engine: str,
    verbose: bool,
    quiet: bool,
) -> int:
    """Play FILE (an MP4 or WebM, an MPD or HLS playlist, the URL of one, or an init segment and its media segments).

    It plays inside the locked-down worker.

    Rights come from --license-url, or from --key and --keys-file. Exit code 0: it played to the end.

    CLEARKEY_COMPONENTS_ROOT, _URL and _STORE name another authority for the worker's components, as `clearkey
    components` takes them. On a terminal, components that were revoked are renewed once, and the file is played then.
    """
    if license_url and keys:
        raise InvalidArgumentError(
            "keys come either from --license-url or from --key and --keys-file", remedy="leave one of them out"
        )
    if framemd5 and snapshot and "-" not in {framemd5, snapshot} and _is_one_file(framemd5, snapshot):
        raise InvalidArgumentError("hashes and pictures go to one output", remedy="give each a file of its own")
    if quiet:
        logging.getLogger("drm").setLevel(logging.ERROR)
    manager = _manager(license_url, headers, cacert, form, keys)
    with contextlib.ExitStack() as stack:
        hashes_fd = stack.enter_context(open_output(framemd5)) if framemd5 else None
        if clear is not None and hashes_fd is None:
            hashes_fd = os.memfd_create("framemd5", os.MFD_CLOEXEC)
            stack.callback(os.close, hashes_fd)
        picture = stack.enter_context(open_output(snapshot)) if snapshot else None
        progress = stack.enter_context(Progress(quiet=quiet))
        renewal = stack.enter_context(RenewalLines(quiet=quiet))
        named = dict(zip(("--variant", "--max-height", "--language"), (variant, max_height, language), strict=True))
        given = tuple(name for name, value in named.items() if value)
        make: Callable[..., Playback] = functools.partial(Playback, files)
        if is_manifest(files, dataclasses.replace(manifest, given=(*given, *manifest.given))):
            make = _of_manifest(files[0], manifest, Selection(variant, max_height or 0, language))
        playback = make(
            manager=manager,
            framemd5=hashes_fd,
            snapshot=None if picture is None else _snapshot(picture, moments),
            remote_source=remote_source,
            unprotected=unprotected,
            min_level=min_level,
            service=service,
            worker_memory=worker_memory,
            engine=engine,
            dialects=dialects,
            trust=component_trust(),
            on_event=_show if verbose else None,
            on_progress=progress.show,
        )
        try:
            result = renewing(playback.run, renewal, may_update=update_components or sys.stderr.isatty())
        except DRMError as error:
            raise explain(error, keys) from None
        progress.close()
        if not quiet:
            _summarize(result)
        if clear is not None:
            assert hashes_fd is not None
            if framemd5 == "-":
                raise InvalidArgumentError("--compare needs the hashes itself: give --framemd5 a file")
            return compare(hashes_fd, clear, result, quiet=quiet)
    return 0


def _of_manifest(name: str, options: ManifestOptions, selection: Selection) -> Callable[..., Playback]:
    from player.manifests.playback import ManifestPlayback  # noqa: PLC0415 - loads what talks HTTP, for manifests alone

    return functools.partial(ManifestPlayback, name, options, selection)


def _is_one_file(one: str, other: str) -> bool:
    """Whether both names are of one file, which would hold what was written last; /dev/null takes everything."""
    real = Path(one).resolve()
    return real == Path(other).resolve() and (real.is_file() or not real.exists())


def _manager(
    url: str | None, headers: tuple[str, ...], cacert: str | None, form: LicenseForm, keys: dict[KeyId, ContentKey]
) -> LicenseManager | LocalKeysManager | None:
    if url:
        return LicenseManager(url, headers=dict(_header(text) for text in headers), cacert=cacert, form=form)
    return LocalKeysManager(keys) if keys else None


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise InvalidArgumentError("--header takes 'Name: value'")
    return name.strip(), value.strip()


def _snapshot(descriptor: int, moments: tuple[float, ...]) -> Snapshot:
    if not moments:
        return Snapshot(descriptor)
    single = len(moments) == 1
    return Snapshot(descriptor, tuple(sorted(moments)), width=0 if single else 320)


def _show(event: MediaEvent) -> None:
    details = " ".join(f"{name}={value}" for name, value in event.values.items())
    failed = f" status=0x{event.status:08X}" if event.status else ""
    echo_line(f"  {event.type:>3} {event.name}{failed} {details}".rstrip(), err=True)


def _summarize(result: PlaybackResult) -> None:
    level = Level(result.report.level)
    for stream in result.streams:
        track = stream.track
        how = f"{track.scheme}, KID {', '.join(map(str, track.key_ids))}" if stream.is_protected else "not encrypted"
        echo_line(f"track {track.track_id}: {track.type.value} {track.codec}, {how}", err=True)
    for note in result.notes:
        echo_line(f"note: {note}", err=True)
    click.echo(
        f"played: {result.frames} frames in {result.seconds:.2f} s, isolation level {level.value} ({level.label}), "
        f"license_path: {result.license_path.value}",
        err=True,
    )
    sys.stderr.flush()
