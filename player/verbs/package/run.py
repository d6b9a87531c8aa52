"""What `clearkey package` does once its words are read: package, and say what came of it.

player/schemas/package-1.json describes what `--json` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from drm.encrypting.settings import TrackEncryption
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.manifests.forms import Player
from drm.manifests.rendition import Rendition
from drm.media import Scheme
from drm.packaging.package import Package, package_file
from player.json_output import encode_json
from player.one_line import echo_line
from player.progress import Progress
from player.quick.common import KEY_IS_VISIBLE, require_no_url
from player.quick.encrypt_keys import Chooser, Label, parse_labelled_keys

__all__ = ["HLS_FOR", "SCHEMA", "VERSION", "PackageRequest", "package"]

SCHEMA: Final = "clearkey-package"
VERSION: Final = 1
HLS_FOR: Final = {
    "both": (Player.SHAKA, Player.HLSJS),
    "shaka": (Player.SHAKA,),
    "hls.js": (Player.HLSJS,),
    "none": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRequest:
    """The words of the command, of the right kind each."""

    source: str
    folder: str
    key_words: Sequence[str] = ()
    keys_of_file: Sequence[tuple[KeyId, ContentKey]] = ()
    keys_file: str | None = None
    scheme: str = Scheme.CENC.value
    license_url: str | None = None
    keys_base: str | None = None
    segment_seconds: float = 4.0
    hls_for: str = "both"
    pssh: str = "common"
    clear: bool = False
    as_json: bool = False
    quiet: bool = False


def package(request: PackageRequest) -> None:
    """Do it. Raises DRMError and OSError."""
    require_no_url(request.source, "package")
    chooser = _chooser(request)
    if chooser is not None and not request.license_url:
        raise InvalidArgumentError(
            "manifests of encrypted media need a license URL",
            remedy="give --license-url, where players will ask for licenses: that of clearkey serve ends in /license",
        )
    with Progress(quiet=request.quiet, what="packaging") as bar:
        done = package_file(
            Path(request.source),
            Path(request.folder),
            scheme=Scheme(request.scheme),
            tracks=chooser,
            license_url=request.license_url,
            keys_base=request.keys_base,
            hls_for=HLS_FOR[request.hls_for],
            segment_seconds=request.segment_seconds,
            pssh=request.pssh == "common",
            progress=bar.show,
        )
    if request.as_json:
        click.echo(encode_json(_told(request, done)))
    if not request.quiet:
        for line in _said(request, done):
            echo_line(line, err=True)


def _chooser(request: PackageRequest) -> Chooser | None:
    keys: list[tuple[Label, KeyId, ContentKey]] = [(None, *pair) for pair in request.keys_of_file]
    for word in request.key_words:
        keys += parse_labelled_keys(word)
    if request.clear:
        if keys:
            raise InvalidArgumentError("--clear encrypts nothing, and there is a key", remedy="give one of the two")
        return None
    return Chooser(keys, (), TrackEncryption(KeyId(bytes(16)), ContentKey(bytes(16))))


def _told(request: PackageRequest, done: Package) -> dict[str, object]:
    head = {"schema": SCHEMA, "version": VERSION, "input": request.source, "folder": request.folder}
    tracks = [
        {
            "file": rendition.file_name,
            "type": str(rendition.track.type),
            "codecs": rendition.codecs,
            "scheme": rendition.scheme.value if rendition.scheme else None,
            "key_id": str(rendition.key_id) if rendition.key_id else None,
            "seconds": round(rendition.duration, 3),
            "segments": len(rendition.segments),
            "bandwidth": rendition.peak_bandwidth,
        }
        for rendition in done.renditions
    ]
    return {**head, "tracks": tracks, "manifests": list(done.manifests), "files": list(done.files)}


def _said(request: PackageRequest, done: Package) -> list[str]:
    lines = [KEY_IS_VISIBLE] if request.key_words else []
    lines += [f"note: track {track.track_id} ({track.codec}) is left out" for track in done.left_out]
    lines += [f"{rendition.file_name}: {_what(rendition)}" for rendition in done.renditions]
    lines += [f"written: {Path(request.folder) / name}" for name in done.manifests]
    if request.keys_file and request.keys_file != "-":
        lines.append(f"next: clearkey serve --keys-file {request.keys_file}, and files from a server that knows Range")
    return lines


def _what(rendition: Rendition) -> str:
    length = f"{rendition.codecs}, {rendition.duration:.1f} s in {len(rendition.segments)} segments"
    return f"{length}, {rendition.scheme.value}, KID {rendition.key_id}" if rendition.scheme else f"{length}, clear"
