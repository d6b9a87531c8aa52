"""HTTP as it comes over a real connection: in pieces, too long, too much at once, and answers that nobody waits for."""

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from drm.keyfile.formats import MAX_KEYS_FILE
from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer

KID, KEY = KeyId(bytes.fromhex("000102030405060708090a0b0c0d0e0f")), ContentKey(b"Zq" * 8)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()
POST = b"POST /license HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
LARGE = os.urandom(1 << 20) * 5
LIMIT = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LicenseServer]:
    published = tmp_path_factory.mktemp("published")
    for name, data in (("metadata/timestamp.json", b"{}"), ("targets/large", LARGE)):
        (published / name).parent.mkdir()
        (published / name).write_bytes(data)
    with LicenseServer(keys={KID: KEY}, components=published, trust_proxy=True) as running:
        yield running
        assert "uvicorn" not in running.log()
        assert "ASGI" not in running.log()
        assert "Traceback" not in running.log()


@pytest.fixture
def connection(server: LicenseServer) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=LIMIT) as made:
        yield made


def answers(connection: socket.socket, number: int) -> list[bytes]:
    """The status lines of so many answers that have a length, or of those that came before the end."""
    found: list[bytes] = []
    with connection.makefile("rb") as stream:
        while len(found) < number and (line := stream.readline()):
            found.append(line.strip())
            length = 0
            while header := stream.readline().strip():
                if match := re.fullmatch(rb"content-length: (\d+)", header):
                    length = int(match[1])
            stream.read(length)
    return found


def is_cut(connection: socket.socket, data: bytes, most: int) -> bool:
    """Whether the server ends the connection while so many bytes are sent, or after them."""
    try:
        for _ in range(0, most, len(data)):
            connection.sendall(data)
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def test_a_request_in_single_bytes(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in POST:
        connection.sendall(bytes([byte]))
    assert answers(connection, 1) == [b"HTTP/1.1 200 OK"]


def test_a_body_in_chunks_of_single_bytes(connection: socket.socket) -> None:
    head = b"POST /license HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection.sendall(head + b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\nX-Trailer: y\r\n\r\n" + POST)
    assert answers(connection, 2) == [b"HTTP/1.1 200 OK"] * 2


def test_several_requests_at_once_are_answered_in_turn(connection: socket.socket) -> None:
    connection.sendall(POST * 5 + b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" + POST)
    assert answers(connection, 7) == [*[b"HTTP/1.1 200 OK"] * 5, b"HTTP/1.1 404 Not Found", b"HTTP/1.1 200 OK"]


def test_far_too_many_requests_at_once_are_not(server: LicenseServer, connection: socket.socket) -> None:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n" * 2000)
    assert is_cut(connection, b"\r\n", 2)
    assert requests.get(f"{server.url}/health", timeout=LIMIT).status_code == 200


def test_a_head_is_answered_without_a_body(connection: socket.socket) -> None:
    connection.sendall(b"HEAD /components/targets/large HTTP/1.1\r\nHost: x\r\n\r\n")
    found = b""
    while not found.endswith(b"\r\n\r\n"):
        found += connection.recv(1 << 16)
    assert b"content-length: %d" % len(LARGE) in found
    connection.sendall(POST)
    assert answers(connection, 1) == [b"HTTP/1.1 200 OK"]


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ",
        b"GET /health?",
        b"POST /license HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;x=",
        b"POST /license HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Trailer: ",
    ],
    ids=["header", "address", "chunk", "trailer"],
)
def test_what_is_no_body_and_does_not_end_is_cut_off(connection: socket.socket, begun: bytes) -> None:
    connection.sendall(begun)
    assert is_cut(connection, b"a" * 4096, 16 << 20)


def test_many_small_headers_are_too_long_together(connection: socket.socket) -> None:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n")
    assert is_cut(connection, b"X-More: yes\r\n" * 100, 16 << 20)


def test_a_body_without_end_is_refused_while_it_is_sent(connection: socket.socket) -> None:
    connection.sendall(b"POST /license HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n%b\r\n" % (b"x" * 65536)
    for _ in range(0, 20 << 20, 65536):
        connection.sendall(chunk)
    assert answers(connection, 1) == [b"HTTP/1.1 413 Request Entity Too Large"]


def test_a_body_that_says_it_is_too_long_is_refused(connection: socket.socket) -> None:
    size = 2 * MAX_KEYS_FILE
    connection.sendall(b"POST /license HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
    connection.sendall(POST)
    assert answers(connection, 2) == [b"HTTP/1.1 413 Request Entity Too Large", b"HTTP/1.1 200 OK"]


def test_a_client_that_closes_after_a_long_body_reads_its_answer(server: LicenseServer) -> None:
    answer = requests.post(server.license_url, data=b"x" * (5 << 20), headers={"Connection": "close"}, timeout=LIMIT)
    assert answer.status_code == 413


def unread(server: LicenseServer) -> int:
    """Bytes that clients have sent and the server has not read, as the kernel knows of its connections."""
    port = f":{int(server.url.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    received = sum(int(row[4].partition(":")[2], 16) for row in rows if row[1].endswith(port))
    return received + sum(int(row[4].partition(":")[0], 16) for row in rows if row[2].endswith(port))


def test_long_bodies_are_not_held_without_bound(server: LicenseServer) -> None:
    """The one that makes them too many is refused; short ones, as licenses need, are taken beside them."""
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    with ExitStack() as stack:
        head = b"POST /signal HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % MAX_KEYS_FILE
        for _ in range(16):
            held = stack.enter_context(socket.create_connection(address, timeout=LIMIT))
            held.sendall(head + b"x" * (MAX_KEYS_FILE - 1))
        with socket.create_connection(address, timeout=LIMIT) as last:
            ends = time.monotonic() + LIMIT
            while unread(server) and time.monotonic() < ends:  # until what the others sent has come
                time.sleep(0.1)
            last.sendall(head + b"x" * MAX_KEYS_FILE)
            assert answers(last, 1) == [b"HTTP/1.1 503 Service Unavailable"]
            assert requests.post(server.license_url, data=BODY, timeout=LIMIT).status_code == 200
            held.sendall(b"x")
            assert answers(held, 1) == [b"HTTP/1.1 413 Request Entity Too Large"]
            last.sendall(head + b"x" * MAX_KEYS_FILE)
            assert answers(last, 1) == [b"HTTP/1.1 413 Request Entity Too Large"], "there is room again"


def test_a_long_answer_is_whole(server: LicenseServer) -> None:
    answer = requests.get(f"{server.components_url}targets/large", timeout=LIMIT)
    assert hashlib.sha256(answer.content).digest() == hashlib.sha256(LARGE).digest()


def test_an_answer_that_nobody_waits_for_is_given_up(server: LicenseServer) -> None:
    """Its file is closed, and nothing is said in the log: that is what clients do."""
    (worker,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for _ in range(10):
        with requests.get(f"{server.components_url}targets/large", stream=True, timeout=LIMIT) as answer:
            assert answer.raw.read(100) == LARGE[:100]
    ends = time.monotonic() + LIMIT
    while any(str(name.resolve()).endswith("/large") for name in Path(f"/proc/{worker}/fd").iterdir()):
        assert time.monotonic() < ends, "the file is still open"
        time.sleep(0.05)


def test_a_header_that_only_resembles_one_is_not_taken_for_it(server: LicenseServer) -> None:
    """`X_Forwarded_Proto` would be the same to an application, but a proxy that removes the right one lets it pass."""
    for name, scheme in (("X_Forwarded_Proto", "http"), ("X-Forwarded-Proto", "https")):
        page = requests.get(server.url, headers={name: "https"}, timeout=LIMIT).text
        assert f"{scheme}://127.0.0.1" in page


@pytest.mark.parametrize(
    "request_line",
    [b"GET / HTTP/9.9", b"CONNECT x:443 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"\x16\x03\x01", b"PRI * HTTP/2.0"],
)
def test_what_is_no_request_of_ours_is_refused(connection: socket.socket, request_line: bytes) -> None:
    connection.sendall(request_line + b"\r\nHost: x\r\n\r\n")
    (status,) = answers(connection, 1)
    assert status.split()[1] in (b"400", b"404", b"405")


@pytest.mark.parametrize(("upgrade", "status"), [(b"h2c", b"200 OK"), (b"websocket", b"400 Bad Request")])
def test_other_protocols_are_not_begun(connection: socket.socket, upgrade: bytes, status: bytes) -> None:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: %b\r\n\r\n" % upgrade)
    assert answers(connection, 1) == [b"HTTP/1.1 " + status]
