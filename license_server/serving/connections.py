"""Connections that take their time: each has so many seconds in all, and when there are too many the oldest goes.

A connection is at any moment the client's turn or the server's. It is the client's while it says nothing, while header
or body arrive, and while it reads an answer: then its time runs, and neither a byte now and then nor silence stops it.
Sizes are bounded too: of header, trailer and chunk by uvicorn's parser (h11), of bodies where they are read.
"""

from __future__ import annotations

import asyncio
import resource
import time
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

__all__ = ["ANSWER", "BODY", "HEADER", "IDLE", "Connections", "TimedConnection", "seconds_for"]

HEADER: Final = 10.0  # seconds from the first byte of a request, or from the connection, until its header is whole
IDLE: Final = 30.0  # seconds between an answer and the first byte of the next request
BODY: Final = 30.0  # seconds until a body is whole, beside what `seconds_for` its size adds
ANSWER: Final = 30.0  # seconds until an answer is read, likewise
_BYTES_A_SECOND: Final = 64 << 10  # what a long body, or answer, must keep up with
_MOST: Final = 16_384  # connections of one worker
_OWN: Final = 256  # descriptors for everything else


def seconds_for(size: int) -> float:
    """The time that so many bytes of a body or an answer add."""
    return size / _BYTES_A_SECOND


class Connections:
    """The connections of one worker whose clients are to act. Used in its event loop alone."""

    def __init__(self, most: int | None = None) -> None:
        self._most = _descriptors() - _OWN if most is None else most
        self._open = 0
        self._until: dict[TimedConnection, float] = {}  # the one that waits longest comes first

    def opened(self, connection: TimedConnection) -> None:
        """Let a connection in, and cut off the one whose client has been waited for longest when there are too many."""
        self._open += 1
        if self._open > self._most:
            next(iter(self._until), connection).cut()

    def closed(self, connection: TimedConnection) -> None:
        """Forget it."""
        self._open -= 1
        self._until.pop(connection, None)

    def wait_for(self, connection: TimedConnection, seconds: float) -> None:
        """It is the client's turn, and it has so long for it."""
        self._until.pop(connection, None)
        self._until[connection] = time.monotonic() + seconds

    def give(self, connection: TimedConnection, seconds: float) -> None:
        """The client has so much longer for its turn."""
        self._until[connection] += seconds

    def wait_no_more(self, connection: TimedConnection) -> float:
        """It is the server's turn. Return how many seconds the client has left."""
        return self._until.pop(connection, time.monotonic()) - time.monotonic()

    def cut_overdue(self) -> None:
        """Cut off those whose time is over. To be called every second or so."""
        now = time.monotonic()
        for connection in [each for each, until in self._until.items() if until < now]:
            connection.cut()


class TimedConnection(H11Protocol):
    """uvicorn's HTTP/1.1 on one connection, with a clock. Whoever answers finds it in `scope["state"]["connection"]`."""

    def __init__(
        self,
        connections: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.clock = connections
        self._is_idle = False

    @property
    def is_gone(self) -> bool:
        """Whether nothing that is sent arrives any more."""
        return self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        super().connection_made(cast("asyncio.Transport", transport))
        self.clock.wait_for(self, HEADER)
        self.clock.opened(self)

    def data_received(self, data: bytes) -> None:
        """Take what came; after a silence it is the beginning of a request."""
        if self._is_idle:
            self._is_idle = False
            self.clock.wait_for(self, HEADER)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.clock.closed(self)
        super().connection_lost(exc)

    def answered(self, seconds: float) -> None:
        """Wait for the next request: all is written, though it may not be read, for which `seconds` are left."""
        self._is_idle = True
        if not self.is_gone or self.transport.get_write_buffer_size():
            self.clock.wait_for(self, max(IDLE, seconds))

    def cut(self) -> None:
        """End it at once: to close it in good order would wait until the client has read what was sent."""
        self.clock.wait_no_more(self)
        self.transport.abort()


def _descriptors() -> int:
    """Take as many descriptors as this process may have, and return their number, or as many as are of use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST + _OWN if hard == resource.RLIM_INFINITY else min(hard, _MOST + _OWN)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
