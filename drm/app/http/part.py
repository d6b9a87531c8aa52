"""One GET of a part of a file over HTTP (RFC 9110, section 14): from an offset to its end, read as far as it is wanted.

The server is not trusted: what it says about the part is checked, and every wait has a limit. Application only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drm.app.http.exchange import Answer, Failure, HttpClient, LeftTlsError, innermost
from drm.app.http.urls import shown_url
from drm.errors import DRMError, MediaChangedError, MediaUnreachableError

__all__ = ["MediaLimits", "PartOfFile", "Resource", "ServerBrokeOffError", "changed"]

_MAX_REDIRECTS: Final = 5
_CONTENT_RANGE: Final = re.compile(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18})")
_READ: Final = 64 << 10  # bytes asked of the socket at once


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """What reading a file may cost. Seconds and bytes."""

    connect: float = 5.0
    gap: float = 10.0  # without a byte
    answer: float = 20.0  # until the head of an answer is there, redirects included
    block: float = 30.0  # for 64 KiB: a server that sends a byte now and then
    spool: int = 1 << 30  # of a file whose server gives no parts: kept in a temporary file


@dataclass(frozen=True, slots=True)
class Resource:
    """What the first answer says about the file; every later one must say the same."""

    size: int | None  # None: the server does not say
    etag: str
    modified: str
    gives_parts: bool


class ServerBrokeOffError(MediaUnreachableError):
    """The connection ended in the middle: another may bring the rest."""


class PartOfFile:
    """An answer that is being read. One thread reads; any may `cut`."""

    def __init__(
        self, url: str, offset: int, headers: Mapping[str, str], trust: str | bool, limits: MediaLimits
    ) -> None:
        self.position = offset
        self._url = url
        self._headers = headers
        self._limits = limits
        self._client = HttpClient(
            connect=limits.connect, gap=limits.gap, head=limits.answer, trust=trust, redirects=_MAX_REDIRECTS
        )
        self._answer: Answer | None = None
        self._left: int | None = None  # bytes that the answer still holds; None: to its end

    # ------------------------------------------------------------------ begin

    def begin(self) -> Resource:
        """Send the request and read the head of the answer.

        Raises:
            MediaUnreachableError: no answer, a refusal, or one that cannot be used; each says which.
            MediaChangedError: the file ends before the offset.
        """
        try:
            self._answer = answer = self._client.get(self._url, {"Range": f"bytes={self.position}-"}, self._headers)
        except LeftTlsError as error:
            raise MediaUnreachableError("the server leads from https to http", where=shown_url(str(error))) from None
        except Exception as error:  # noqa: BLE001 - requests and urllib3 raise of many kinds
            raise self._translated(error) from None
        try:
            return self._described(answer)
        except BaseException:
            self.close()
            raise

    def _described(self, answer: Answer) -> Resource:
        where = shown_url(answer.url)
        if answer.compression:
            raise MediaUnreachableError(
                f"the server compressed the file ({answer.compression!r}), though it was asked not to",
                where=where,
                remedy="let the server send media files as they are",
            )
        etag, modified = answer.headers.get("ETag", "")[:256], answer.headers.get("Last-Modified", "")[:64]
        said = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
        match answer.status:
            case 206 if said is not None and said[1] is not None:
                first, last, size = int(said[1]), int(said[2]), int(said[3])
                if first != self.position or not first <= last < size:
                    raise MediaUnreachableError(
                        "the server sends another part than was asked for",
                        where=where,
                        seen=f"bytes {first} to {last} of {size}, and {self.position} was asked for",
                    )
                self._left = last + 1 - first
                return Resource(size, etag, modified, gives_parts=True)
            case 200:
                self.position = 0
                self._left = answer.announced
                return Resource(answer.announced, etag, modified, gives_parts=False)
            case 416 if said is not None:  # behind the end; from 0: the file is empty
                if self.position > 0:
                    raise changed(where, f"it has {said[3]} bytes, and byte {self.position} was there")
                self._left = 0
                return Resource(0, etag, modified, gives_parts=True)
            case status:
                raise _refused(status, where)

    # ------------------------------------------------------------------ read

    def read(self, size: int) -> bytes:
        """Return `size` bytes, fewer only at the end of the answer.

        Raises:
            ServerBrokeOffError: the connection ended early.
            MediaUnreachableError: the server stalls.
        """
        assert self._answer is not None
        wanted = size if self._left is None else min(size, self._left)
        found = bytearray()
        ends = time.monotonic() + self._limits.block
        while len(found) < wanted:
            try:
                data = self._answer.some(min(_READ, wanted - len(found)))
            except Exception as error:  # noqa: BLE001 - as above
                raise self._translated(error) from None
            if not data:
                if self._left is None:
                    break
                raise ServerBrokeOffError("the server broke off", where=self._where, seen="the answer ends early")
            found += data
            if time.monotonic() > ends and len(found) < wanted:
                raise MediaUnreachableError(
                    f"the server sent {len(found)} bytes in {self._limits.block:g} seconds",
                    where=self._where,
                    maybe="it is overloaded, or the network is",
                )
        self.position += len(found)
        if self._left is not None:
            self._left -= len(found)
        return bytes(found)

    # ------------------------------------------------------------------ end

    def cut(self) -> None:
        """End what waits in here, from any thread; what is read afterwards fails."""
        self._client.cut()

    def close(self) -> None:
        """Give the connection back. The reading thread calls it."""
        self._client.cut()
        if self._answer is not None:
            self._answer.close()
        self._client.close()

    @property
    def _where(self) -> str:
        return f"{shown_url(self._url)} at byte {self.position}"

    def _translated(self, error: Exception) -> DRMError:
        if isinstance(error, DRMError):
            return error
        kind, what = self._client.failure(error)
        seen = innermost(error)
        if kind is Failure.SILENT:
            return MediaUnreachableError(
                what, where=self._where, maybe="it is overloaded, or the network is cut", remedy="try again later"
            )
        if kind in {Failure.LATE, Failure.NOT_REACHED, Failure.REDIRECTS}:
            return MediaUnreachableError(what, where=self._where)
        if kind is Failure.CERTIFICATE:
            return MediaUnreachableError(what, where=self._where, seen=seen)
        if self._answer is not None:
            return ServerBrokeOffError("the server broke off", where=self._where, seen=seen)
        return MediaUnreachableError(
            "the server cannot be reached",
            where=self._where,
            seen=seen,
            maybe="it is not running, or the host name or port is wrong",
        )


def changed(where: str, seen: str) -> MediaChangedError:
    """The error for a file that is not the one that was opened."""
    return MediaChangedError(
        "the file became another one while it was read",
        where=where,
        seen=seen,
        maybe="it is being written, or was replaced",
        remedy="begin again from its start",
    )


def _refused(status: int, where: str) -> MediaUnreachableError:
    what = {
        401: "the server wants to know who asks",
        403: "the server refuses the file",
        404: "the server has no such file",
        410: "the server has the file no more",
    }.get(status, "the server gives no file" if status < 500 else "the server failed")
    return MediaUnreachableError(what, where=where, seen=f"HTTP {status}", remedy="check the URL")
