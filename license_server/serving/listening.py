"""The sockets that workers accept from, bound before any of them starts."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Final

from drm.errors import InvalidArgumentError

__all__ = ["bound", "is_loopback", "url_of"]

_BACKLOG: Final = 1024
_BUFFER: Final = 128 << 10  # bytes in each direction; the kernel takes twice as much for its own bookkeeping


@contextmanager
def bound(host: str, port: int, sockets: int = 1) -> Iterator[list[socket.socket]]:
    """Yield listening sockets of one address, one for each worker; port 0 takes a free one.

    The kernel deals connections out among them. From one socket that all shared, whoever was awake took most of them.
    They stay open here, in the main process: what waits for a worker that was killed waits for its successor.

    Raises InvalidArgumentError: host or port cannot be had.
    """
    with ExitStack() as held:
        try:
            family, kind, protocol, _name, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listeners = [held.enter_context(socket.socket(family, kind, protocol)) for _ in range(sockets)]
        except OSError as error:
            raise InvalidArgumentError(f"{host[:128]!r} is no host to listen on", seen=error.strerror or "") from None
        try:
            for listener in listeners:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                # Inherited by each connection. Head and body of an answer may be two packets, and the second one must
                # not wait until the first is acknowledged, which takes 40 ms.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # Inherited too. The kernel would hold megabytes for each client that does not read.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            # The first alone, so that another server on this port is noticed; only then may others share it.
            listeners[0].bind(address)
            for listener in listeners if sockets > 1 else ():
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            for listener in listeners[1:]:
                listener.bind(listeners[0].getsockname())
            for listener in listeners:
                listener.listen(_BACKLOG)
        except OSError as error:
            raise InvalidArgumentError(
                f"the license server cannot listen on {host} port {port}: {error.strerror}",
                maybe="another license server runs there already",
                remedy="--port 0 takes a free port",
            ) from None
        yield listeners


def is_loopback(listener: socket.socket) -> bool:
    """Whether only this machine reaches it: there browsers offer EME over plain http."""
    return ip_address(listener.getsockname()[0]).is_loopback


def url_of(listener: socket.socket, scheme: str) -> str:
    """The base URL."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"
