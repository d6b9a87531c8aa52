"""Serves a byte stream of the application to the worker (other half: drm/pmp/byte_stream_proxy.py).

A thread of its own reads what is asked for into shared memory: bytes as they are stored, encrypted ones still so.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final

from drm.component import ByteStream
from drm.errors import (
    DRMError,
    ErrorRecord,
    PMPProcessDiedError,
    SessionShutdownError,
    TruncatedMediaError,
    WireError,
)
from drm.readable import readable
from drm.wire.messages import BytesRead, FromApp, ReadBytes
from drm.wire.remote_sources import MAX_OUTSTANDING, SLOT, SLOTS, WINDOW
from drm.wire.ring import RingWriter

__all__ = ["ByteStreamService"]

logger = logging.getLogger(__name__)

_STEP: Final = 0.1  # seconds between two tries to let a read go
_END: Final = 5.0  # seconds after which a byte stream that does not let go is left alone


class ByteStreamService:
    """Reads one byte stream for one worker, until the worker or the session needs it no more."""

    def __init__(
        self,
        stream: ByteStream,
        send: Callable[[FromApp, Sequence[int]], None],
        session: int,
        number: int,
        finished: Callable[[], None] | None = None,
    ) -> None:
        """`number` names the byte stream in messages; `finished` is called once nothing is read any more."""
        self._stream = stream
        self._size = stream.size
        self._send = send
        self._session = session
        self._number = number
        self._finished = finished
        self._window = RingWriter(WINDOW)
        self._asked: queue.SimpleQueue[ReadBytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._counting = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._serve, name="byte-stream", daemon=True)
        self.round_trips = 0  # requests that were answered

    @property
    def window(self) -> int:
        """The descriptor of the shared memory."""
        return self._window.fd

    def start(self) -> None:
        """Serve from now on."""
        self._thread.start()

    def request(self, message: ReadBytes) -> None:
        """Take what the worker asks for; the reader's thread calls this and never waits.

        Raises:
            WireError: no sound worker asks for that.
        """
        inside = message.offset >= 0 and message.offset + message.size <= self._size
        if not (inside and 0 < message.size <= SLOT and 0 <= message.slot < SLOTS):
            raise WireError(f"the worker asks for {message.size} bytes at {message.offset} in slot {message.slot}")
        with self._counting:
            if self._waiting >= MAX_OUTSTANDING:
                raise WireError(f"the worker asks for bytes while {MAX_OUTSTANDING} requests wait")
            self._waiting += 1
        self._asked.put(message)

    def stop(self) -> None:
        """Serve no more, and return at once. Idempotent."""
        self._stopping = True
        self._asked.put(None)
        self._interrupt()

    def close(self) -> None:
        """Stop, and wait until nothing is read any more; a stream that does not let go is left to its thread."""
        self.stop()
        if threading.current_thread() is self._thread or not self._thread.is_alive():
            return
        for _ in range(round(_END / _STEP)):
            self._thread.join(_STEP)
            if not self._thread.is_alive():
                return
            self._interrupt()
        logger.warning("%s does not end its read; it is left alone", readable(self._stream.name))

    def _interrupt(self) -> None:
        interrupt = getattr(self._stream, "interrupt", None)
        if interrupt is not None:
            try:
                interrupt()
            except Exception:  # the application's own fault, and too late to tell of
                logger.exception("the byte stream failed when it was interrupted")

    def _serve(self) -> None:
        try:
            while (message := self._asked.get()) is not None and not self._stopping:
                self._answer(message)
        except (WireError, PMPProcessDiedError, SessionShutdownError) as gone:
            logger.info("a byte stream is served no more: %s", gone.what)
        finally:
            self._window.close()
            if self._finished is not None:
                self._finished()

    def _answer(self, message: ReadBytes) -> None:
        record: ErrorRecord | None = None
        try:
            with self._window.view(message.slot * SLOT, message.size) as into:
                self._read(message.offset, into)
        except DRMError as found:
            record = found.to_record()
        except BaseException as fault:  # noqa: BLE001 - an application's own stream must not leave the worker waiting
            what = f"the byte stream failed: {type(fault).__name__}: {fault}"
            record = DRMError(what, where=self._stream.name).to_record()
        with self._counting:
            self._waiting -= 1
        self.round_trips += 1
        self._send(BytesRead(self._session, self._number, message.request, record), ())

    def _read(self, offset: int, into: memoryview) -> None:
        """A byte stream may give less than was asked for."""
        done = 0
        while done < len(into):
            with into[done:] as part:
                count = self._stream.read_into(offset + done, part)
            if not 0 < count <= len(into) - done:
                raise TruncatedMediaError(
                    "the byte stream ends before its size",
                    where=f"{self._stream.name} at byte {offset + done}",
                    seen=f"{self._size} bytes were announced",
                    maybe="it became shorter while it was read",
                )
            done += count
