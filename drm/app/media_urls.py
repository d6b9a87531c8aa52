"""From a URL to the byte stream that reads it: paths, file, http and https. Application only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from drm.app.byte_stream import FileByteStream
from drm.errors import InvalidArgumentError, UnsupportedSchemeError

if TYPE_CHECKING:
    from drm.app.http.byte_stream import HttpByteStream

__all__ = ["NETWORK_SCHEMES", "open_url", "scheme_of"]

NETWORK_SCHEMES: Final = ("http", "https")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")  # RFC 3986, section 3.1; of one letter: a drive


def scheme_of(url: str) -> str:
    """Return "file" for a path or a URL of a file, or "http", or "https".

    Raises:
        UnsupportedSchemeError: another one (MF_E_UNSUPPORTED_SCHEME).
    """
    found = _SCHEME.match(url)
    # A path is one that exists, or that has no scheme: "a:b.mp4" may be a file's name.
    if found is None or (not url[found.end() :].startswith("//") and Path(url).exists()):
        return "file"
    scheme = found[1].lower()
    if scheme not in {"file", *NETWORK_SCHEMES}:
        raise UnsupportedSchemeError(
            f"nothing here opens {scheme[:32]}: URLs", seen=url[:100], remedy="give a path, or a URL of http or https"
        )
    return scheme


def open_url(url: str) -> FileByteStream | HttpByteStream:
    """Return what reads `url`; a stream over the network is not open yet: call its `open`.

    Raises:
        UnsupportedSchemeError: MF_E_UNSUPPORTED_SCHEME.
        InvalidArgumentError: the URL cannot be read, or the file cannot be opened.
    """
    if scheme_of(url) in NETWORK_SCHEMES:
        from drm.app.http.byte_stream import HttpByteStream  # noqa: PLC0415 - loads requests, for those who need it

        return HttpByteStream(url)
    return FileByteStream(_path(url))


def _path(url: str) -> str:
    if not url.lower().startswith("file:") or Path(url).exists():
        return url
    parts = urlsplit(url)
    if parts.netloc not in {"", "localhost"}:  # RFC 8089, section 2
        raise InvalidArgumentError(f"a file URL is about this machine, not about {parts.netloc[:100]!r}")
    return unquote(parts.path)
