"""Connections of requests that another thread can cut: without that, a read from a slow server cannot be ended."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from drm.app.http.urls import is_loopback

__all__ = ["FetchConnections", "InterruptibleAdapter"]


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


class FetchConnections:
    """One session of requests: no cookies, no redirects, no names and passwords from files, no compression."""

    def __init__(self) -> None:
        self.are_used = False  # by a thread beside the taker's
        self._is_worn = self._is_closed = False
        self._adapter = InterruptibleAdapter()
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, self._adapter)

    def get(self, url: str, timeout: tuple[float, float], trust: str | bool) -> requests.Response:
        """Ask for `url`, and read the head. `timeout`: to connect, and between bytes. Raises what requests raises."""
        # A proxy has no business between two processes of one machine; elsewhere the user's environment counts.
        self._session.trust_env = not is_loopback(urlsplit(url).hostname or "")
        response = self._session.get(
            url,
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=timeout,
            auth=lambda request: request,  # or requests would look into ~/.netrc
            allow_redirects=False,
            stream=True,
            verify=trust,
        )
        self._is_worn = True
        return response

    def renew(self) -> bool:
        """Whether what was cut may have been an old connection, closed by the server as we asked (RFC 9112, 9.3.1).

        Then there are none any more, and it may be asked again.
        """
        was_worn, self._is_worn = self._is_worn, False
        self._session.close()
        return was_worn and not self._is_closed

    def close(self) -> None:
        """Cut what is open, from any thread."""
        self._is_closed = True
        self._adapter.interrupt()
        self._session.close()


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it may be closed already
        connection.shutdown(socket.SHUT_RDWR)
