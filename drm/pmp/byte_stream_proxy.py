"""Stands, in the worker, for a byte stream of the application (its other half is drm/app/byte_stream_service.py).

Bytes come in pieces of SLOT, each into a slot of shared memory that the worker maps for reading alone. A slot is kept
as long as no other piece needs it, and when the piece before one is there, reading goes on: then the next ones are
asked for as well, so that a stream that is read from its start to its end seldom waits.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from drm.errors import DRMError, MediaUnreachableError, WireError, error_from_record
from drm.pmp.shared_ring import SharedRing
from drm.session.session_source import cancelled
from drm.wire.messages import BytesRead, ByteStreamClosed, ByteStreamSpec, FromWorker, ReadBytes
from drm.wire.remote_sources import MAX_OUTSTANDING, SLOT, SLOTS, WINDOW

__all__ = ["ByteStreamProxy"]

_STALL: Final = 60.0  # seconds without an answer; the application's own limits are shorter, and name the reason


@dataclass(slots=True)
class _Slot:
    place: int
    piece: int = -1  # which SLOT of the stream; -1: none
    is_ready: bool = False
    error: DRMError | None = None
    used: int = 0  # when it was read last


class ByteStreamProxy:
    """Keeps `drm.component.ByteStream`. One thread reads at a time; the control thread feeds.

    `is_stopped` is asked while a read waits; after `wake`, a read that is stopped raises MF_E_OPERATION_CANCELLED.
    """

    def __init__(
        self,
        send: Callable[[FromWorker], None],
        session: int,
        spec: ByteStreamSpec,
        fd: int,
        closed: Callable[[int], None],
    ) -> None:
        """Map the window `fd`, which stays the caller's to close. `closed` is told the stream's number at its end.

        Raises WireError when the window is not a sound one, MemoryLimitError when too much would be mapped.
        """
        self._window = SharedRing(fd, WINDOW)
        self.name = spec.name
        self.size = spec.size
        self.uses_network = spec.uses_network
        self.is_stopped: Callable[[], bool] = lambda: False
        self.stream = spec.stream
        self._send = send
        self._session = session
        self._closed = closed
        self._slots = [_Slot(place) for place in range(SLOTS)]
        self._by_piece: dict[int, _Slot] = {}
        self._waiting: dict[int, _Slot] = {}  # by request
        self._requests = 0
        self._reads = 0
        self._reading = threading.Lock()
        self._changed = threading.Condition()
        self._is_closed = False

    # ------------------------------------------------------------------ whoever reads

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end. Raises as `read_into`."""
        data = bytearray(max(0, min(size, self.size - offset)))
        self.read_into(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, into: memoryview) -> int:
        """Fill `into` from `offset`; return how many bytes were there.

        Raises:
            InvalidRequestError: whoever reads is stopped (MF_E_OPERATION_CANCELLED).
            DRMError: what kept the application from reading.
        """
        wanted = max(0, min(len(into), self.size - offset))
        done = 0
        with self._reading:
            while done < wanted:
                piece, at = divmod(offset + done, SLOT)
                part = into[done : done + min(SLOT - at, wanted - done)]
                self._obtain(piece)
                self._copy(piece, at, part)
                done += len(part)
        return done

    def _obtain(self, piece: int) -> None:
        """Ask for the piece, unless it is there, and for those that will be read next."""
        asked: list[ReadBytes] = []
        with self._changed:
            self._wait(lambda: piece in self._by_piece or len(self._waiting) < MAX_OUTSTANDING)
            if piece in self._by_piece:  # or what is asked for ahead could take its slot
                self._reads += 1
                self._by_piece[piece].used = self._reads
            ahead = MAX_OUTSTANDING if piece - 1 in self._by_piece else 0
            last = (self.size - 1) // SLOT
            asked.extend(
                self._ask(each)
                for each in range(piece, min(piece + ahead, last) + 1)
                if each not in self._by_piece and len(self._waiting) < MAX_OUTSTANDING
            )
        for message in asked:
            self._send(message)

    def _ask(self, piece: int) -> ReadBytes:
        """Give the piece the slot that was not read for the longest time."""
        slot = min((s for s in self._slots if s not in self._waiting.values()), key=lambda s: s.used)
        self._by_piece.pop(slot.piece, None)
        self._reads += 1
        slot.piece, slot.is_ready, slot.error, slot.used = piece, False, None, self._reads
        self._by_piece[piece] = slot
        self._requests += 1
        self._waiting[self._requests] = slot
        start = piece * SLOT
        return ReadBytes(self._session, self.stream, self._requests, start, min(SLOT, self.size - start), slot.place)

    def _copy(self, piece: int, at: int, into: memoryview) -> None:
        with self._changed:
            slot = self._by_piece[piece]
            self._wait(lambda: slot.is_ready or slot.error is not None)
            if slot.error is not None:
                del self._by_piece[piece]
                slot.piece, slot.used = -1, 0
                raise slot.error
            self._reads += 1
            slot.used = self._reads
            # Copied at once: the application could change what lies in shared memory between two looks at it.
            with self._window.view(slot.place * SLOT + at, len(into)) as found:
                into[:] = found

    def _wait(self, arrived: Callable[[], bool]) -> None:
        """Under the lock."""
        came = self._changed.wait_for(lambda: arrived() or self._is_closed or self.is_stopped(), _STALL)
        if self._is_closed or self.is_stopped():
            raise cancelled()
        if not came:
            raise MediaUnreachableError(f"the application gave no bytes for {_STALL:.0f} seconds", where=self.name)

    # ------------------------------------------------------------------ any thread

    def wake(self) -> None:
        """Let a read that waits ask again whether it is stopped."""
        with self._changed:
            self._changed.notify_all()

    def answered(self, message: BytesRead) -> None:
        """On the control thread. Raises WireError for an answer to what was not asked, or was answered."""
        with self._changed:
            slot = self._waiting.pop(message.request, None)
            if slot is None:
                raise WireError(f"bytes came for request {message.request}, which does not wait")
            if message.error is not None:
                slot.error = error_from_record(message.error)
            else:
                slot.is_ready = True
            self._changed.notify_all()

    def close(self) -> None:
        """Unmap, and tell the application that it need not serve any more. Idempotent."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._window.close()
            self._changed.notify_all()
        self._closed(self.stream)
        with contextlib.suppress(WireError):  # the application is gone, and the stream with it
            self._send(ByteStreamClosed(self._session, self.stream))
