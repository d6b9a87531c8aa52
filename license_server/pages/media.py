"""The catalogue: a folder of packaged films, served with byte ranges (RFC 9110, section 14).

Films are encrypted, and players on other sites may play them, so they are shown to everybody. Requests are not
trusted: no link is followed, hidden files are not there, and only kinds of files that players read are.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound
from werkzeug.wsgi import FileWrapper

from drm.errors import InvalidArgumentError

__all__ = ["Film", "catalogue_of", "media"]

_TYPES: Final = {
    ".mpd": "application/dash+xml",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".m4s": "video/iso.segment",
    ".m4v": "video/mp4",
    ".m4a": "audio/mp4",
    ".webm": "video/webm",
    ".vtt": "text/vtt",
}
_MOST_FILMS: Final = 500
_CHUNK: Final = 64 << 10  # bytes sent at once
_HEAD: Final = 1 << 16  # bytes of a playlist that are looked at


@dataclass(frozen=True, slots=True)
class Film:
    """One folder with manifests."""

    name: str
    manifests: tuple[str, ...]  # paths below the catalogue


def catalogue_of(folder: Path) -> list[Film]:
    """The films in `folder`: itself, if there is a manifest in it, and each folder below, by name."""
    films = []
    try:
        below = sorted(each for each in folder.iterdir() if each.is_dir() and not each.is_symlink())
    except OSError:
        return []
    for place in (folder, *below):
        if place.name.startswith("."):
            continue
        prefix = "" if place == folder else f"{place.name}/"
        manifests = tuple(f"{prefix}{each.name}" for each in sorted(place.iterdir()) if _is_manifest(each))
        if manifests:
            films.append(Film(place.name, manifests))
    return films[:_MOST_FILMS]


def _is_manifest(path: Path) -> bool:
    """Whether it is an MPD, or a multivariant playlist that is not for hls.js alone."""
    if path.name.startswith(".") or path.is_symlink() or not path.is_file():
        return False
    if path.suffix == ".mpd":
        return True
    if path.suffix != ".m3u8":
        return False
    try:
        with path.open("rb") as file:
            return b"#EXT-X-STREAM-INF" in file.read(_HEAD) and not path.name.startswith("hlsjs")
    except OSError:
        return False


def media(folder: Path) -> Blueprint:
    """Return what serves the files of `folder` under `/media/`. Raises InvalidArgumentError: it is no folder."""
    folder = Path(folder).absolute()
    if not folder.is_dir():
        raise InvalidArgumentError("the catalogue is no folder", where=str(folder))
    blueprint = Blueprint("media", __name__, url_prefix="/media")

    @blueprint.get("/<path:name>", merge_slashes=False)
    def file(name: str) -> Response:
        parts = name.split("/")
        media_type = _TYPES.get(Path(parts[-1]).suffix)
        if media_type is None or any(part in {"", "."} or part.startswith(".") or "\0" in part for part in parts):
            raise NotFound
        return _answer(_opened(folder, parts), media_type)

    return blueprint


def _opened(folder: Path, parts: list[str]) -> IO[bytes]:
    """Open a file below `folder`, from folder to folder, and follow no link. Raises NotFound."""
    held = -1
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts:
            inside = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = inside
        if stat.S_ISREG(os.fstat(held).st_mode):
            return os.fdopen(held, "rb", buffering=0)
    except OSError:
        pass
    if held >= 0:
        os.close(held)
    raise NotFound


def _answer(file: IO[bytes], media_type: str) -> Response:
    """The whole file, a range of it, or the word that it has not changed."""
    about = os.fstat(file.fileno())
    response = Response(FileWrapper(file, _CHUNK), content_type=media_type, direct_passthrough=True)
    response.call_on_close(file.close)
    response.content_length = about.st_size
    response.headers["Cache-Control"] = "no-cache"  # films are packaged anew in their places
    response.set_etag(f"{about.st_mtime_ns:x}-{about.st_size:x}")
    response.make_conditional(request, accept_ranges=True, complete_length=about.st_size)
    return response
