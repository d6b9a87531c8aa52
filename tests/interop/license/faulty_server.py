"""A license server that misbehaves, one way per path: real sockets, for clients that must survive it."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

GOOD = b'{"keys":[],"type":"temporary"}'


def _answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


FAULTS = {
    "/500": _answer("500 Internal Server Error", b"key=00112233445566778899aabbccddeeff"),
    "/500-problem": _answer(
        "500 Oh", b'{"title":"Broken","detail":"disk\\u001b[31m full\\nx"}', "Content-Type: application/problem+json"
    ),
    "/401": _answer("401 Unauthorized", b""),
    "/404": _answer("404 Not Found", b"<html>not here</html>", "Content-Type: text/html"),
    "/html": _answer("200 OK", b"<!DOCTYPE html><title>Log in</title>", "Content-Type: text/html"),
    "/empty": _answer("200 OK", b""),
    "/array": _answer("200 OK", b"[]"),
    "/garbage": _answer("200 OK", b"\x00\x01\x02 key"),
    "/redirect": _answer("302 Found", b"", "Location: http://user:pw@login.example/here?token=SECRET"),
    "/huge": _answer("200 OK", b'{"x":"' + b"A" * 1_000_000),
    "/huge-length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n" + b"A" * 200_000,
    "/endless-chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + (b"1000\r\n" + b"A" * 4096 + b"\r\n") * 50,
    "/truncated": b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"keys":[',
    "/cut-header": b"HTTP/1.1 200 O",
    "/not-http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "/gzip": _answer("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"),
    "/elsewhere": _answer(
        "403 Forbidden",
        b'{"code":"individualization_required","individualize":"http://127.0.0.1:1/steal"}',
        "Content-Type: application/problem+json",
    ),
    "/good": _answer("200 OK", GOOD),
}  # fmt: skip


@contextlib.contextmanager
def faulty_server() -> Iterator[str]:
    """Serve every fault under its path, and /silent, /drip, /drip-header; give the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            path = connection.recv(65536).split(b" ")[1].decode()
            if path in FAULTS:
                connection.sendall(FAULTS[path])
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)
                return
            if path == "/drip":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n")
            if path == "/drip-header":
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while not ended.wait(0.05):
                if path.startswith("/drip"):
                    connection.sendall(b"a")

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
        time.sleep(0.1)
