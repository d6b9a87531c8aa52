"""Clients that send or read slowly, or say nothing: others are answered beside them, and each is cut off in the end.

Each attack lasts CLEARKEY_SLOW_CLIENTS seconds (`make soak`: 120), or as long as it takes to see what it does. How
long answers take is printed, and asserted in a soak alone.
"""

import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import requests
from werkzeug.serving import make_server

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from license_server.serving.connections import BODY, HEADER
from tests.unit.license_server.serving import tricklers

KID, KEY = KeyId(bytes.fromhex("000102030405060708090a0b0c0d0e0f")), ContentKey(b"Zq" * 8)
BODY_SENT = b'{"kids":["%b"]}' % KID.base64url.encode()
SOAK = float(os.environ.get("CLEARKEY_SLOW_CLIENTS", "0"))
SECONDS = SOAK or 3.0
NUMBERS = (1, 4, 50, 500)
LIMIT = 20.0  # seconds within which anything here happens, also on a machine that is busy
pytestmark = pytest.mark.timeout(SECONDS * 3 + 120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LicenseServer]:
    """One worker, which all attacks of this module share, one after another; one file that it serves is large."""
    published = tmp_path_factory.mktemp("published")
    for name, size in (("metadata/timestamp.json", 2), ("targets/large", 16 << 20)):
        (published / name).parent.mkdir()
        (published / name).write_bytes(b"x" * size)
    with LicenseServer(keys={KID: KEY}, components=published) as running:
        yield running


@pytest.fixture(scope="module")
def own(server: LicenseServer) -> int:
    """The sockets that its worker has by itself."""
    return sockets(worker_of(server))


@pytest.fixture(scope="module")
def quiet(server: LicenseServer, own: int) -> float:
    """The p99 of an honest client that is alone, in seconds."""
    return p99(honest(server.license_url, SECONDS))


def worker_of(server: LicenseServer) -> int:
    (worker,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return int(worker)


def descriptors(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


def sockets(process: int) -> int:
    found = 0
    for name in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):  # closed since it was listed
            found += str(name.readlink()).startswith("socket:")
    return found


def memory(process: int) -> int:
    """Bytes that are resident."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def port_of(server: LicenseServer) -> int:
    return int(server.url.rpartition(":")[2])


def honest(url: str, seconds: float) -> list[float]:
    """Ask for licenses, over one connection and over new ones in turn; return how long each took. All must be given."""
    times, ends = [], time.monotonic() + seconds
    with requests.Session() as session:
        while time.monotonic() < ends or len(times) < 3:
            began = time.monotonic()
            ask = session.post if len(times) % 2 else requests.post
            answer = ask(url, data=BODY_SENT, timeout=LIMIT)
            times.append(time.monotonic() - began)
            assert answer.status_code == 200
            time.sleep(0.01)
    return times


def wait_for_sockets(worker: int, number: int) -> None:
    ends = time.monotonic() + LIMIT
    while (found := sockets(worker)) != number:
        assert time.monotonic() < ends, f"{found} sockets are open, and not {number}"
        time.sleep(0.05)


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[-1]


@contextmanager
def attack(port: int, kind: str, number: int) -> Iterator[None]:
    words = [sys.executable, tricklers.__file__, str(port), kind, str(number)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], LIMIT)[0], "the attack does not begin"
            assert process.stdout.readline() == "attacking\n"
            yield
        finally:
            process.kill()


@pytest.mark.parametrize("kind", tricklers.KINDS)
@pytest.mark.parametrize("number", NUMBERS)
def test_others_are_answered_beside_slow_clients(
    server: LicenseServer, own: int, quiet: float, kind: str, number: int
) -> None:
    worker = worker_of(server)
    wait_for_sockets(worker, own)
    with attack(port_of(server), kind, number):
        honest(server.license_url, 1)  # what the attack takes is taken
        assert sockets(worker) >= own + number, "no attack: a pass would prove nothing"
        held, resident = descriptors(worker), memory(worker)
        times = honest(server.license_url, SECONDS)
        assert descriptors(worker) <= held + 8
        assert memory(worker) <= resident + (32 << 20)
    assert worker_of(server) == worker, "the worker was replaced"
    print(f"{number} {kind}: p99 {p99(times) * 1000:.1f} ms, alone {quiet * 1000:.1f} ms, {len(times)} answers")
    if SOAK:
        assert p99(times) <= 5 * quiet
    wait_for_sockets(worker, own)  # what clients closed is closed


def test_a_slow_client_is_cut_off_though_bytes_come(server: LicenseServer) -> None:
    """The time is for the whole, not for each byte; and who waits for the server is not cut off with the others."""
    after: dict[str, float] = {}

    def one(kind: str) -> None:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=BODY + LIMIT) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.sendall(tricklers.opening(kind))
            while time.monotonic() - began < BODY + LIMIT:
                try:
                    if kind in ("headers", "bodies"):
                        connection.sendall(b"a")
                    if select.select([connection], [], [], 0.2)[0] and not connection.recv(1):
                        break
                except OSError:
                    break
            after[kind] = time.monotonic() - began

    threads = [threading.Thread(target=one, args=(kind,)) for kind in ("headers", "bodies", "silent")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert after["headers"] >= HEADER
    assert after["silent"] >= HEADER
    assert after["bodies"] >= BODY
    assert max(after.values()) < BODY + LIMIT


def test_a_client_that_does_not_finish_tls_is_cut_off() -> None:
    with LicenseServer(keys={KID: KEY}, tls=True) as server:
        with socket.create_connection(("127.0.0.1", port_of(server)), timeout=HEADER + LIMIT) as connection:
            assert connection.recv(1) == b""
        with pytest.raises(requests.exceptions.SSLError):  # it goes on: this one does, and does not trust it
            requests.get(f"{server.url}/health", timeout=LIMIT)


def test_the_control_a_server_without_such_care_starves() -> None:
    """The same attack, on a server that reads requests as they come: an honest client is not answered."""

    def hello(_environ, start_response):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]

    plain = make_server("127.0.0.1", 0, hello)
    thread = threading.Thread(target=plain.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{plain.server_port}/license"
    assert requests.post(url, data=BODY_SENT, timeout=LIMIT).status_code == 200
    with attack(plain.server_port, "headers", 1), pytest.raises(requests.Timeout):
        requests.post(url, data=BODY_SENT, timeout=2)
    plain.shutdown()
    thread.join()
    plain.server_close()


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """As many as this process may have, and their number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_ten_thousand_idle_connections_keep_nobody_out(server: LicenseServer, many_descriptors: int) -> None:
    number = min(10_000, many_descriptors - 512)
    with ExitStack() as held:
        for _ in range(number):
            held.enter_context(socket.create_connection(("127.0.0.1", port_of(server)), timeout=LIMIT))
        seen = descriptors(worker_of(server))
        times = honest(server.license_url, min(SECONDS, HEADER))
    print(f"{number} idle connections, {seen} descriptors: p99 {p99(times) * 1000:.1f} ms")
    assert seen > number / 2
