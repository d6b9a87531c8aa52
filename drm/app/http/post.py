"""One bounded POST over HTTP: time, size and place of the answer are limited. Application only.

The server is not trusted. A request ends within `Limits.total` seconds whatever the server does, also when it sends a
byte now and then, or when the name service hangs; it can be cancelled at any moment.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, urlsplit

import requests
import urllib3

from drm.app.http.connections import InterruptibleAdapter
from drm.app.http.urls import is_loopback, shown_url, trusted
from drm.errors import InvalidArgumentError, LicenseError, LicenseMalformedError, LicenseServerUnreachableError
from drm.hresult import HResult
from drm.license.clearkey import MAX_MESSAGE

__all__ = ["USUAL_LIMITS", "HttpAnswer", "Limits", "innermost", "post"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may cost. Seconds and bytes."""

    connect: float = 5.0
    gap: float = 10.0  # without a byte
    total: float = 30.0
    answer: int = MAX_MESSAGE


USUAL_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A status and a body within limits. The body may hold keys: it is not shown."""

    status: int
    media_type: str  # lower case, without parameters
    body: bytes = field(repr=False)
    location: str = ""  # of a redirection, without query


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
    parts = _checked_url(url)
    attempt = _Attempt(url, body, headers or {}, trusted(cacert), limits, local=is_loopback(parts.hostname or ""))
    worker = threading.Thread(target=attempt.run, name="clearkey-http", daemon=True)
    worker.start()
    ends = time.monotonic() + limits.total
    while not attempt.done.wait(0.05):
        if cancel is not None and cancel.is_set():
            attempt.interrupt()
            raise LicenseError(
                "the license request was cancelled", where=shown_url(url), hresult=HResult.MF_E_OPERATION_CANCELLED
            )
        if time.monotonic() > ends:
            attempt.interrupt()
            raise LicenseServerUnreachableError(
                f"the license server did not finish its answer within {limits.total:g} seconds", where=shown_url(url)
            )
    return attempt.result()


class _Attempt:
    """One request in a thread of its own: a blocked name look-up or read cannot hold the caller."""

    def __init__(
        self, url: str, body: bytes, headers: Mapping[str, str], trust: str | bool, limits: Limits, *, local: bool
    ) -> None:
        self.done = threading.Event()
        self._url, self._body, self._limits, self._trust = url, body, limits, trust
        # Compression would let 64 KiB of answer become anything.
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "application/jose, application/json",
            "Accept-Encoding": "identity",
            **headers,
        }
        self._adapter = InterruptibleAdapter()
        self._local = local
        self._answer: HttpAnswer | None = None
        self._error: Exception | None = None

    def interrupt(self) -> None:
        """Close what is open, so that the thread ends."""
        self._adapter.interrupt()

    def result(self) -> HttpAnswer:
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer

    def run(self) -> None:
        try:
            self._answer = self._exchange()
        except Exception as error:  # noqa: BLE001 - carried to the caller's thread, all of it
            self._error = _translated(error, self._url, self._limits)
        finally:
            self.done.set()

    def _exchange(self) -> HttpAnswer:
        with requests.Session() as session:
            session.trust_env = not self._local  # a proxy has no business between two processes of one machine
            session.mount("http://", self._adapter)
            session.mount("https://", self._adapter)
            with session.post(
                self._url,
                data=self._body,
                headers=self._headers,
                timeout=(self._limits.connect, self._limits.gap),
                auth=lambda request: request,  # or a ~/.netrc would replace the Authorization header that was given
                allow_redirects=False,
                stream=True,
                verify=self._trust,
            ) as response:
                return HttpAnswer(
                    response.status_code,
                    response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                    self._bounded_body(response),
                    shown_url(response.headers.get("Location", "")),
                )

    def _bounded_body(self, response: requests.Response) -> bytes:
        coding = response.headers.get("Content-Encoding", "identity").lower()
        if coding != "identity":
            raise LicenseMalformedError(f"the license server compressed its answer ({coding[:32]!r})")
        body = bytearray()
        while chunk := response.raw.read(min(8192, self._limits.answer + 1 - len(body))):
            body += chunk
            if len(body) > self._limits.answer:
                raise LicenseMalformedError(
                    f"the license server's answer is longer than {self._limits.answer} bytes",
                    where=shown_url(self._url),
                    maybe="the URL is that of a media file or a page",
                )
        return bytes(body)


def _checked_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise InvalidArgumentError("the license URL cannot be read", remedy="give it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise InvalidArgumentError(
            f"the license URL is not one of http or https: {shown_url(url)}", remedy="give it as https://host/path"
        )
    return parts


_TOO_SLOW: Final = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)


def _translated(error: Exception, url: str, limits: Limits) -> Exception:
    """Return what the caller is told: requests' own messages hold whole URLs and nested representations."""
    where = shown_url(url)
    if isinstance(error, LicenseError):
        error.where = error.where or where
        return error
    if isinstance(error, requests.exceptions.SSLError):
        return LicenseServerUnreachableError(
            "the license server's certificate is not trusted",
            where=where,
            seen=innermost(error),
            remedy="give the file of its certificate authority with --cacert, or use http on this machine",
        )
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return LicenseServerUnreachableError(
            f"the license server was not reached within {limits.connect:g} seconds", where=where
        )
    if isinstance(error, _TOO_SLOW) or "timed out" in innermost(error):
        return LicenseServerUnreachableError(
            f"the license server sent nothing for {limits.gap:g} seconds", where=where, maybe="it is overloaded"
        )
    if isinstance(error, (requests.exceptions.InvalidHeader, UnicodeError)):
        return InvalidArgumentError("a request header cannot be sent: its name or value is not one line of latin-1")
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidProxyURL)):
        return InvalidArgumentError("the license URL cannot be used", where=where)
    if isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError, OSError)):
        return LicenseServerUnreachableError(
            "the license server cannot be reached, or broke off",
            where=where,
            seen=innermost(error),
            maybe="it is not running, or the host name or port is wrong",
        )
    return error


def innermost(error: BaseException) -> str:
    """Return the reason at the bottom: "Connection refused", "Name or service not known"."""
    found, seen = error, {id(error)}
    while True:
        inside = [found.__cause__, getattr(found, "reason", None), *found.args, found.__context__]
        deeper = next((e for e in inside if isinstance(e, BaseException) and id(e) not in seen), None)
        if deeper is None:
            break
        seen.add(id(deeper))
        found = deeper
    if isinstance(found, urllib3.exceptions.IncompleteRead):
        return "the answer ends early"
    if isinstance(found, OSError) and found.strerror:
        return found.strerror
    return type(found).__name__
