"""The configuration of nginx that docs/how-to/license-server.md shows, in a real nginx before a real server."""

import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from license_server.serving.tls import make_certificate

KID, KEY = KeyId(bytes.fromhex("000102030405060708090a0b0c0d0e0f")), ContentKey(b"Zq" * 8)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()
PAGE = Path(__file__).parents[4] / "docs/how-to/license-server.md"
LARGE = os.urandom(1 << 20) * 5
LIMIT = 20.0
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed")


@dataclass
class Behind:
    """A server and the nginx before it."""

    server: LicenseServer
    url: str
    port: int
    folder: Path

    def session(self) -> requests.Session:
        made = requests.Session()
        made.trust_env = False  # a REQUESTS_CA_BUNDLE would win over the next line
        made.verify = str(self.folder / "cert.pem")
        return made


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    folder = tmp_path_factory.mktemp("nginx")
    for name, data in (("metadata/timestamp.json", b"{}"), ("targets/large", LARGE)):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(data)
    certificate = make_certificate("127.0.0.1")
    (folder / "cert.pem").write_bytes(certificate.chain.read_bytes())
    (folder / "key.pem").write_bytes(certificate.key.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with LicenseServer(keys={KID: KEY}, components=folder, trust_proxy=True) as server:
        (shown,) = re.findall(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
        for there, here in (
            ("127.0.0.1:8700", server.url.removeprefix("http://")),
            ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
            ("/etc/ssl/keys.example.test.pem", f"{folder}/cert.pem"),
            ("/etc/ssl/keys.example.test.key", f"{folder}/key.pem"),
            ("/var/log/nginx/clearkey.log", f"{folder}/access.log"),
        ):
            assert there in shown
            shown = shown.replace(there, here)
        places = "".join(
            f"{name}_temp_path {folder}/temp;" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "nginx.conf").write_text(
            f"daemon off; {user} pid {folder}/pid; error_log {folder}/error.log;\nevents {{}}\n"
            f"http {{ {places}\n{shown}\n}}\n"
        )
        process = subprocess.Popen([str(NGINX), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"])
        try:
            made = Behind(server, f"https://127.0.0.1:{port}", port, folder)
            ends = time.monotonic() + LIMIT
            while True:
                try:
                    made.session().get(f"{made.url}/health", timeout=LIMIT).raise_for_status()
                    break
                except requests.ConnectionError:
                    assert process.poll() is None, (folder / "error.log").read_text()
                    assert time.monotonic() < ends
                    time.sleep(0.05)
            yield made
        finally:
            process.terminate()
            process.wait(LIMIT)


def test_licenses_come_through(behind: Behind) -> None:
    with behind.session() as session:
        for _ in range(50):
            answer = session.post(f"{behind.url}/license", data=BODY, timeout=LIMIT)
            assert answer.status_code == 200
            assert KID.base64url in answer.text


def test_urls_are_those_of_the_proxy_whatever_a_client_says(behind: Behind) -> None:
    evil = {
        "Forwarded": "host=evil.example;proto=http",
        "X-Forwarded-Host": "evil.example",
        "X_Forwarded_Proto": "http",
    }
    for headers in ({}, evil):
        with behind.session() as session:
            page = session.get(behind.url, headers=headers, timeout=LIMIT).text
        assert f"POST license requests to {behind.url}/license" in page


def test_a_long_answer_and_a_long_body_are_whole(behind: Behind) -> None:
    with behind.session() as session:
        answer = session.get(f"{behind.url}/components/targets/large", timeout=LIMIT)
        assert hashlib.sha256(answer.content).digest() == hashlib.sha256(LARGE).digest()
        for size, status in ((3 << 20, 413), (5 << 20, 413)):  # the server's word, and nginx's
            answer = session.post(f"{behind.url}/license", data=b"x" * size, timeout=LIMIT)
            assert answer.status_code == status
            assert ("problem+json" in answer.headers["Content-Type"]) == (size < 4 << 20)


def test_the_log_has_no_token(behind: Behind) -> None:
    with behind.session() as session:
        session.post(f"{behind.url}/license?token=s3cr3t", data=BODY, timeout=LIMIT)
    ends = time.monotonic() + LIMIT
    while "POST /license" not in (log := (behind.folder / "access.log").read_text()):
        assert time.monotonic() < ends
        time.sleep(0.05)
    assert "s3cr3t" not in log


def test_the_server_never_meets_a_slow_client(behind: Behind) -> None:
    (worker,) = Path(f"/proc/{behind.server.pid}/task/{behind.server.pid}/children").read_text().split()
    before = len(list(Path(f"/proc/{worker}/fd").iterdir()))
    trusting = ssl.create_default_context(cafile=str(behind.folder / "cert.pem"))
    with ExitStack() as held, behind.session() as session:
        for _ in range(50):
            plain = held.enter_context(socket.create_connection(("127.0.0.1", behind.port), timeout=LIMIT))
            slow = held.enter_context(trusting.wrap_socket(plain, server_hostname="127.0.0.1"))
            slow.sendall(b"POST /license HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        for _ in range(20):
            assert session.post(f"{behind.url}/license", data=BODY, timeout=LIMIT).status_code == 200
        assert len(list(Path(f"/proc/{worker}/fd").iterdir())) <= before + 16
