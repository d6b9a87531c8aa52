"""One request over HTTP and its answer, however the server behaves: what licenses, components and media have in common.

The server is not trusted. Every wait has a limit, any thread can cut, an answer is read as it comes and never
uncompressed, and what was given for one origin is not sent to another. Whoever asks limits the whole, and names the
failure: `HttpClient.failure` tells the kinds apart, for messages of requests hold whole URLs. Application only.
"""

from __future__ import annotations

import contextlib
import enum
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Final
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from drm.app.http.connections import InterruptibleAdapter
from drm.app.http.urls import is_loopback

__all__ = ["Answer", "Failure", "HttpClient", "LeftTlsError", "innermost"]

_READ: Final = 64 << 10  # bytes asked of the socket at once
_SMALL: Final = 8 << 10  # bytes
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_TOO_SLOW: Final = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
_HEADER: Final = (requests.exceptions.InvalidHeader, UnicodeError)
_URL: Final = (requests.exceptions.InvalidURL, requests.exceptions.InvalidProxyURL)
_NETWORK: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class LeftTlsError(Exception):
    """A redirect leads from https to http; it is not followed. The argument is its target."""


class Failure(enum.Enum):
    """Why there is no whole answer."""

    LATE = enum.auto()
    NOT_REACHED = enum.auto()
    SILENT = enum.auto()
    CERTIFICATE = enum.auto()
    REDIRECTS = enum.auto()
    HEADER = enum.auto()
    URL = enum.auto()
    BROKEN = enum.auto()  # not reached, or broken off
    UNKNOWN = enum.auto()  # nothing of the network


class HttpClient:
    """Asks servers, over connections that are used again. One thread asks and reads; any may `cut`.

    A name and a password come from the URL or from nowhere (~/.netrc would replace a header that was given), and
    cookies live no longer than a row of redirects.
    """

    def __init__(
        self,
        *,
        connect: float,
        gap: float,
        head: float = 0.0,
        trust: str | bool = True,
        redirects: int = 0,
        allowed: Callable[[str], None] | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            connect: seconds, for each address of the server.
            gap: seconds without a byte.
            head: seconds until the head of an answer is there, redirects included; 0: no such limit.
            trust: what `drm.app.http.urls.trusted` returns.
            redirects: how many a GET follows, with what is for its origin alone as far as that; 0: they are answers.
            allowed: given the address of each server that is connected to without a proxy; what it raises comes out.
        """
        self._waits, self._head, self._trust, self._redirects = (connect, gap), head, trust, redirects
        self._was_late = self._is_worn = self._is_closed = False
        self._adapter = InterruptibleAdapter(allowed)
        self._session = _Session()
        if not redirects:
            self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def get(self, url: str, headers: Mapping[str, str], private: Mapping[str, str] | None = None) -> Answer:
        """Ask for `url`, and read the head of the answer. Raises what requests raises.

        `private` headers may hold a token: they go to the origin of `url` alone.
        """
        return self._ask("GET", url, headers, private or {}, None)

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body` to `url`, and read the head of the answer. Raises what requests raises."""
        return self._ask("POST", url, headers, {}, body)

    def options(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask what may be done with `url` (RFC 9110, section 9.3.7). Raises what requests raises."""
        return self._ask("OPTIONS", url, headers, {}, None)

    def _ask(
        self, method: str, url: str, headers: Mapping[str, str], private: Mapping[str, str], body: bytes | None
    ) -> Answer:
        watch = threading.Timer(self._head, self._late) if self._head else None
        if watch is not None:
            watch.daemon = True
            watch.start()
        try:
            user, password = requests.utils.get_auth_from_url(url)
            if user or password:
                private = {**urllib3.make_headers(basic_auth=f"{user}:{password}"), **private}
            # Not by requests, which reads the body of each redirect to its end, and takes all headers along.
            for _ in range(self._redirects + 1):
                answer = self._send(method, url, {**private, **headers}, body)
                target = answer.target if self._redirects and method == "GET" else None
                if target is None:
                    return answer
                answer.finish()
                if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                    raise LeftTlsError(target)
                if self._session.should_strip_auth(url, target):  # type: ignore[no-untyped-call]
                    private = {}
                url = target
            raise requests.TooManyRedirects
        finally:
            if watch is not None:
                watch.cancel()

    def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        # A proxy has no business between two processes of one machine; elsewhere the user's environment counts.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")
        response = self._session.request(
            method,
            url,
            data=body,
            headers={**headers, "Accept-Encoding": "identity"},  # compressed, a few bytes could become anything
            timeout=self._waits,
            auth=lambda request: request,  # or requests would look into ~/.netrc
            allow_redirects=False,
            stream=True,
            verify=self._trust,
        )
        self._is_worn = True
        return Answer(response)

    def _late(self) -> None:
        self._was_late = True
        self.cut()

    def renew(self) -> bool:
        """Whether what was cut may have been an old connection, closed by the server as we asked (RFC 9112, 9.3.1).

        Then there are none any more, and it may be asked again.
        """
        was_worn, self._is_worn = self._is_worn, False
        self._session.close()
        return was_worn and not self._is_closed

    def cut(self) -> None:
        """End what waits in here, from any thread; what is asked or read afterwards fails."""
        self._adapter.interrupt()

    def close(self) -> None:
        """Cut what is open, and give it back. From any thread."""
        self._is_closed = True
        self.cut()
        self._session.close()

    def failure(self, error: Exception, server: str = "the server") -> tuple[Failure, str]:
        """Of what kind an error is that asking or reading raised, and what is to be said of `server`."""
        connect, gap = self._waits
        if self._was_late:
            return Failure.LATE, f"{server} did not answer within {self._head:g} seconds"
        for kind, errors, what in (
            (Failure.NOT_REACHED, requests.ConnectTimeout, f"{server} was not reached within {connect:g} seconds"),
            (Failure.SILENT, _TOO_SLOW, f"{server} sent nothing for {gap:g} seconds"),
            (Failure.CERTIFICATE, requests.exceptions.SSLError, f"{server}'s certificate is not trusted"),
            (Failure.REDIRECTS, requests.TooManyRedirects, f"{server} redirects more than {self._redirects} times"),
            (Failure.HEADER, _HEADER, "a request header cannot be sent: its name or value is not one line of latin-1"),
            (Failure.URL, _URL, "the URL cannot be used"),
            (Failure.BROKEN, _NETWORK, f"{server} cannot be reached, or broke off"),
        ):
            if isinstance(error, errors) or (kind is Failure.SILENT and "timed out" in innermost(error)):
                return kind, what
        return Failure.UNKNOWN, ""


class Answer:
    """The head of an answer, and its body as it comes. The server wrote all of it."""

    def __init__(self, response: requests.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = response.headers
        self.url = response.url
        coding = response.headers.get("Content-Encoding", "identity").strip().lower()  # RFC 9110, section 8.4
        self.compression = "" if coding == "identity" else coding[:32]  # it was asked for none
        length = response.headers.get("Content-Length", "")
        self.announced = int(length) if re.fullmatch(r"[0-9]{1,18}", length) and not response.raw.chunked else None
        self.got = 0  # bytes of the body so far

    def some(self, size: int = _READ) -> bytes:
        """Return what is there of the body, up to `size` bytes, and b"" at its end. Raises what urllib3 raises."""
        raw = self._response.raw
        read = getattr(raw, "read1", None)  # of urllib3 2: what is there, instead of waiting for all of it
        data: bytes = read(size) if read is not None else raw.read(min(size, 8192))
        self.got += len(data)
        return data

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises what urllib3 raises, also when less comes than was announced."""
        while data := self.some():
            yield data
        if self.announced is not None and self.got != self.announced:
            raise urllib3.exceptions.IncompleteRead(self.got, self.announced - self.got)

    @property
    def target(self) -> str | None:
        """Where it leads, if it is a redirect (RFC 9110, section 15.4)."""
        location = self.headers.get("Location") if self.status in _REDIRECTS else None
        if location is None:
            return None
        return urljoin(self.url, requests.utils.requote_uri(location.encode("latin-1").decode(errors="replace")))

    def finish(self) -> None:
        """Read a short body that nobody wants, so that the connection serves again."""
        if self.announced is not None and self.announced <= _SMALL:
            with contextlib.suppress(Exception):
                for _ in self.pieces():
                    pass
        self.close()

    def close(self) -> None:
        """Give the connection back, or up."""
        self._response.close()


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects to the client, and their bodies unread."""


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
