"""Connections that take their time: each has so many seconds in all, and when there are too many the oldest goes.

A connection is at any moment the client's turn or the server's. It is the client's while it says nothing, while header
or body arrive, and while it reads an answer: then its time runs, and neither a byte now and then nor silence stops it.
Sizes are bounded too: of headers here, of bodies where they are read.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

__all__ = ["ANSWER", "BODY", "HEADER", "IDLE", "Connections", "TimedConnection", "seconds_for"]

HEADER: Final = 10.0  # seconds from the first byte of a request, or from the connection, until its header is whole
IDLE: Final = 30.0  # seconds between an answer and the first byte of the next request
BODY: Final = 30.0  # seconds until a body is whole, beside what `seconds_for` its size adds
ANSWER: Final = 30.0  # seconds until an answer is read, likewise
_BYTES_A_SECOND: Final = 64 << 10  # what a long body, or answer, must keep up with
_HEAD: Final = 64 << 10  # bytes of a header, or of what chunks add to a body
_AHEAD: Final = 16  # requests that one client may send before it has the first answer
_MOST: Final = 16_384  # connections of one worker
_OWN: Final = 256  # descriptors for everything else


def seconds_for(size: int) -> float:
    """The time that so many bytes of a body or an answer add."""
    return size / _BYTES_A_SECOND


class Connections:
    """The connections of one worker whose clients are to act. Used in its event loop alone."""

    def __init__(self, most: int | None = None) -> None:
        self._most = _descriptors() - _OWN if most is None else most
        self._open: set[TimedConnection] = set()
        self._files = 0  # that answers under way are read from, most likely
        self._until: dict[TimedConnection, float] = {}  # the one that waits longest comes first

    def opened(self, connection: TimedConnection) -> None:
        """Let a connection in."""
        self._open.add(connection)
        self._make_room(connection)

    def closed(self, connection: TimedConnection) -> None:
        """Forget it."""
        self._open.discard(connection)
        self._until.pop(connection, None)

    def wait_for(self, connection: TimedConnection, seconds: float) -> None:
        """It is the client's turn, and it has so long for it."""
        self._until.pop(connection, None)
        if connection in self._open:
            self._until[connection] = time.monotonic() + seconds

    def give(self, connection: TimedConnection, seconds: float) -> None:
        """The client has so much longer for its turn."""
        if connection in self._until:
            self._until[connection] += seconds

    def wait_no_more(self, connection: TimedConnection) -> float:
        """It is the server's turn. Return how many seconds the client has left."""
        return self._until.pop(connection, time.monotonic()) - time.monotonic()

    @contextmanager
    def reading_on(self, connection: TimedConnection) -> Iterator[None]:
        """For the length of a `with` block, an answer is under way that is not here as a whole: it has a file open."""
        self._files += 1
        self._make_room(connection)
        try:
            yield
        finally:
            self._files -= 1

    def cut_overdue(self) -> None:
        """Cut off those whose time is over. To be called every second or so."""
        now = time.monotonic()
        for connection in [each for each, until in self._until.items() if until < now]:
            connection.cut()

    def _make_room(self, newcomer: TimedConnection) -> None:
        """When there are too many, cut off the one whose client has been waited for longest."""
        if len(self._open) + self._files > self._most:
            next(iter(self._until), newcomer).cut()


class TimedConnection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 on one connection, with a clock and bounds. `scope["state"]["connection"]` is this.

    The parser (llhttp, behind httptools) bounds nothing: what is not body is counted here, trailers are passed over,
    and a client that asks ahead without reading answers is cut off.
    """

    def __init__(
        self,
        clock: Connections,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "connection": self}, _loop)
        self.clock = clock
        self._is_idle = False
        self._asked = 0  # requests that are not answered
        self._is_head = False  # a header is under way
        self._began = False  # one did in what was received last
        self._body = 0  # bytes of a body in what was received last
        self._overhead = 0  # bytes that were neither body nor paid for by body

    @property
    def is_gone(self) -> bool:
        """Whether nothing that is sent arrives any more."""
        return self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for the first request."""
        super().connection_made(transport)
        self.clock.opened(self)
        self.clock.wait_for(self, HEADER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.clock.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; after a silence it is the beginning of a request."""
        if self._is_idle:
            self._is_idle = False
            self.clock.wait_for(self, HEADER)
        self._began, self._body = False, 0
        super().data_received(data)
        before = 0 if self._began else self._overhead
        self._overhead = max(0, before + len(data) - 2 * self._body) if self._is_head or not self._began else 0
        if self._overhead > _HEAD or (len(data) > _HEAD and sum(map(len, chain(*self.headers))) > _HEAD):
            self.cut()

    def on_message_begin(self) -> None:
        """A request begins: httptools says so."""
        self._began = self._is_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, and no trailer."""
        if self._is_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Let the request be answered."""
        self._is_head = False
        self._asked += 1
        if self._asked > _AHEAD:
            self.cut()
        if not self.is_gone:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += len(body)
        super().on_body(body)

    def answered(self) -> None:
        """Wait for the next request; in that time the client reads what is written and not yet sent, too."""
        self._asked -= 1
        self._is_idle = True
        self.clock.wait_for(self, IDLE)

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
