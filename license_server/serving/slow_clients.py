"""Clients that send a request by and by: each would hold one of a worker's few threads for as long as it likes.

The engine hands a request to Python as soon as its header is whole, and knows no time limit for what follows. So bodies
are waited for here, with a watch: who sent nothing for `QUIET` seconds is cut off, and when a body has not arrived
after `WHOLE` seconds, though bytes came, the worker ends and is replaced.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

__all__ = ["QUIET", "WHOLE", "Receiving"]

QUIET: Final = 10.0  # seconds without a byte
WHOLE: Final = 60.0  # seconds for the body, or its first 64 KiB
_AHEAD: Final = 64 << 10  # bytes of a body that are waited for
_DRAINED: Final = 16 << 20  # bytes of a body that nobody read
_LOOK: Final = 1.0  # seconds
_LAST_RECEIVED: Final = struct.Struct("=52xI")  # tcpi_last_data_recv of struct tcp_info, in milliseconds: tcp(7)
_BODYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Receiving:
    """Waits for bodies, and knows since when. `give_up` is called when a client outlasts every patience."""

    def __init__(self, listener: socket.socket, give_up: Callable[[], None]) -> None:
        self._port = listener.getsockname()[1]
        self._give_up = give_up
        self._since: dict[int, float] = {}  # by thread
        threading.Thread(target=self._watch, name="slow-clients", daemon=True).start()

    def receive(self, environ: WSGIEnvironment) -> None:
        """Wait for the body of a request, or its beginning, and put it where the application reads it."""
        if environ["REQUEST_METHOD"] in _BODYLESS:
            return
        rest, head, thread = environ["wsgi.input"], b"", threading.get_ident()
        # The engine keeps a body to the length that was told. To know it spares asking for the end, which costs as much
        # as a license; a chunked body has none, and is read until it ends.
        told = environ.get("CONTENT_LENGTH", "")
        most = min(int(told), _AHEAD + 1) if told.isascii() and told.isdigit() else _AHEAD + 1
        self._since[thread] = time.monotonic()
        try:
            while len(head) < most and (data := rest.read(most - len(head))):
                head += data
        finally:
            del self._since[thread]
        environ["wsgi.input"] = _Body(head, rest) if len(head) > _AHEAD else io.BytesIO(head)

    def drain(self, environ: WSGIEnvironment) -> None:
        """Read what a refused request still sends: a client that is cut off while it sends reads no answer."""
        if not isinstance(environ["wsgi.input"], _Body):
            return
        thread, left = threading.get_ident(), _DRAINED
        self._since[thread] = time.monotonic()
        try:
            while left > 0 and (data := environ["wsgi.input"].read(1 << 16)):
                left -= len(data)
        finally:
            del self._since[thread]

    def _watch(self) -> None:
        while True:
            time.sleep(_LOOK)
            now = time.monotonic()
            waits = [now - since for since in list(self._since.values())]
            if any(wait > WHOLE for wait in waits):
                self._give_up()
            elif overdue := sum(wait > QUIET for wait in waits):
                self._cut_quietest(overdue)

    def _cut_quietest(self, most: int) -> None:
        """Shut down so many connections over which nothing came for long.

        Which one a thread waits for cannot be asked. One that is only idle may be among them: its client opens another.
        One whose request waits for a thread has been quiet for less long than those that hold the threads.
        """
        found: list[tuple[int, socket.socket]] = []
        for name in list(Path("/proc/self/fd").iterdir()):
            with suppress(OSError, ValueError):
                found.append(self._quiet(int(name.name)))
        found.sort(key=lambda pair: pair[0], reverse=True)
        for number, (quiet, connection) in enumerate(found):
            with connection, suppress(OSError):
                if number < most and quiet > QUIET * 1000:
                    connection.shutdown(socket.SHUT_RDWR)

    def _quiet(self, descriptor: int) -> tuple[int, socket.socket]:
        """For how many milliseconds a connection has been quiet. Raises OSError for what is no connection of ours."""
        connection = socket.socket(fileno=os.dup(descriptor))
        try:
            connection.getpeername()
            if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != self._port:
                raise OSError
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAST_RECEIVED.size)
        except OSError:
            connection.close()
            raise
        return _LAST_RECEIVED.unpack(info)[0], connection


class _Body:
    """A long body: the part that is here, and then what may still come."""

    def __init__(self, head: bytes, rest: Any) -> None:  # noqa: ANN401 - the engine's own class
        self._head = io.BytesIO(head)
        self._rest = rest

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            return self._head.read() + bytes(self._rest.read())
        return self._head.read(size) or bytes(self._rest.read(size))

    def readline(self, size: int = -1) -> bytes:
        line = self._head.readline(size)
        return line if line.endswith(b"\n") or len(line) == size else line + bytes(self._rest.readline())

    def readlines(self, hint: int = -1) -> list[bytes]:  # noqa: ARG002 - a hint may be passed over
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line
