"""The server as a process: it says where it is, and it ends when it should."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import requests

from drm.errors import InvalidArgumentError, LicenseServerUnreachableError
from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer

KID, KEY = KeyId(bytes.fromhex("000102030405060708090a0b0c0d0e0f")), ContentKey(b"Zq" * 8)
PAIR = f"{KID.hex}:{KEY.secret.hex()}\n"
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()


LIMIT = 20.0  # seconds within which anything here happens, also on a machine that is busy


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.txt"
    path.write_text(PAIR)
    return path


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    return folder


def serve(*arguments: object, scratch: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "player.cli", "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )


def gone(pid: int, within: float) -> bool:
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(("how", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_serve_says_where_it_is_and_ends_when_told(keys_file: Path, scratch: Path, how: int, code: int) -> None:
    process = serve("--port", 0, "--keys-file", keys_file, scratch=scratch)
    assert process.stdout is not None
    line = process.stdout.readline()
    url = line.removeprefix("license server: ").strip()
    assert line == f"license server: {url}\n"
    assert requests.post(f"{url}/license", data=BODY, timeout=5).status_code == 200
    assert list(scratch.iterdir()), "no temporary store: its removal would prove nothing"
    process.send_signal(how)
    out, err = process.communicate(timeout=5)
    assert process.returncode == code
    assert not list(scratch.iterdir())
    assert out == ""
    assert "Traceback" not in err
    assert KEY.secret.hex() not in err


def test_a_port_in_use_is_one_paragraph(keys_file: Path, scratch: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        out, err = serve("--port", port, "--keys-file", keys_file, scratch=scratch).communicate(timeout=10)
    assert out == ""
    assert err.startswith(f"error: the license server cannot listen on 127.0.0.1 port {port}: Address already in use")
    assert "--port 0" in err
    assert "Traceback" not in err


def test_a_bad_keys_file_is_one_paragraph(tmp_path: Path, scratch: Path) -> None:
    (tmp_path / "bad").write_text("00:11")
    process = serve("--port", 0, "--keys-file", tmp_path / "bad", scratch=scratch)
    _, err = process.communicate(timeout=10)
    assert process.returncode == 3
    assert "line 1" in err
    assert "Traceback" not in err


def test_a_store_outlives_the_server(tmp_path: Path, keys_file: Path) -> None:
    store = tmp_path / "keys.db"
    with LicenseServer(keys_file=keys_file, store=store) as server:
        assert requests.post(server.license_url, data=BODY, timeout=5).status_code == 200
    with LicenseServer(store=store) as server:
        assert requests.post(server.license_url, data=BODY, timeout=5).status_code == 200


def test_keys_are_in_no_argument_environment_or_file(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with LicenseServer(keys={KID: KEY}) as server:
        places = [Path(f"/proc/{server.pid}/{name}") for name in ("cmdline", "environ")]
        places += [path for path in scratch.rglob("*") if path.is_file()]
        assert len(places) > 2
        for place in places:
            data = place.read_bytes()
            assert KEY.secret not in data
            assert KEY.secret.hex().encode() not in data


def test_the_context_manager_ends_it() -> None:
    server = LicenseServer(keys={KID: KEY})
    with server:
        pid = server.pid
        assert server.url.startswith("http://127.0.0.1:")
    assert gone(pid, LIMIT)
    assert server.stop() is None


def test_it_ends_by_itself_with_code_0() -> None:
    server = LicenseServer(keys={KID: KEY})
    server.__enter__()
    assert server.stop() == 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_gone_when_its_parent_is(scratch: Path, how: int) -> None:
    program = (
        "import sys, time; from license_server.process import LicenseServer; from drm.keys import *\n"
        "with LicenseServer(keys={KeyId(bytes(16)): ContentKey(bytes(16))}) as server:\n"
        "    print(server.pid, server.url, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(scratch)}
    )
    assert parent.stdout is not None
    pid, url = parent.stdout.readline().split()
    assert requests.get(f"{url}/health", timeout=5).status_code == 200
    parent.send_signal(how)
    parent.wait(5)
    parent.stdout.close()
    assert gone(int(pid), LIMIT)
    assert not list(scratch.iterdir()), "the temporary store is left behind"


def test_it_outlives_the_thread_that_started_it() -> None:
    from threading import Thread

    server = LicenseServer(keys={KID: KEY})
    starter = Thread(target=server.__enter__)
    starter.start()
    starter.join()
    try:
        time.sleep(0.5)
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
    finally:
        server.stop()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "keys.db").write_text("no database " * 100)
    with (
        pytest.raises(LicenseServerUnreachableError) as raised,
        LicenseServer(store=tmp_path / "keys.db", keys={KID: KEY}),
    ):
        pass
    assert "not a key store" in raised.value.seen or "key-encryption key" in raised.value.seen


def test_a_server_with_nothing_to_serve() -> None:
    with pytest.raises(InvalidArgumentError):
        LicenseServer()


def test_the_fixture(clearkey_servers) -> None:
    one, other = (clearkey_servers(keys={KID: KEY}) for _ in range(2))
    assert one.url != other.url
    assert requests.get(f"{other.url}/health", timeout=5).json()["keys"] == 1


def test_to_start_a_server_costs_neither_a_database_nor_a_web_server() -> None:
    """What a program imports for `LicenseServer` is what says where to start it; the rest is the other process's."""
    heavy = {"sqlalchemy", "flask", "cryptography", "joserfc", "alembic", "gunicorn", "uvicorn", "prometheus_client"}
    code = "import sys\nfrom license_server.process import LicenseServer\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(run.stdout.split())
    assert "license_server.process" in loaded
    assert not heavy & loaded
