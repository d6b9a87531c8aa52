"""Fetches what a manifest names: bounded in size and time, tried again where that can help, cut from any thread.

Each thread that fetches has connections of its own. Media are asked for as they are; a manifest may come in gzip, which
is inflated within its limit.
"""

from __future__ import annotations

import random
import threading
import zlib
from typing import Final

from drm.app.http.exchange import Answer, Failure, HttpClient, LeftTlsError, innermost
from drm.app.http.urls import shown_url, trusted
from drm.app.streaming.resource import AddressGuard, Origin, Permissions, manifest_url
from drm.errors import (
    DRMError,
    InvalidArgumentError,
    MediaError,
    MediaUnreachableError,
    SegmentMissingError,
    UnsupportedMediaError,
)
from drm.session.session_source import cancelled
from drm.streaming.presentation import Piece

__all__ = ["MAX_INITIALIZATION", "MAX_MANIFEST", "MAX_SEGMENT", "SegmentFetcher"]

MAX_MANIFEST: Final = 16 << 20
MAX_INITIALIZATION: Final = 1 << 20
MAX_SEGMENT: Final = 64 << 20
_CONNECT, _GAP, _HEAD = 5.0, 10.0, 20.0  # seconds
_REDIRECTS: Final = 5
_WAITS: Final = (0.3, 0.6, 1.2)  # seconds before each further try
_LONGEST_WAIT: Final = 10.0  # that a server may ask for
_AGAIN: Final = frozenset({408, 429, *range(500, 600)})
_GONE: Final = frozenset({404, 410})


class _BrokeOffError(MediaUnreachableError):
    """Another try may bring it. `wait`: seconds that the server asks for."""

    wait: float = 0.0


class SegmentFetcher:
    """One manifest, and what it names."""

    def __init__(self, manifest: str, permissions: Permissions | None = None) -> None:
        """`manifest`: a path or a URL. Raises InvalidArgumentError: the file of CA certificates cannot be read."""
        self._permissions = permissions or Permissions()
        self.url = manifest_url(manifest)  # behind redirects, once it was fetched
        self._origin = Origin(self.url, self._permissions)
        self._trust = trusted(self._permissions.cacert)
        self._guard = None if self._permissions.private else AddressGuard()
        self._own = threading.local()
        self._changing = threading.Lock()
        self._clients: list[HttpClient] = []
        self._closed = threading.Event()
        self.requests = 0
        self.retries = 0

    def manifest(self, url: str = "") -> tuple[bytes, str]:
        """The bytes of a manifest and its URL behind redirects; without `url`, of the one that was given.

        Raises:
            MediaUnreachableError: it does not come.
            MediaError: it is too large.
        """
        data, found = self._fetched(url or self.url, 0, None, MAX_MANIFEST, is_manifest=True)
        if not url:
            self.url = found
        return data, found

    def fetch(self, piece: Piece, limit: int = MAX_SEGMENT) -> bytes:
        """The bytes of a piece, from the first of its places that has them.

        Raises:
            SegmentMissingError: nobody has it.
            MediaUnreachableError: it does not come, or the manifest may not lead there.
            UnsupportedMediaError: it is larger than what is read.
            InvalidRequestError: `close` came.
        """
        for number, uri in enumerate(piece.uris, 1):
            try:
                return self._fetched(uri, piece.start, piece.size, limit)[0]
            except MediaUnreachableError:
                if number == len(piece.uris):
                    raise
        raise SegmentMissingError("the manifest names no place for a segment")

    def close(self) -> None:
        """Cut what is open; nothing is fetched any more. From any thread."""
        self._closed.set()
        with self._changing:
            for client in self._clients:
                client.close()

    # ------------------------------------------------------------------ one place

    def _fetched(
        self, url: str, start: int, size: int | None, limit: int, *, is_manifest: bool = False
    ) -> tuple[bytes, str]:
        if size is not None and size > limit:
            raise _too_large(url, limit)
        path = self._origin.local_path(url)
        if path is not None:
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    data = file.read(limit + 1 if size is None else size)
            except OSError as error:
                if is_manifest and url == self.url:
                    raise InvalidArgumentError(
                        f"the manifest cannot be opened: {error.strerror}", where=str(path)
                    ) from None
                raise SegmentMissingError(
                    f"what the manifest names cannot be read: {error.strerror}", where=str(path)
                ) from None
            return self._whole(data, url, size, limit), url
        for wait in (*_WAITS, None):
            try:
                return self._asked(url, start, size, limit, is_manifest=is_manifest)
            except _BrokeOffError as error:
                if wait is None or self._closed.is_set():
                    raise
                self.retries += 1
                self._closed.wait(max(wait, error.wait) + random.uniform(0, wait / 4))  # noqa: S311 - no secret
                if self._closed.is_set():
                    raise cancelled() from None
        raise AssertionError("the last try returns or raises")

    def _asked(self, url: str, start: int, size: int | None, limit: int, *, is_manifest: bool) -> tuple[bytes, str]:
        client = self._client()
        headers = {}
        if start or size is not None:
            headers["Range"] = f"bytes={start}-{'' if size is None else start + size - 1}"
        self.requests += 1
        try:
            answer = client.get(url, headers, self._origin.headers_for(url))
            try:
                _check_status(answer)
                skip = (
                    start if answer.status == 200 else 0
                )  # the server gives no parts: what was not asked for is cut off
                data = self._body(answer, skip, size, limit, is_manifest=is_manifest)
            finally:
                answer.close()
        except LeftTlsError as error:
            raise MediaUnreachableError("the server leads from https to http", where=shown_url(str(error))) from None
        except DRMError:
            raise
        except Exception as error:  # noqa: BLE001 - requests and urllib3 raise of many kinds
            raise self._translated(client, url, error) from None
        return data, answer.url

    def _body(self, answer: Answer, skip: int, size: int | None, limit: int, *, is_manifest: bool) -> bytes:
        inflate = None
        if answer.compression:
            if not is_manifest or answer.compression not in {"gzip", "x-gzip"}:
                raise MediaUnreachableError(
                    f"the server compressed it ({answer.compression!r}), though it was asked not to",
                    where=shown_url(answer.url),
                    remedy="let the server send media files as they are",
                )
            inflate = zlib.decompressobj(wbits=31)
        data = bytearray()
        enough = skip + (limit + 1 if size is None else size)
        for piece in answer.pieces():
            try:
                data += piece if inflate is None else inflate.decompress(piece, enough - len(data))
            except zlib.error:
                raise MediaUnreachableError(
                    "what the server compressed is damaged", where=shown_url(answer.url)
                ) from None
            if len(data) >= enough:
                break
        return self._whole(bytes(data[skip:enough]), answer.url, size, limit)

    @staticmethod
    def _whole(data: bytes, url: str, size: int | None, limit: int) -> bytes:
        if size is None and len(data) > limit:
            raise _too_large(url, limit)
        if size is not None and len(data) != size:
            raise MediaUnreachableError(
                "the resource ends inside the range that the manifest names",
                where=shown_url(url),
                seen=f"{len(data)} of {size} bytes",
            )
        return data

    def _client(self) -> HttpClient:
        if self._closed.is_set():
            raise cancelled()
        client: HttpClient | None = getattr(self._own, "client", None)
        if client is None:
            client = self._own.client = HttpClient(
                connect=_CONNECT, gap=_GAP, head=_HEAD, trust=self._trust, redirects=_REDIRECTS, allowed=self._guard
            )
            with self._changing:
                self._clients.append(client)
            if self._closed.is_set():
                client.close()
                raise cancelled()
        return client

    def _translated(self, client: HttpClient, url: str, error: Exception) -> DRMError:
        if self._closed.is_set():
            return cancelled()
        kind, what = client.failure(error)
        if kind is Failure.UNKNOWN:
            return MediaUnreachableError(f"it cannot be fetched: {type(error).__name__}", where=shown_url(url))
        client.renew()
        if kind is Failure.LATE:  # that cut the client for good
            self._own.client = None
        make = MediaUnreachableError
        if kind in {Failure.LATE, Failure.NOT_REACHED, Failure.SILENT, Failure.BROKEN}:
            make = _BrokeOffError
        return make(what, where=shown_url(url), seen=innermost(error))


def _check_status(answer: Answer) -> None:
    status, where = answer.status, shown_url(answer.url)
    if status in {200, 206}:
        return
    if status in _AGAIN:
        broke = _BrokeOffError("the server does not give it now", where=where, seen=f"HTTP status {status}")
        asked = answer.headers.get("Retry-After", "").strip()
        if asked.isdecimal() and len(asked) < 6:
            broke.wait = min(float(asked), _LONGEST_WAIT)
        raise broke
    if status in _GONE:
        raise SegmentMissingError("the server has no such file", where=where, seen=f"HTTP status {status}")
    if status in {401, 403}:
        raise MediaUnreachableError(
            "the server refuses to give it",
            where=where,
            seen=f"HTTP status {status}",
            maybe="it wants a token: the query of a manifest's URL is not passed on to what it names",
            remedy="--media-header 'NAME: VALUE' sends one to the manifest's origin",
        )
    raise MediaUnreachableError("the server does not give it", where=where, seen=f"HTTP status {status}")


def _too_large(url: str, limit: int) -> MediaError:
    return UnsupportedMediaError(f"this is larger than what is read: more than {limit} bytes", where=shown_url(url))
