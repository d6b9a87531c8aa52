"""What `clearkey signal` does once its words are read: looks beside a manifest, rewrites it, tells verdicts.

player/schemas/signal-1.json describes what `--json` prints.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

import click

from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError, KeyMissingError, MediaError
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.rewrite import check_manifest, is_playlist, manifest_initializations, signal_manifest
from drm.manifests.rewrite_playlist import playlist_members, signal_playlist
from drm.manifests.rewritten import ANY, Initialization, Kids, Signalled, read_initialization
from drm.manifests.verdicts import Plays, Verdict, lacks_pssh, worst
from drm.media import Scheme
from drm.whole_file import atomic_file

__all__ = ["SCHEMA", "VERSION", "SignalRequest", "signal"]

SCHEMA: Final = "clearkey-signal"
VERSION: Final = 1
_MAX_MANIFEST: Final = 16 << 20  # bytes
_MOST_MEMBERS: Final = 1000  # playlists of one multivariant playlist
_PLAYS: Final = {
    Plays.FROM_MANIFEST: "plays from the manifest alone",
    Plays.WITH_CONFIG: "plays once the application is configured",
    Plays.NO: "does not play",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRequest:
    """The words of the command, of the right kind each."""

    manifest: str
    output: str | None = None
    license_url: str | None = None
    keys_base: str | None = None
    player: Player | None = None  # None: all
    kid: str | None = None
    scheme: Scheme | None = None
    only_clearkey: bool = False
    check: bool = False
    as_json: bool = False
    quiet: bool = False


def signal(request: SignalRequest) -> None:
    """Do it. Raises DRMError and OSError."""
    if request.check == bool(request.license_url):
        raise InvalidArgumentError(
            "nothing says what is to be done",
            remedy="give --license-url to rewrite the manifest, or --check to have it judged as it is",
        )
    data = _read(Path(request.manifest))
    reader = _Beside(Path(request.manifest).parent, _given(request))
    members = _members(data, request)
    if members and not request.check and (request.output or "-") == "-":
        raise InvalidArgumentError(
            "this playlist names others, which are rewritten with it: standard output takes one",
            remedy=f"give -o, beside it: -o {Path(request.manifest).with_name('clearkey.m3u8')}",
        )
    made = {uri: _one(request, _read(reader.path(uri)), uri, reader) for uri in members}
    if members:
        done = _whole(request, data, made, reader.lacks())
    else:
        done = _one(request, data, request.manifest, reader)
        if not request.check:
            _write(request.output or "-", done.data)
    _say(request, done, reader.notes)


def _given(request: SignalRequest) -> Initialization | None:
    """What `--kid` and `--scheme` say, of media that cannot be read."""
    return None if request.kid is None else Initialization((KeyId.parse(request.kid),), request.scheme)


def _members(data: bytes, request: SignalRequest) -> list[str]:
    """The playlists beside a multivariant one; those of other places are left alone, as is their URI."""
    if not is_playlist(data, request.manifest):
        return []
    found = playlist_members(data)
    if len(found) > _MOST_MEMBERS:
        raise MediaError(f"the playlist names {len(found)} others, more than {_MOST_MEMBERS} are not read")
    return [uri for uri in found if _is_beside(uri)]


def _one(request: SignalRequest, data: bytes, name: str, reader: _Beside) -> Signalled:
    """One MPD or media playlist. `name` is its path or its URI beside the multivariant playlist."""
    folder = str(PurePosixPath(name).parent) if name != request.manifest else ""
    try:
        kids = reader.kids(manifest_initializations(data, name), folder)
        if request.check:
            return check_manifest(data, name, kids)
        assert request.license_url is not None
        urls = (request.license_url, request.keys_base)
        return signal_manifest(data, name, *urls, kids, request.player, only_clearkey=request.only_clearkey)
    except KeyMissingError as error:
        seen = "; ".join(reader.notes)
        raise KeyMissingError(error.what, where=f"{name}, {error.where}", seen=seen, remedy=error.remedy) from None
    except MediaError as error:
        error.where = f"{name}, {error.where}" if error.where and error.where != name else name
        raise


def _whole(request: SignalRequest, data: bytes, made: dict[str, Signalled], lack: Verdict | None) -> Signalled:
    """The multivariant playlist after its members, which are written with it; `lack` is a verdict on all together."""
    own = [verdict for each in made.values() for verdict in each.verdicts]
    verdicts = tuple(worst(own if lack is None else [*own, lack]))
    notes = tuple(dict.fromkeys(note for each in made.values() for note in each.notes))
    if request.check:
        return Signalled(data, verdicts, notes)
    assert request.output is not None
    assert request.license_url is not None
    output = Path(request.output)
    names = {uri: str(PurePosixPath(uri).with_name(f"{output.stem}-{PurePosixPath(uri).name}")) for uri in made}
    for uri, each in made.items():
        target = output.parent / unquote(names[uri])
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(str(target), each.data)
    whole = signal_playlist(
        data, request.license_url, request.keys_base, {}, request.player, names, only_clearkey=request.only_clearkey
    )
    _write(request.output, whole.data)
    return Signalled(whole.data, verdicts, notes)


# ------------------------------------------------------------------------------------------------ files
class _Beside:
    """Reads what a manifest names, below its own folder and nowhere else."""

    def __init__(self, folder: Path, given: Initialization | None) -> None:
        self.notes: list[str] = []
        self._folder = folder
        self._read: list[Initialization] = []
        self._given = given

    def path(self, uri: str) -> Path:
        """The file that a relative URI names."""
        return self._folder / unquote(urlsplit(uri).path)

    def kids(self, uris: Sequence[str], folder: str = "") -> Kids:
        """What the initialization segments say; what is given by hand stands in for what cannot be read."""
        found: dict[str, Initialization] = {} if self._given is None else {ANY: self._given}
        for uri in uris:
            joined = str(PurePosixPath(folder) / uri) if folder not in {"", "."} else uri
            if not _is_beside(joined):
                self.notes.append(f"{uri} does not lie beside the manifest, so its key ids are not known")
                continue
            try:
                with SourceFile(self.path(joined)) as source:
                    found[uri] = self._complete(read_initialization(source))
                    self._read.append(found[uri])
            except MediaError as error:
                self.notes.append(f"{uri} was not read: {error.what}")
        return found

    def _complete(self, said: Initialization) -> Initialization:
        if self._given is None or not said.key_ids:
            return said
        return Initialization(self._given.key_ids, self._given.scheme or said.scheme, said.named)

    def lacks(self) -> Verdict | None:
        """hls.js makes one request for all playlists of one license URL, from whichever initialization comes first."""
        read = [said for said in self._read if said.key_ids and said.named is not None]
        wanted = {kid for said in read for kid in said.key_ids}
        if all(wanted <= set(said.named or ()) for said in read):
            return None
        return lacks_pssh("the keys of all tracks")


def _is_beside(uri: str) -> bool:
    """Whether a URI is relative, and stays in the folder."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    path = PurePosixPath(unquote(parts.path))
    return not (parts.scheme or parts.netloc or path.is_absolute() or ".." in path.parts or "\0" in unquote(parts.path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_MANIFEST + 1)
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_MANIFEST:
        raise MediaError(f"a manifest of more than {_MAX_MANIFEST} bytes is not read", where=str(path))
    return data


def _write(target: str, data: bytes) -> None:
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        with atomic_file(Path(target)) as file:
            file.write(data)
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {target}: {error.strerror}") from None


# ------------------------------------------------------------------------------------------------ words
def _say(request: SignalRequest, done: Signalled, read: Sequence[str]) -> None:
    verdicts = [each for each in done.verdicts if request.player in {None, each.player}]
    output = None if request.check else request.output or "-"
    notes = list(dict.fromkeys((*read, *done.notes)))
    if output not in {None, "-"} and Path(str(output)).resolve().parent != Path(request.manifest).resolve().parent:
        notes.append(f"what it names is relative to it: it belongs beside {request.manifest}")
    if request.as_json:
        told = {"schema": SCHEMA, "version": VERSION, "manifest": request.manifest, "output": output}
        listed = [_told(verdict) for verdict in verdicts]
        # The manifest has standard output when no file is named.
        click.echo(json.dumps({**told, "verdicts": listed, "notes": notes}), err=output == "-")
        return
    if request.quiet:
        return
    for line in (*(f"note: {note}" for note in notes), *(_said(verdict) for verdict in verdicts)):
        click.echo(line, err=not request.check)
    if output not in {None, "-"}:
        click.echo(f"written: {output}", err=True)


def _told(verdict: Verdict) -> dict[str, str]:
    return {
        "player": verdict.player.value,
        "plays": verdict.plays.value,
        "why": verdict.why,
        "try": verdict.remedy,
    }


def _said(verdict: Verdict) -> str:
    remedy = f"\n  try  {verdict.remedy}" if verdict.remedy else ""
    return f"{verdict.player.value}: {_PLAYS[verdict.plays]}: {verdict.why}{remedy}"
