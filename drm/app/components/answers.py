"""What an answer of a component repository must be, and what its failure is called. Application only."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import requests
import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError

from drm.app.components.fetch_errors import FetchRefusedError, FetchTruncatedError, FetchUnreachableError
from drm.app.http.post import innermost
from drm.app.http.urls import shown_url

__all__ = ["Body", "checked", "date_of", "translated", "was_cut", "was_not_reached"]

_READ: Final = 64 << 10  # bytes asked of the socket at once
_SMALL: Final = 8 << 10  # bytes of a refusal
_DATE: Final = 29  # characters of an IMF-fixdate (RFC 9110, section 5.6.7)


class Body:
    """The bytes of an answer whose head was taken."""

    def __init__(self, response: requests.Response, announced: int | None) -> None:
        self.announced = announced
        self.got = 0
        self._raw = response.raw

    def pieces(self) -> Iterator[bytes]:
        """Yield what comes, when it comes. Raises what urllib3 raises."""
        read = getattr(self._raw, "read1", None)  # of urllib3 2: what is there, instead of waiting for all of it
        while data := read(_READ) if read is not None else self._raw.read(8192):
            self.got += len(data)
            yield data
        if self.announced is not None and self.got != self.announced:
            raise urllib3.exceptions.IncompleteRead(self.got, self.announced - self.got)


def checked(response: requests.Response, url: str, maximum: int | None) -> Body:
    """Return the body of an answer that may be read.

    Raises:
        DownloadHTTPError: it is no success; FetchRefusedError: it is a redirect, or compressed.
        DownloadLengthMismatchError: it announces more than `maximum` bytes.
    """
    where, status = shown_url(url), response.status_code
    if status // 100 == 3:  # TUF's mirrors are named by whoever starts the client, and by nobody else
        to = shown_url(response.headers.get("Location", ""))[:256]
        raise FetchRefusedError(f"the server redirects {where} to {to!r}; redirects are not followed")
    length = response.headers.get("Content-Length", "")
    announced = int(length) if re.fullmatch(r"[0-9]{1,18}", length) and not response.raw.chunked else None
    if status != requests.codes.ok:
        if announced is not None and announced <= _SMALL:
            with contextlib.suppress(Exception):  # the connection serves the next request: a 404 is part of each update
                response.raw.read(announced)
        raise DownloadHTTPError(f"the server answers HTTP {status} for {where}{_when_again(response)}", status)
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding != "identity":  # a few bytes could become anything, and lengths would count what nobody has
        raise FetchRefusedError(f"the server compressed {where} ({coding[:32]!r}), though it was asked not to")
    if announced is not None and maximum is not None and announced > maximum:
        raise DownloadLengthMismatchError(f"{where} has {announced} bytes, and {maximum} is the most")
    return Body(response, announced)


def date_of(response: requests.Response) -> datetime | None:
    """Return the server's time, where it says."""
    try:
        said = parsedate_to_datetime(response.headers.get("Date", "")[:_DATE])
    except (ValueError, OverflowError):
        return None
    return said if said.tzinfo is not None else said.replace(tzinfo=UTC)


def was_not_reached(error: requests.RequestException) -> bool:
    """Whether there was no connection, so that nothing was asked yet."""
    reason = getattr(error.args[0] if error.args else None, "reason", None)
    kinds = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
    return isinstance(reason, kinds)


def was_cut(error: requests.ConnectionError) -> bool:
    """Whether there was a connection, and it ended before the answer."""
    return bool(error.args) and isinstance(error.args[0], urllib3.exceptions.ProtocolError)


def translated(error: Exception, url: str, body: Body | None, connect: float, gap: float) -> DownloadError:
    """Return what went wrong, of the one family. requests' own messages hold whole URLs and nested representations."""
    where, seen = shown_url(url), innermost(error)
    if isinstance(error, DownloadError):
        return error
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return FetchUnreachableError(f"the server was not reached within {connect:g} seconds: {where}")
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)) or "timed out" in seen:
        return SlowRetrievalError(f"the server sent nothing for {gap:g} seconds: {where}")
    if body is not None:
        of = "" if body.announced is None else f" of {body.announced}"
        return FetchTruncatedError(f"{where} ends early, after {body.got}{of} bytes ({seen})")
    if isinstance(error, requests.exceptions.SSLError):
        return FetchUnreachableError(f"no trusted connection to the server ({seen}): {where}")
    if isinstance(error, ValueError):  # as those of requests about URLs and proxies are
        return FetchRefusedError(f"the URL, or that of a proxy, cannot be used: {where}")
    return FetchUnreachableError(f"the server cannot be reached, or broke off ({seen}): {where}")


def _when_again(response: requests.Response) -> str:
    """RFC 9110, section 10.2.3, as words: an updater that slept here would hold whoever waits for it."""
    said = response.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return f", and wants to be asked again in {int(said)} seconds"
    try:
        return f", and wants to be asked again after {parsedate_to_datetime(said[:_DATE]):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return ""
