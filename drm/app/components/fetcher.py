"""python-tuf's way to the network: bounded GETs from a component repository. Application only.

The server is not trusted, nor is anything between: python-tuf verifies what comes, this file sees to it that it ends.
The fetchers that come with python-tuf know a limit between two bytes alone, so a server that sends one now and then
holds an update for as long as it likes; and some of their errors are outside of DownloadError.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Final, Self

import requests
from tuf.api.exceptions import DownloadLengthMismatchError, SlowRetrievalError
from tuf.ngclient.fetcher import FetcherInterface

from drm.app.components.answers import check, date_of, translated, was_cut, was_not_reached
from drm.app.components.fetch_errors import (
    FetchCancelledError,
    FetchRefusedError,
    FetchTruncatedError,
    FetchUnreachableError,
)
from drm.app.http.background import in_background
from drm.app.http.exchange import Answer, HttpClient
from drm.app.http.urls import shown_url, trusted

__all__ = [
    "USUAL_FETCH", "ComponentFetcher", "FetchCancelledError", "FetchLimits", "FetchRefusedError", "FetchTruncatedError",
    "FetchUnreachableError",
]  # fmt: skip

_PAUSES: Final = (0.1, 0.4, None)  # seconds after each try that may do better a moment later; None: the last
_ACCEPT: Final = {"Accept": "*/*"}
_BUSY: Final = frozenset({502, 503, 504})  # a proxy or a server that is being restarted


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What one file may cost."""

    connect: float = 5.0  # seconds, for each address of the server
    gap: float = 10.0  # seconds without a byte
    total: float = 300.0  # seconds for the whole file, look-up and further tries included
    rate: float = 1000.0  # bytes a second, on the average since the body began
    settle: float = 5.0  # seconds before the rate counts


USUAL_FETCH: Final = FetchLimits()


class ComponentFetcher(FetcherInterface):
    """Fetches for one `tuf.ngclient.Updater` at a time, over connections that are used again.

    Whatever a server does, a fetch raises a DownloadError or ends. `requests` counts the GETs so far, `server_date` is
    what the newest answer said of the time (RFC 9110, section 6.6.1): not verified, a hint about a wrong clock.
    """

    def __init__(
        self,
        scratch: Path,
        *,
        limits: FetchLimits = USUAL_FETCH,
        cancel: threading.Event | None = None,
        progress: Callable[[str, int, int | None], None] | None = None,
        cacert: str | None = None,
    ) -> None:
        """Fetch into files in `scratch`.

        Args:
            scratch: a folder on the file system where the files are wanted: the system's own for temporary files may be
                another one, and full.
            limits: see FetchLimits.
            cancel: ends a fetch when it is set, and each later one at once.
            progress: called with URL, bytes so far, and bytes in all where the server says.
            cacert: a file of certificates to trust instead of the usual ones.

        Raises:
            InvalidArgumentError: `cacert` cannot be read.
        """
        self.requests = 0
        self.server_date: datetime | None = None
        self._scratch = scratch
        self._limits = limits
        self._cancel = cancel or threading.Event()
        self._progress = progress or (lambda _url, _got, _total: None)
        self._trust = trusted(cacert)
        self._client: HttpClient | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections. A later fetch opens new ones."""
        held, self._client = self._client, None
        if held is not None:
            held.close()

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Fetch a file of at most `max_length` bytes, and hold it, without a name, while the `with` block runs.

        Raises:
            DownloadError: the file could not be had; see drm.app.components.fetch_errors for the kinds.
            OSError: `scratch` cannot hold it; ENOSPC when there is no room.
        """
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            with closing(self._pieces(url, max_length)) as pieces:
                for data in pieces:
                    file.write(data)
            file.seek(0)
            yield file

    def _fetch(self, url: str) -> Iterator[bytes]:
        return self._pieces(url, None)

    # ------------------------------------------------------------------ the taker's thread

    def _pieces(self, url: str, maximum: int | None) -> Generator[bytes, None, None]:
        """Yield the file's bytes as they come, and raise as soon as it is too long, too slow or not wanted any more."""
        where, total = shown_url(url), None
        watch = _Watch(self._limits, self._cancel, where)
        watch.look()
        limits = self._limits
        client = self._client = self._client or HttpClient(connect=limits.connect, gap=limits.gap, trust=self._trust)
        ended = threading.Event()
        received = self._received(client, ended, url, maximum)
        try:
            with closing(in_background(received, watch.look, "clearkey-beside")) as pieces:
                for piece in pieces:
                    if isinstance(piece, Answer):
                        watch.body_begins()
                        total = piece.announced
                    elif piece:
                        watch.got += len(piece)
                        if maximum is not None and watch.got > maximum:
                            raise DownloadLengthMismatchError(f"{where} is longer than its {maximum} bytes")
                        self._progress(url, watch.got, total)
                        yield piece
        finally:
            if not ended.is_set():  # what still waits there waits for nobody
                self.close()

    # ------------------------------------------------------------------ the thread beside

    def _received(
        self, client: HttpClient, ended: threading.Event, url: str, maximum: int | None
    ) -> Generator[Answer | bytes, None, None]:
        """Yield the answer, then its bytes; b"" between two tries. `ended` is set when nothing waits here any more."""
        read: Answer | None = None
        try:
            # Not with urllib3's Retry: it reads the body of each 503 to its end, which need not come, and sleeps
            # through a cancellation. A read that failed is not tried again: the next would wait as long.
            for pause in _PAUSES:
                try:
                    answer = self._get(client, url)
                except requests.RequestException as error:
                    if pause is None or not was_not_reached(error):
                        raise
                else:
                    if pause is None or answer.status not in _BUSY:
                        break
                    answer.close()
                time.sleep(pause)
                yield b""
            with closing(answer):
                check(answer, url, maximum)
                read = answer
                yield answer
                yield from answer.pieces()
        except Exception as error:  # noqa: BLE001 - requests and urllib3 raise of many kinds, and some are OSErrors
            raise translated(error, client, url, read) from None
        finally:
            ended.set()

    def _get(self, client: HttpClient, url: str) -> Answer:
        self.requests += 1
        try:
            answer = client.get(url, _ACCEPT)
        except requests.ConnectionError as error:
            if not was_cut(error) or not client.renew():
                raise
            self.requests += 1
            answer = client.get(url, _ACCEPT)
        self.server_date = date_of(answer)
        return answer


class _Watch:
    """The clock of one file."""

    def __init__(self, limits: FetchLimits, cancel: threading.Event, where: str) -> None:
        self.got = 0  # bytes
        self._limits, self._cancel, self._where = limits, cancel, where
        self._ends = time.monotonic() + limits.total
        self._body_began: float | None = None

    def body_begins(self) -> None:
        self._body_began = time.monotonic()

    def look(self) -> None:
        """Raise FetchCancelledError or SlowRetrievalError if it is time to."""
        now, limits = time.monotonic(), self._limits
        if self._cancel.is_set():
            raise FetchCancelledError(f"the download of {self._where} was cancelled")
        if now > self._ends:
            raise SlowRetrievalError(
                f"{self._where} was not there within {limits.total:g} seconds: {self.got} bytes came"
            )
        if self._body_began is not None:
            spent = now - self._body_began
            if spent > limits.settle and self.got < limits.rate * spent:
                raise SlowRetrievalError(
                    f"{self._where} comes too slowly: {self.got} bytes in {spent:.1f} seconds; "
                    f"{limits.rate:g} bytes a second is the least"
                )
