"""Connections of requests that another thread can cut: without that, a read from a slow server cannot be ended."""

from __future__ import annotations

import contextlib
import socket
import threading

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["InterruptibleAdapter"]


class InterruptibleAdapter(HTTPAdapter):
    """Makes requests, and closes the sockets of all of them on `interrupt`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._cut = False
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool: object) -> None:
        """Make the pool, of connections that tell this adapter of their sockets."""
        super().init_poolmanager(connections, maxsize, block, **pool)
        opened = self._opened

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                opened(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened(self.sock)

        plain_pool = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        secure_pool = type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
        self.poolmanager.pool_classes_by_scheme = {"http": plain_pool, "https": secure_pool}

    def interrupt(self) -> None:
        """Cut every connection, also one that is made later."""
        with self._lock:
            self._cut = True
            for held in self._sockets:
                _cut(held)

    def _opened(self, made: socket.socket | None) -> None:
        if made is None:
            return
        with self._lock:
            self._sockets.append(made)
            if self._cut:
                _cut(made)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)
