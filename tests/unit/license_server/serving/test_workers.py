"""Several processes behind one port: none is left behind, and one that dies is replaced."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from drm.errors import LicenseServerUnreachableError
from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from tests.unit.license_server.store_places import StorePlace

KID, KEY = KeyId(bytes.fromhex("000102030405060708090a0b0c0d0e0f")), ContentKey(b"Zq" * 8)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()


def children(process: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def is_gone(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(holds: Callable[[], bool], within: float) -> bool:
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


def ask(server: LicenseServer) -> int:
    return requests.post(server.license_url, data=BODY, timeout=5).status_code


def test_a_worker_that_is_killed_is_replaced_and_its_clients_are_answered(store_place: StorePlace) -> None:
    with LicenseServer(keys={KID: KEY}, workers=2, **store_place.named) as server:
        before = children(server.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        assert {ask(server) for _ in range(20)} == {200}
        assert until(lambda: len(children(server.pid)) == 2 and before[0] not in children(server.pid), 5)
        os.kill(before[1], signal.SIGKILL)
        assert until(lambda: len(children(server.pid)) == 2 and before[1] not in children(server.pid), 5)
        assert {ask(server) for _ in range(20)} == {200}  # the new ones open keys too
        assert "is replaced" in server.log()
        assert "clearkey_worker_restarts_total 2.0" in requests.get(f"{server.url}/metrics", timeout=5).text


def test_workers_end_with_a_killed_main_process() -> None:
    server = LicenseServer(keys={KID: KEY}, workers=3)
    server.__enter__()
    workers = children(server.pid)
    assert len(workers) == 3
    os.kill(server.pid, signal.SIGKILL)
    try:
        assert until(lambda: all(map(is_gone, workers)), 5), "a worker is left behind"
    finally:
        server.stop()
    with pytest.raises(requests.ConnectionError):
        ask(server)


def test_what_is_under_way_is_answered_before_the_end() -> None:
    server = LicenseServer(keys={KID: KEY}, faults=True)
    server.__enter__()
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=5) as connection:
        head = f"POST /license?fault=delay-0.8 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
        connection.sendall(head.encode() + BODY)
        time.sleep(0.3)
        assert server.stop() == 0
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert KID.base64url.encode() in answer


def test_many_idle_connections_keep_nobody_out() -> None:
    with LicenseServer(keys={KID: KEY}) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        held = [socket.create_connection(address, timeout=5) for _ in range(400)]
        try:
            assert ask(server) == 200
        finally:
            for connection in held:
                connection.close()


def test_two_servers_do_not_share_a_port() -> None:
    with LicenseServer(keys={KID: KEY}) as server, pytest.raises(LicenseServerUnreachableError) as raised:
        LicenseServer(keys={KID: KEY}, port=int(server.url.rpartition(":")[2])).__enter__()
    assert "Address already in use" in raised.value.seen


def test_the_debug_server_is_flask_alone() -> None:
    with LicenseServer(keys={KID: KEY}, debug=True) as server:
        answer = requests.post(server.license_url, data=BODY, timeout=5)
        assert answer.status_code == 200
        assert answer.headers["Server"] == "clearkey"
        assert children(server.pid) == []


def test_the_certificate_of_a_run_is_told_and_good_for_its_clients(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KID.hex}:{KEY.secret.hex()}\n")
    command = [sys.executable, "-m", "player.cli", "serve", "--port", "0", "--keys-file", str(tmp_path / "keys")]
    process = subprocess.Popen(
        [*command, "--tls", "--tls-save", str(tmp_path / "cert.pem")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("license server: ").strip()
    try:
        assert url.startswith("https://127.0.0.1:")
        answer = requests.post(f"{url}/license", data=BODY, verify=str(tmp_path / "cert.pem"), timeout=5)
        assert answer.status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(f"{url}/license", data=BODY, timeout=5)
        assert [path.name for path in tmp_path.iterdir() if b"PRIVATE" in path.read_bytes()] == []
    finally:
        process.terminate()
        _, err = process.communicate(timeout=10)
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    made = x509.load_pem_x509_certificate((tmp_path / "cert.pem").read_bytes())
    assert made.fingerprint(hashes.SHA256()).hex(":").upper() in err


def test_plain_http_beyond_this_machine_is_warned_of(tmp_path: Path) -> None:
    with LicenseServer(keys={KID: KEY}, host="0.0.0.0") as server:
        assert "EME needs HTTPS" in server.log()
    with LicenseServer(keys={KID: KEY}) as server:
        assert "HTTPS" not in server.log()
