"""A small load generator over raw sockets, for servers on this machine: keep-alive, one request at a time on each.

It has one thread and knows what an answer must begin with; one that begins otherwise ends the run.
"""

from __future__ import annotations

import contextlib
import select
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
    clock = time.perf_counter
    with contextlib.ExitStack() as held:
        poll = held.enter_context(select.epoll())
        sockets: dict[int, socket.socket] = {}
        for _ in range(connections):
            made = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=_LIMIT))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            poll.register(made, select.EPOLLIN)
            sockets[made.fileno()] = made
        began = now = clock()
        sent = dict.fromkeys(sockets, began)
        got = dict.fromkeys(sockets, b"")
        for each in sockets.values():
            each.sendall(next(turn))
        while now - began < seconds:
            ready = poll.poll(_LIMIT)
            if not ready:
                raise RuntimeError("the server stopped answering")
            for number, _ in ready:
                each = sockets[number]
                data = got[number] + each.recv(65536)
                if not _is_whole(data):
                    got[number] = data
                    continue
                now = clock()
                taken.append(now - sent[number])
                sent[number], got[number] = now, b""
                each.sendall(next(turn))
    ordered = sorted(taken)
    return Load(len(taken) / seconds, statistics.median(ordered) * 1e3, ordered[int(len(ordered) * 0.99)] * 1e3)


def _is_whole(data: bytes) -> bool:
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return False
    if not data.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the server answered {data[:300]!r}")
    at = data.find(b"content-length: ", 0, end) + 16
    return at > 15 and len(data) >= end + 4 + int(data[at : data.find(b"\r\n", at)])


def _endless(requests: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from requests
