"""A server over sockets that sends what a test says: no HTTP library would send most of it."""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

Answer = Callable[["Peer"], bool | None]

BODY = b"0123456789" * 10


class Peer:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket, ending: threading.Event) -> None:
        self._connection, self._ending = connection, ending

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def sleep(self, seconds: float) -> bool:
        """Whether the test goes on."""
        return not self._ending.wait(seconds)

    def drip(self, data: bytes, every: float) -> None:
        for byte in data:
            self.send(bytes([byte]))
            if not self.sleep(every):
                return

    def reset(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close sends RST
        self._connection.close()

    def is_left(self, within: float) -> bool:
        """Whether the client closes the connection."""
        self._connection.settimeout(within)
        try:
            return self._connection.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True


class Server:
    """Gives each request the next of `answers`, and the last one from then on."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: list[Answer] = [whole()]
        self.heads: list[bytes] = []
        self.connections = 0
        self.left: list[bool] = []
        self._ending = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/targets/it.zip?token=hidden"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        with connection, suppress(OSError):
            if self._tls is not None:
                with self._tls.wrap_socket(connection, server_side=True) as secured:
                    self._talk(secured)
            elif connection.recv(1, socket.MSG_PEEK) != b"\x16":  # TLS
                self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        peer = Peer(connection, self._ending)
        with connection.makefile("rb") as reader:
            stays: bool | None = True
            while stays:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    line = reader.readline()
                    if not line:
                        return
                    head += line
                self.heads.append(head)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                stays = answer(peer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._ending.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(12)


def head(status: str = "200 OK", length: int | None = len(BODY), *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Date: Tue, 03 Mar 2026 04:05:06 GMT", *more]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def whole(body: bytes = BODY, status: str = "200 OK", *more: str, stays: bool = False) -> Answer:
    def answer(peer: Peer) -> bool:
        peer.send(head(status, len(body), *more) + body)
        return stays

    return answer


def raw(data: bytes) -> Answer:
    return lambda peer: peer.send(data)


def then(first: bytes, act: Callable[[Peer], object]) -> Answer:
    def answer(peer: Peer) -> None:
        peer.send(first)
        act(peer)

    return answer


def flood(first: bytes, more: bytes) -> Answer:
    def answer(peer: Peer) -> None:
        peer.send(first)
        while peer.sleep(0):
            peer.send(more)

    return answer


def threads_beside() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "clearkey-beside"]


def ended_within(seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while threads_beside() and time.monotonic() < ends:
        time.sleep(0.01)
    return not threads_beside()
