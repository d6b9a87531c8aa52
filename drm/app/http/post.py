"""One bounded request of a license server over HTTP: time, size and place of the answer are limited. Application only.

The server is not trusted. A request ends within `Limits.total` seconds whatever the server does, also when it sends a
byte now and then, or when the name service hangs; it can be cancelled at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from drm.app.http.background import in_background
from drm.app.http.exchange import Answer, Failure, HttpClient, innermost
from drm.app.http.urls import shown_url, trusted
from drm.errors import InvalidArgumentError, LicenseError, LicenseMalformedError, LicenseServerUnreachableError
from drm.hresult import HResult
from drm.license.clearkey import FORMS_HEADER, MAX_MESSAGE

__all__ = ["USUAL_LIMITS", "HttpAnswer", "Limits", "ask_options", "post"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost. Seconds and bytes."""

    connect: float = 5.0
    gap: float = 10.0  # without a byte
    total: float = 30.0
    answer: int = MAX_MESSAGE


USUAL_LIMITS: Final = Limits()
_HINTS: Final = {  # what may be the cause, and what to do
    Failure.CERTIFICATE: (
        "",
        "give the file of its certificate authority with --cacert, or use http on this machine",
    ),
    Failure.SILENT: ("it is overloaded", ""),
    Failure.BROKEN: ("it is not running, or the host name or port is wrong", ""),
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A status and a body within limits. The body may hold keys: it is not shown."""

    status: int
    media_type: str  # lower case, without parameters
    body: bytes = field(repr=False)
    location: str = ""  # of a redirection, without query
    forms: frozenset[str] = frozenset()  # of license, that the server says it gives


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    cacert: str | None = None,
    cancel: threading.Event | None = None,
    limits: Limits = USUAL_LIMITS,
) -> HttpAnswer:
    """POST `body` and return the answer, whatever its status. Redirections are not followed.

    Args:
        url: http or https.
        body: sent as it is, as `application/json` unless `headers` say otherwise.
        headers: added to the request; they may hold a token and are never shown.
        cacert: a file of certificates to trust instead of the usual ones.
        cancel: ends the request when it is set.
        limits: see Limits.

    Raises:
        InvalidArgumentError: the URL, a header or `cacert` cannot be used.
        LicenseServerUnreachableError: no whole answer came.
        LicenseMalformedError: the answer is too large or compressed.
        LicenseError: cancelled.
    """
    usual = {"Content-Type": "application/json", "Accept": "application/jose, application/json"}
    return _asked(url, body, {**usual, **(headers or {})}, cacert, cancel, limits)


def ask_options(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    cacert: str | None = None,
    cancel: threading.Event | None = None,
    limits: Limits = USUAL_LIMITS,
) -> HttpAnswer:
    """Send OPTIONS, which asks for no key, and return the answer without its body. Arguments and errors as `post`."""
    return _asked(url, None, headers or {}, cacert, cancel, limits)


def _asked(
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    cacert: str | None,
    cancel: threading.Event | None,
    limits: Limits,
) -> HttpAnswer:
    """Send `body`, or OPTIONS without one."""
    _check_url(url)
    client = HttpClient(connect=limits.connect, gap=limits.gap, trust=trusted(cacert))
    where, ends = shown_url(url), time.monotonic() + limits.total

    def look() -> None:
        if cancel is not None and cancel.is_set():
            raise LicenseError(
                "the license request was cancelled", where=where, hresult=HResult.MF_E_OPERATION_CANCELLED
            )
        if time.monotonic() > ends:
            raise LicenseServerUnreachableError(
                f"the license server did not finish its answer within {limits.total:g} seconds", where=where
            )

    answers = _answers(client, url, body, headers, limits)
    with closing(in_background(answers, look, "clearkey-http")) as waiting:
        try:
            return next(waiting)
        finally:
            client.cut()


def _answers(
    client: HttpClient, url: str, body: bytes | None, headers: Mapping[str, str], limits: Limits
) -> Generator[HttpAnswer, None, None]:
    """Yield the one answer; in a thread of its own, since a blocked name look-up cannot be cut."""
    try:
        with closing(client.options(url, headers) if body is None else client.post(url, body, headers)) as answer:
            whole = HttpAnswer(
                answer.status,
                answer.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                b"" if body is None or answer.status // 100 == 3 else _bounded_body(answer, url, limits.answer),
                shown_url(answer.headers.get("Location", "")),
                frozenset(answer.headers.get(FORMS_HEADER, "").lower().replace(",", " ").split()),
            )
    except Exception as error:  # noqa: BLE001 - requests and urllib3 raise of many kinds
        raise _translated(error, client, url) from None
    finally:
        client.close()
    yield whole


def _bounded_body(answer: Answer, url: str, limit: int) -> bytes:
    if answer.compression:
        raise LicenseMalformedError(f"the license server compressed its answer ({answer.compression!r})")
    body = bytearray()
    for piece in answer.pieces():
        body += piece
        if len(body) > limit:
            raise LicenseMalformedError(
                f"the license server's answer is longer than {limit} bytes",
                where=shown_url(url),
                maybe="the URL is that of a media file or a page",
            )
    return bytes(body)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise InvalidArgumentError("the license URL cannot be read", remedy="give it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise InvalidArgumentError(
            f"the license URL is not one of http or https: {shown_url(url)}", remedy="give it as https://host/path"
        )


def _translated(error: Exception, client: HttpClient, url: str) -> Exception:
    """Return what the caller is told."""
    kind, what = client.failure(error, "the license server")
    where = shown_url(url)
    if isinstance(error, LicenseError):
        error.where = error.where or where
    if kind is Failure.UNKNOWN:
        return error
    if kind is Failure.HEADER:
        return InvalidArgumentError(what)
    if kind is Failure.URL:
        return InvalidArgumentError("the license URL cannot be used", where=where)
    maybe, remedy = _HINTS.get(kind, ("", ""))
    seen = innermost(error) if kind in {Failure.CERTIFICATE, Failure.BROKEN} else ""
    return LicenseServerUnreachableError(what, where=where, seen=seen, maybe=maybe, remedy=remedy)
