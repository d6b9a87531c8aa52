"""Opens what `clearkey pssh` is given (media, manifest, playlist, JSON, base64, hex, `-`) and lists what it says."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from drm.component import ByteStream
from drm.container import open_container
from drm.errors import InvalidArgumentError, MalformedMediaError, MediaError, UnsupportedMediaError
from drm.isobmff.box import load_box, top_boxes
from drm.isobmff.container import begins_as_mp4, require_mp4
from drm.manifests.key_ids import MAX_STATEMENTS, Statement, box_statements, kid_statement, statement_of
from drm.webm.container import begins_as_ebml
from player.media_file import open_stream
from player.verbs.pssh.manifests import hls_statements, keyids_statements, mpd_statements
from player.verbs.pssh.words import decoded

__all__ = ["PsshInput", "read_input"]

_MAX_DOCUMENT: Final = 16 << 20  # bytes of anything that is not media
_URLS: Final = ("http://", "https://")
_WORDS: Final = "base64 or hex"
_MAX_SHOWN: Final = 40  # characters of an argument that is shown


class PsshInput:
    """One argument of `clearkey pssh`, read."""

    def __init__(self, name: str, kind: str, statements: list[Statement]) -> None:
        self.name = name
        self.kind = kind  # "fragmented MP4", "MPD", "base64 or hex" …
        self.statements = statements

    @property
    def label(self) -> str:
        """A short name: the file's own, without its folder."""
        return Path(self.name).name if self.kind != _WORDS else self.name

    @property
    def is_manifest(self) -> bool:
        """Whether it speaks of media that lies elsewhere."""
        return self.kind in {"MPD", "HLS playlist"}


def read_input(argument: str) -> PsshInput:
    """Read the file at `argument`, standard input for "-", or `argument` itself as base64, hex or JSON.

    Raises:
        InvalidArgumentError: no such file, and the words are nothing else either.
        MediaError: it can be read as nothing that is known here.
    """
    if argument == "-":
        return _document(sys.stdin.buffer.read(_MAX_DOCUMENT + 1), "standard input")
    if argument.startswith(_URLS) or _is_file(argument):
        with closing(open_stream([argument])) as stream:
            return _file(stream)
    return _words(argument)


def _words(argument: str) -> PsshInput:
    name = argument if len(argument) <= _MAX_SHOWN else f"{argument[:_MAX_SHOWN]}…"
    if argument.lstrip().startswith("{"):
        return PsshInput("the argument", "keyids", keyids_statements(argument.encode()))
    try:
        return PsshInput(name, _WORDS, decoded(argument, "the argument"))
    except MediaError as error:
        if error.what == "this is neither base64 nor hex" or "." in argument or argument.startswith("/"):
            raise InvalidArgumentError(
                f"there is no file {name}",
                maybe="" if "." in argument else "base64 or hex that is cut",
                remedy="give a file, base64 or hex of pssh boxes, or - for standard input",
            ) from None
        raise


def _file(stream: ByteStream) -> PsshInput:
    if begins_as_ebml(stream):
        webm = open_container(stream)
        return PsshInput(
            stream.name,
            webm.container,
            [
                kid_statement(f"track {each.track.track_id}, ContentEncKeyID", each.key_ids)
                for each in webm.streams()
                if each.key_ids
            ],
        )
    if begins_as_mp4(stream):
        return PsshInput(stream.name, *_mp4(stream))
    if stream.size > _MAX_DOCUMENT:
        require_mp4(stream)  # says what it is instead of MP4
    return _document(stream.read_at(0, _MAX_DOCUMENT + 1), stream.name)


def _is_file(argument: str) -> bool:
    try:
        return Path(argument).is_file()
    except (OSError, ValueError):  # too long for a name
        return False


def _mp4(stream: ByteStream) -> tuple[str, list[Statement]]:
    found: dict[tuple[object, ...], list[Statement]] = {}
    has_movie = False
    for top in top_boxes(stream):
        has_movie = has_movie or top.type == "moov"
        if top.type not in {"moov", "moof"}:
            continue
        for box in load_box(stream, top).boxes():
            if box.type == "pssh":
                place = "moov" if top.type == "moov" else f"moof at byte {top.start}"
                each = statement_of(box, place)
                found.setdefault((each.system, each.version, each.box_kids, each.data, each.problem), []).append(each)
                if len(found) > MAX_STATEMENTS:
                    raise MalformedMediaError(f"more than {MAX_STATEMENTS} different pssh boxes", where=stream.name)
    statements = [_folded(alike) for alike in found.values()]
    if not has_movie:
        return "media segments", statements
    presentation = open_container(stream)
    statements += [
        kid_statement(f"samples of track {each.track.track_id}", each.key_ids)
        for each in presentation.streams()
        if each.key_ids
    ]
    return presentation.container, statements


def _folded(alike: list[Statement]) -> Statement:
    """Many fragments have the same box: it is said once."""
    first = alike[0]
    if len(alike) == 1:
        return first
    where = f"{first.where} and {len(alike) - 1} more places"
    return msgspec.structs.replace(first, times=len(alike), where=where)


def _document(data: bytes, name: str) -> PsshInput:
    if len(data) > _MAX_DOCUMENT:
        raise MalformedMediaError(f"more than {_MAX_DOCUMENT} bytes that are not media", where=name)
    if data[4:8] == b"pssh":
        return PsshInput(name, "pssh boxes", box_statements(data, name))
    text = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    try:
        if b"<MPD" in text[:4096] or b":MPD" in text[:4096]:
            return PsshInput(name, "MPD", mpd_statements(data))
        if text.startswith(b"#EXTM3U"):
            return PsshInput(name, "HLS playlist", hls_statements(data))
        if text.startswith(b"{"):
            return PsshInput(name, "keyids", keyids_statements(text))
        return PsshInput(name, _WORDS, decoded(text.decode("ascii"), name))
    except UnicodeDecodeError:
        raise UnsupportedMediaError(
            "this is no media, no manifest, and no base64 or hex of pssh boxes",
            where=name,
            seen=f"it begins with {data[:8].hex(' ')}",
        ) from None
    except MediaError as error:
        error.where = error.where if name in error.where else ", ".join(filter(None, (name, error.where)))
        raise
