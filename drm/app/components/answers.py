"""What an answer of a component repository must be, and what its failure is called. Application only."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import requests
import urllib3
from tuf.api.exceptions import DownloadError, DownloadHTTPError, DownloadLengthMismatchError, SlowRetrievalError

from drm.app.components.fetch_errors import FetchRefusedError, FetchTruncatedError, FetchUnreachableError
from drm.app.http.exchange import Answer, Failure, HttpClient, innermost
from drm.app.http.urls import shown_url

__all__ = ["check", "date_of", "translated", "was_cut", "was_not_reached"]

_DATE: Final = 29  # characters of an IMF-fixdate (RFC 9110, section 5.6.7)


def check(answer: Answer, url: str, maximum: int | None) -> None:
    """Refuse an answer whose body may not be read.

    Raises:
        DownloadHTTPError: it is no success; FetchRefusedError: it is a redirect, or compressed.
        DownloadLengthMismatchError: it announces more than `maximum` bytes.
    """
    where, status, announced = shown_url(url), answer.status, answer.announced
    if status // 100 == 3:  # TUF's mirrors are named by whoever starts the client, and by nobody else
        to = shown_url(answer.headers.get("Location", ""))[:256]
        raise FetchRefusedError(f"the server redirects {where} to {to!r}; redirects are not followed")
    if status != requests.codes.ok:
        answer.finish()  # a 404 is part of each update
        raise DownloadHTTPError(f"the server answers HTTP {status} for {where}{_when_again(answer)}", status)
    if answer.compression:  # a few bytes could become anything, and lengths would count what nobody has
        raise FetchRefusedError(f"the server compressed {where} ({answer.compression!r}), though it was asked not to")
    if announced is not None and maximum is not None and announced > maximum:
        raise DownloadLengthMismatchError(f"{where} has {announced} bytes, and {maximum} is the most")


def date_of(answer: Answer) -> datetime | None:
    """Return the server's time, where it says."""
    try:
        said = parsedate_to_datetime(answer.headers.get("Date", "")[:_DATE])
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


def translated(error: Exception, client: HttpClient, url: str, answer: Answer | None) -> DownloadError:
    """Return what went wrong, of the one family. `answer`: the one that was being read."""
    where, seen = shown_url(url), innermost(error)
    kind, what = client.failure(error)
    if isinstance(error, DownloadError):
        return error
    if kind is Failure.NOT_REACHED:
        return FetchUnreachableError(f"{what}: {where}")
    if kind is Failure.SILENT:
        return SlowRetrievalError(f"{what}: {where}")
    if answer is not None:
        of = "" if answer.announced is None else f" of {answer.announced}"
        return FetchTruncatedError(f"{where} ends early, after {answer.got}{of} bytes ({seen})")
    if kind is Failure.CERTIFICATE:
        return FetchUnreachableError(f"no trusted connection to the server ({seen}): {where}")
    if isinstance(error, ValueError):  # as those of requests about URLs and proxies are
        return FetchRefusedError(f"the URL, or that of a proxy, cannot be used: {where}")
    return FetchUnreachableError(f"the server cannot be reached, or broke off ({seen}): {where}")


def _when_again(answer: Answer) -> str:
    """RFC 9110, section 10.2.3, as words: an updater that slept here would hold whoever waits for it."""
    said = answer.headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", said):
        return f", and wants to be asked again in {int(said)} seconds"
    try:
        return f", and wants to be asked again after {parsedate_to_datetime(said[:_DATE]):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError):
        return ""
