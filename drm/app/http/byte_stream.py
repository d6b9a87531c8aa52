"""A file on an HTTP server as a byte stream: parts of it are asked for as they are needed. Application only.

Reading on from where the last read ended goes on with the same answer; a jump asks anew. A few answers are kept, so
that sound and pictures that lie apart in the file do not cost a request for each sample. A file whose server gives no
parts is read from its start, into a temporary file; such a stream does not survive an interruption.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from drm.app.http.part import MediaLimits, PartOfFile, Resource, ServerBrokeOffError, changed
from drm.app.http.spool import Spool
from drm.app.http.urls import shown_url, trusted
from drm.errors import DRMError, InvalidArgumentError, MediaUnreachableError
from drm.session.session_source import cancelled

__all__ = ["HttpByteStream"]

_BLOCK: Final = 64 << 10  # bytes
_KEPT: Final = 64  # blocks
_ANSWERS: Final = 3  # at a time
_SKIP: Final = 4  # blocks that are read and thrown away rather than asked for anew
_TRIES: Final = 3  # for one block, when the server breaks off


class HttpByteStream:
    """Keeps `drm.component.ByteStream`. Call `open` first, or use it in a `with` block. One thread reads at a time."""

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        cacert: str | None = None,
        limits: MediaLimits | None = None,
    ) -> None:
        """`headers` go with each request and are never shown. Raises InvalidArgumentError: the URL cannot be used."""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
            _ = parts.port
        except ValueError:
            usable = False
        if not usable:
            raise InvalidArgumentError(f"this is no URL of http or https: {shown_url(url)[:100]}")
        self.name = shown_url(url)
        self.uses_network = True
        self.requests = 0  # that were made so far
        self._url = url
        self._headers = dict(headers or {})
        self._trust = trusted(cacert)
        self._limits = limits or MediaLimits()
        self._reading = threading.Lock()
        self._changing = threading.Lock()
        self._answers: list[PartOfFile] = []  # the one that was read last is last
        self._blocks: collections.OrderedDict[int, bytes] = collections.OrderedDict()
        self._resource: Resource | None = None
        self._spool: Spool | None = None
        self._size = 0
        self._is_busy = self._is_interrupted = self._is_closed = False

    # ------------------------------------------------------------------ open

    def open(self) -> None:
        """Ask for the file: `size` is known then. Idempotent.

        Raises:
            MediaUnreachableError: the server is not reached, refuses, or its answer cannot be used.
            InvalidRequestError: it was closed meanwhile (MF_E_OPERATION_CANCELLED).
        """
        with self._reading, _Busy(self):
            if self._resource is not None:
                return
            answer, found = self._ask(0)
            if found.gives_parts and found.size is not None:
                self._size = found.size
            else:
                try:
                    self._spool = Spool(answer, found.size, self._limits.spool, self.name)
                except BaseException:
                    self._drop(answer)
                    raise
                self._size = self._spool.size
            self._resource = found

    @property
    def size(self) -> int:
        """Length of the file, in bytes. Raises InvalidRequestError before `open`."""
        if self._resource is None:
            raise InvalidArgumentError("the byte stream is not open", where=self.name)
        return self._size

    # ------------------------------------------------------------------ read

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises as `read_into`."""
        data = bytearray(max(0, min(size, self.size - offset)))
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`; return how many bytes were there.

        Raises:
            MediaUnreachableError: the server is not reached, refuses, stalls or breaks off.
            MediaChangedError: the file became another one.
            InvalidRequestError: `interrupt` or `close` came (MF_E_OPERATION_CANCELLED).
        """
        wanted = max(0, min(len(into), self.size - offset))
        done = 0
        with self._reading, _Busy(self):
            while done < wanted:
                if self._spool is not None:
                    data = self._spool.read(offset + done, min(_BLOCK, wanted - done))
                else:
                    block, at = divmod(offset + done, _BLOCK)
                    data = self._block(block)[at : at + wanted - done]
                into[done : done + len(data)] = data
                done += len(data)
        return done

    def _block(self, number: int) -> bytes:
        for tries in range(_TRIES):
            if (found := self._blocks.get(number)) is not None:
                self._blocks.move_to_end(number)
                return found
            try:
                self._read_on(self._answer_for(number), number)
            except ServerBrokeOffError:
                if tries == _TRIES - 1 or self._is_interrupted:
                    raise
        return self._blocks[number]

    def _read_on(self, answer: PartOfFile, number: int) -> None:
        """Read up to and with block `number`; what lies before it is kept as well."""
        try:
            while answer.position <= number * _BLOCK:
                here = answer.position // _BLOCK
                self._blocks[here] = answer.read(min(_BLOCK, self._size - answer.position))
                while len(self._blocks) > _KEPT:
                    self._blocks.popitem(last=False)
        except DRMError:
            self._drop(answer)
            raise
        if answer.position >= self._size:
            self._drop(answer)

    def _answer_for(self, number: int) -> PartOfFile:
        start = number * _BLOCK
        near = [each for each in self._answers if 0 <= start - each.position <= _SKIP * _BLOCK]
        if near:
            best = max(near, key=lambda each: each.position)
            with self._changing:
                self._answers.remove(best)
                self._answers.append(best)
            return best
        answer, found = self._ask(start)
        self._check_same(found)
        return answer

    def _ask(self, offset: int) -> tuple[PartOfFile, Resource]:
        answer = PartOfFile(self._url, offset, self._headers, self._trust, self._limits)
        with self._changing:
            old = self._answers.pop(0) if len(self._answers) >= _ANSWERS else None
            self._answers.append(answer)  # so that an interrupt finds it
            if self._is_interrupted:
                answer.cut()
        if old is not None:
            old.close()
        self.requests += 1
        try:
            return answer, answer.begin()
        except BaseException:
            self._drop(answer)
            raise

    def _check_same(self, found: Resource) -> None:
        """Refuse a file that is not the one that was opened: what came before would not belong to what comes now."""
        first = self._resource
        assert first is not None
        if not found.gives_parts:
            self._drop_all()
            raise MediaUnreachableError("the server gives no parts of the file any more", where=self.name)
        for what, was, now in (
            ("bytes", first.size, found.size),
            ("ETag", first.etag, found.etag),
            ("Last-Modified", first.modified, found.modified),
        ):
            if was != now:
                self._drop_all()
                raise changed(self.name, f"{what}: first {was}, now {now}")

    def _drop(self, answer: PartOfFile) -> None:
        with self._changing:
            if answer in self._answers:
                self._answers.remove(answer)
        answer.close()

    def _drop_all(self) -> None:
        with self._changing:
            answers, self._answers = self._answers, []
        for answer in answers:
            answer.close()

    # ------------------------------------------------------------------ end

    def interrupt(self) -> None:
        """Let a read that is under way go with MF_E_OPERATION_CANCELLED, from any thread; later reads work again."""
        with self._changing:
            if self._is_busy:
                self._is_interrupted = True
                for answer in self._answers:
                    answer.cut()

    def close(self) -> None:
        """Let a read go, and give everything back. From any thread; idempotent."""
        self._is_closed = True
        self.interrupt()
        if self._reading.acquire(blocking=False):  # else whoever reads does it
            try:
                self._give_back()
            finally:
                self._reading.release()

    def _give_back(self) -> None:
        self._drop_all()
        self._blocks.clear()
        if self._spool is not None:
            self._spool.close()

    def begin_busy(self) -> None:
        """A read begins. Raises MF_E_OPERATION_CANCELLED after `close`."""
        with self._changing:
            if self._is_closed:
                raise cancelled()
            self._is_busy, self._is_interrupted = True, False

    def end_busy(self) -> bool:
        """It is over; return whether it was interrupted."""
        with self._changing:
            interrupted = self._is_interrupted
            self._is_busy = self._is_interrupted = False
        if interrupted:
            self._drop_all()  # they were cut
        if self._is_closed:
            self._give_back()
        return interrupted

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Busy:
    """One read: what it fails with once it was interrupted is the interruption."""

    def __init__(self, stream: HttpByteStream) -> None:
        self._stream = stream

    def __enter__(self) -> None:
        self._stream.begin_busy()

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: object) -> None:
        if self._stream.end_busy() and isinstance(value, Exception):
            raise cancelled() from None
