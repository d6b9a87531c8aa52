"""A small load generator over raw sockets, for servers on this machine: keep-alive, one request at a time on each.

It has one thread and knows what an answer must begin with; one that begins otherwise ends the run.
"""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

__all__ = ["Load", "load", "request"]

CONNECTIONS: Final = 16
_LIMIT: Final = 10.0  # seconds without an answer


class Load(NamedTuple):
    """What one run found."""

    rate: float  # answers in a second
    p50: float  # milliseconds
    p99: float


def request(path: str, body: bytes, *headers: str) -> bytes:
    """The bytes of a POST."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def load(port: int, requests: Sequence[bytes], seconds: float, connections: int = CONNECTIONS) -> Load:
    """Send `requests` over and over for so long. Raises RuntimeError for any answer but 200."""
    turn = _endless(requests)
    taken: list[float] = []
    with selectors.DefaultSelector() as selector:
        sockets = [socket.create_connection(("127.0.0.1", port), timeout=_LIMIT) for _ in range(connections)]
        sent: dict[int, float] = {}
        got: dict[int, bytes] = {}
        for each in sockets:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(each, selectors.EVENT_READ)
        began = time.perf_counter()
        for each in sockets:
            sent[each.fileno()] = time.perf_counter()
            each.sendall(next(turn))
        while (now := time.perf_counter()) - began < seconds:
            ready = selector.select(_LIMIT)
            if not ready:
                raise RuntimeError("the server stopped answering")
            for key, _ in ready:
                asked, number = key.fileobj, key.fd
                assert isinstance(asked, socket.socket)
                data = got.pop(number, b"") + asked.recv(65536)
                if not _is_whole(data):
                    got[number] = data
                    continue
                now = time.perf_counter()
                taken.append(now - sent[number])
                sent[number] = now
                asked.sendall(next(turn))
        for each in sockets:
            each.close()
    ordered = sorted(taken)
    return Load(len(taken) / seconds, statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3)


def _is_whole(data: bytes) -> bool:
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        return False
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the server answered {data[:300]!r}")
    at = head.lower().index(b"content-length:") + 15
    return len(body) >= int(head[at:].partition(b"\r\n")[0])


def _endless(requests: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests
