"""Serve a published component repository: the tree of files that an authority shows, as it is shown at that moment.

The files are signed and no secret, and clients verify them: what counts here is that they are whole, of one tree, and
kept for the right time by whatever stands between. TUF 1.0, section 6: all but the timestamp have a version or a hash
in their names, and never change.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path
from typing import IO, Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound
from werkzeug.wsgi import FileWrapper

from drm.errors import InvalidArgumentError

__all__ = ["updates"]

_PARTS: Final = frozenset({"metadata", "targets"})
_TYPES: Final = {".json": "application/json", ".zip": "application/zip"}
_OTHER_TYPE: Final = "application/octet-stream"
_IMMUTABLE: Final = "public, max-age=31536000, immutable"  # RFC 8246
_TIMESTAMP: Final = ["metadata", "timestamp.json"]
_MAX_TIMESTAMP: Final = 1 << 20  # bytes; it is held in memory
_CHUNK: Final = 64 << 10  # bytes sent at once
# What means that there is no such file. Anything else is our own trouble, and must not be told as a 404: that answer on
# the next root tells a client that it has the newest (TUF 1.0, section 5.3.3).
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EISDIR})


def updates(repository: Path) -> Blueprint:
    """Return what serves `repository`, a folder or a link to one, under `/components/`.

    The link is read once in each request, so that an answer never mixes two trees. Requests are not trusted: no link
    below the tree is followed, and hidden files, which are drafts, are not there.

    Raises:
        InvalidArgumentError: nothing is published in `repository`.
    """
    repository = Path(repository).absolute()  # and not resolved: it shows another tree after each publication
    if not (repository / "metadata" / _TIMESTAMP[-1]).is_file():
        raise InvalidArgumentError(
            "no published components are in that folder",
            where=str(repository),
            seen="it has no metadata/timestamp.json",
            maybe="the folder that an authority publishes is `repository` in its own",
        )
    blueprint = Blueprint("components", __name__, url_prefix="/components")

    @blueprint.get("/<path:name>", merge_slashes=False)  # or a path with two would be answered with a redirect
    def file(name: str) -> Response:
        parts = name.split("/")
        if parts[0] not in _PARTS or any(part.startswith(".") or "\0" in part for part in parts):
            raise NotFound
        found = _opened(repository, parts)
        return _timestamp(found) if parts == _TIMESTAMP else _lasting(found, Path(parts[-1]).suffix)

    return blueprint


def _opened(repository: Path, parts: list[str]) -> IO[bytes]:
    """Open a file below `repository`, from folder to folder, each in the one before. Raises NotFound, OSError."""
    held = os.open(repository, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # the tree of this request
    try:
        for part in parts:
            inside = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=held)
            os.close(held)
            held = inside
        if not stat.S_ISREG(os.fstat(held).st_mode):
            raise NotFound
        return os.fdopen(held, "rb", buffering=0)
    except BaseException as error:
        os.close(held)
        if isinstance(error, OSError) and error.errno in _ABSENT:
            raise NotFound from None
        raise


def _timestamp(file: IO[bytes]) -> Response:
    """The one file that changes in its place: kept nowhere without asking (RFC 9111, section 5.2.2.4)."""
    with file:
        data = file.read(_MAX_TIMESTAMP)
    tag = hashlib.sha256(data).hexdigest()
    is_known = request.if_none_match.contains_weak(tag)  # RFC 9110, section 13.1.2
    response = Response(status=304) if is_known else Response(data, content_type=_TYPES[".json"])
    response.headers["Cache-Control"] = "no-cache"
    response.set_etag(tag)
    return response


def _lasting(file: IO[bytes], suffix: str) -> Response:
    response = Response(FileWrapper(file, _CHUNK), content_type=_TYPES.get(suffix, _OTHER_TYPE))
    response.content_length = os.fstat(file.fileno()).st_size
    response.headers["Cache-Control"] = _IMMUTABLE
    return response
