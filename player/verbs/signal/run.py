"""What `clearkey signal` does once its words are read: looks beside a manifest, rewrites or judges it, tells verdicts.

player/schemas/signal-1.json describes what `--json` prints.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote

import click
import msgspec

from drm.errors import ExitCode, InvalidArgumentError, KeyMissingError, MediaError
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.initialization import Initialization
from drm.manifests.judging.check_playlist import playlist_members
from drm.manifests.judging.verdicts import Verdict, worst
from drm.manifests.playlist import Context, split_query
from drm.manifests.rewrite import check_manifest, is_playlist, manifest_initializations, signal_manifest
from drm.manifests.rewrite_playlist import signal_playlist
from drm.manifests.rewritten import (
    Outcome,
    Signalled,
    finding_members,
    outcome_of,
    require_known,
    verdict_members,
)
from drm.media import Scheme
from drm.whole_file import write_whole
from player.json_output import encode_json
from player.one_line import echo_line
from player.quick.common import require_no_url
from player.verbs.signal.beside import Beside, is_beside, read_manifest
from player.verbs.signal.words import lines

__all__ = ["SCHEMA", "VERSION", "SignalRequest", "signal"]

SCHEMA: Final = "clearkey-signal"
VERSION: Final = 1
_MOST_MEMBERS: Final = 1000  # playlists of one multivariant playlist
_EXIT: Final = {
    Outcome.PLAYS: ExitCode.GOOD,
    Outcome.NOWHERE: ExitCode.MALFORMED_INPUT,
    Outcome.UNKNOWN: ExitCode.KEY_MISSING,
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


def signal(request: SignalRequest) -> ExitCode:
    """Do it, and say what the command exits with.

    0: a player plays the manifest, as far as the media beside it tells; or it was rewritten, and nothing contradicts
    it. 3: no player plays it. 4: judged only, and what would tell was not there.

    Raises:
        KeyMissingError: it would stay as it is because something is not known.
        KeyWrongError: the given key id is of no media here.
        DRMError: it cannot be read or rewritten.
    """
    if request.check == bool(request.license_url):
        raise InvalidArgumentError(
            "nothing says what is to be done",
            remedy="give --license-url to rewrite the manifest, or --check to have it judged as it is",
        )
    require_no_url(request.manifest, "signal")
    data = read_manifest(Path(request.manifest))
    reader = Beside(Path(request.manifest).parent, _given(request))
    members = _members(data, request)
    if members and not request.check and (request.output or "-") == "-":
        raise InvalidArgumentError(
            "this playlist names others, which are rewritten with it: standard output takes one",
            remedy=f"give -o, beside it: -o {Path(request.manifest).with_name('clearkey.m3u8')}",
        )
    read = {uri: read_manifest(reader.path(uri)) for uri in members}
    made = {uri: _one(request, read[uri], uri, reader, context) for uri, context in members.items()}
    done = _together(data, made, reader.lacks()) if members else _one(request, data, request.manifest, reader)
    reader.require_given()
    is_changed = False
    if not request.check:
        # What a member does not tell is its own affair where others do: it is clear.
        require_known(done, request.manifest)
        if members:
            done = _whole(request, data, made, done)
        is_changed = done.data != data or any(each.data != read[uri] for uri, each in made.items())
        _write(request.output or "-", done.data)
    _say(request, done, reader, is_changed=is_changed)
    outcome = outcome_of(done.verdicts, request.player)
    return ExitCode.GOOD if not request.check and outcome is Outcome.UNKNOWN else _EXIT[outcome]


def _given(request: SignalRequest) -> Initialization | None:
    """What `--kid` and `--scheme` say, of media that cannot be read."""
    return None if request.kid is None else Initialization((KeyId.parse(request.kid),), request.scheme)


def _members(data: bytes, request: SignalRequest) -> dict[str, Context]:
    """The playlists beside a multivariant one; those of other places are left alone, as is their URI."""
    if not is_playlist(data, request.manifest):
        return {}
    found = playlist_members(data)
    if len(found) > _MOST_MEMBERS:
        raise MediaError(f"the playlist names {len(found)} others, more than {_MOST_MEMBERS} are not read")
    return {uri: context for uri, context in found.items() if is_beside(uri)}


def _one(request: SignalRequest, data: bytes, name: str, reader: Beside, context: Context | None = None) -> Signalled:
    """One MPD or media playlist. `name` is its path or its URI beside the multivariant playlist."""
    folder = "" if context is None else str(PurePosixPath(split_query(name)[0]).parent)
    try:
        kids = reader.kids(manifest_initializations(data, name, context), folder)
        if request.check:
            return check_manifest(data, name, kids, request.player, context)
        assert request.license_url is not None
        urls = (request.license_url, request.keys_base)
        return signal_manifest(data, name, *urls, kids, request.player, context, only_clearkey=request.only_clearkey)
    except KeyMissingError as error:
        seen = "; ".join(reader.notes)
        raise KeyMissingError(error.what, where=f"{name}, {error.where}", seen=seen, remedy=error.remedy) from None
    except MediaError as error:
        error.where = f"{name}, {error.where}" if error.where and error.where != name else name
        raise


def _together(data: bytes, made: dict[str, Signalled], lack: Verdict | None) -> Signalled:
    """What the members of a multivariant playlist say together; `lack` is a verdict on all of them."""
    own = [verdict for each in made.values() for verdict in each.verdicts]
    notes = dict.fromkeys(note for each in made.values() for note in each.notes)
    findings = dict.fromkeys(
        msgspec.structs.replace(finding, where=f"{uri}, {finding.where}")
        for uri, each in made.items()
        for finding in each.findings
    )
    lacks = [f"{uri}: {lack}" for uri, each in made.items() for lack in each.lacks]
    is_told = any(not each.lacks for each in made.values())
    verdicts = tuple(worst(own if lack is None else [*own, lack]))
    return Signalled(data, verdicts, tuple(notes), tuple(findings), () if is_told else tuple(lacks))


def _whole(request: SignalRequest, data: bytes, made: dict[str, Signalled], done: Signalled) -> Signalled:
    """Write the members of a multivariant playlist, and name their new files in it."""
    assert request.output is not None
    assert request.license_url is not None
    output = Path(request.output)
    names = {}
    for uri in made:
        path, query = split_query(uri)
        names[uri] = str(PurePosixPath(path).with_name(f"{output.stem}-{PurePosixPath(path).name}")) + query
    whole = signal_playlist(
        data, request.license_url, request.keys_base, {}, request.player, names, only_clearkey=request.only_clearkey
    )
    for uri, each in made.items():
        target = output.parent / unquote(split_query(names[uri])[0])
        target.parent.mkdir(parents=True, exist_ok=True)
        _write(str(target), each.data)
    return msgspec.structs.replace(done, data=whole.data)


def _write(target: str, data: bytes) -> None:
    if target == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    write_whole(target, data)


def _say(request: SignalRequest, done: Signalled, reader: Beside, *, is_changed: bool) -> None:
    verdicts = [each for each in done.verdicts if request.player in {None, each.player}]
    outcome = outcome_of(verdicts)
    output = None if request.check else request.output or "-"
    notes = list(dict.fromkeys((*reader.notes, *done.notes)))
    if output not in {None, "-"} and Path(str(output)).resolve().parent != Path(request.manifest).resolve().parent:
        notes.append(f"what it names is relative to it: it belongs beside {request.manifest}")
    if output is not None and not is_changed and outcome is not Outcome.NOWHERE:
        notes.append("nothing had to change: it has the form already")
    if request.as_json:
        told = {
            "schema": SCHEMA,
            "version": VERSION,
            "manifest": request.manifest,
            "output": output,
            "verdicts": [verdict_members(verdict) for verdict in verdicts],
            "notes": notes,
            "outcome": outcome.value,
            "changed": is_changed,
            "findings": [finding_members(finding) for finding in done.findings],
        }
        # The manifest has standard output when no file is named.
        click.echo(encode_json(told), err=output == "-")
        return
    if request.quiet:
        return
    for line in lines(verdicts, done.findings, notes):
        echo_line(line, err=not request.check)
    if output not in {None, "-"}:
        echo_line(f"written: {output}", err=True)
