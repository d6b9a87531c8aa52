"""Connections of requests that another thread can cut: without that, a read from a slow server cannot be ended."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

__all__ = ["InterruptibleAdapter"]


class InterruptibleAdapter(HTTPAdapter):
    """Makes requests, and closes the sockets of all of them on `interrupt`."""

    def __init__(self, allowed: Callable[[str], None] | None = None) -> None:
        """`allowed` is given the address of each server that is connected to without a proxy, and raises to end it."""
        self._allowed = allowed
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
                opened(self.sock, is_direct=self.proxy is None)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                opened(self.sock, is_direct=self.proxy is None)

        plain_pool = type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": Plain})
        secure_pool = type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": Secure})
        self.poolmanager.pool_classes_by_scheme = {"http": plain_pool, "https": secure_pool}

    def interrupt(self) -> None:
        """Cut every connection, also one that is made later."""
        with self._lock:
            self._cut = True
            for held in self._sockets:
                _cut(held)

    def _opened(self, made: socket.socket | None, *, is_direct: bool) -> None:
        if made is None:
            return
        if is_direct and self._allowed is not None:
            try:
                self._allowed(made.getpeername()[0])
            except BaseException:
                made.close()
                raise
        with self._lock:
            self._sockets.append(made)
            if self._cut:
                _cut(made)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)
