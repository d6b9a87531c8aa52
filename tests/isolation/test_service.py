"""Level 3: an application of one account, workers of another, real processes of both."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from drm.wire.service import VERSION, Ended, Refused, Start, Started, decode_message, encode_message
from license_server.process import LicenseServer
from tests.isolation.ordinary_user import NOBODY, OrdinaryUser
from tests.isolation.pmp_service import SERVICE_UID, PMPService, running_service

VECTOR = Path(__file__).parents[1] / "data" / "vectors" / "generated" / "pk_cenc_iv8_v.mp4"
KEY = "10000000100010001000100000000001:3a2a1b68dd2bd9b2eeb25e84c4776668"
REACHES = ("read_maps", "read_memory_file", "read_environment", "list_descriptors", "read_registers", "attach", "seize",
           "read_memory", "write_memory", "take_descriptor", "kill", "stop", "limit", "set_affinity", "set_priority",
           "kill_service", "read_device_key")  # fmt: skip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a service under another account")


@pytest.fixture(scope="module")
def root(ordinary_user: OrdinaryUser) -> Path:
    """The root that vouches for the components of the copy that is installed: the user's own development authority."""
    run_clearkey(ordinary_user, "doctor")
    (found,) = ordinary_user.home.glob(".local/share/clearkey/trust/development/*/repository/metadata/1.root.json")
    path = ordinary_user.home.parent / "root.json"
    shutil.copy(found, path)
    path.chmod(0o644)
    return path


@pytest.fixture(scope="module")
def service(ordinary_user: OrdinaryUser, root: Path) -> Iterator[PMPService]:
    folder = ordinary_user.home.parent / "service"
    folder.mkdir()
    with running_service(ordinary_user, folder, "--root", root, "--workers-per-user", 3) as running:
        yield running


@pytest.fixture(scope="module")
def film(ordinary_user: OrdinaryUser) -> Path:
    path = ordinary_user.home.parent / "film.mp4"
    shutil.copy(VECTOR, path)
    path.chmod(0o644)
    return path


def run_clearkey(user: OrdinaryUser, *words: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    return user.run([str(user.python), str(user.python.parent / "clearkey"), *map(str, words)], check=check)


def as_nobody(user: OrdinaryUser, code: str, *words: object) -> dict:
    """Run Python as the application's account; what it prints is JSON."""
    run = user.run([str(user.python), "-c", code, *map(str, words)])
    return json.loads(run.stdout)


# ------------------------------------------------------------------------------------------------ what works
def test_what_plays_at_level_2_plays_at_level_3(ordinary_user, service: PMPService, film: Path) -> None:
    own, theirs = ordinary_user.home / "own.txt", ordinary_user.home / "theirs.txt"
    run_clearkey(ordinary_user, "play", film, "--key", KEY, "--framemd5", own)
    ran = run_clearkey(
        ordinary_user, "play", film, "--key", KEY, "--framemd5", theirs, "--service", service.socket, "--min-level", 3
    )
    assert "isolation level 3 (service)" in ran.stderr
    assert own.read_text() == theirs.read_text()
    assert own.read_text().count("\n") > 72


def test_the_report_says_what_was_probed(ordinary_user, service: PMPService) -> None:
    report = json.loads(run_clearkey(ordinary_user, "doctor", "--json", "--service", service.socket).stdout)
    assert report["level"] == 3
    assert set(report["layers"].values()) == {"yes"}
    assert {"own_account", "own_device_key", "code_not_writable"} <= set(report["layers"])


def test_without_a_service_level_3_is_refused_by_name(ordinary_user, film: Path) -> None:
    ran = run_clearkey(ordinary_user, "play", film, "--key", KEY, "--min-level", 3, check=False)
    assert ran.returncode == 9
    assert "no PMP service" in ran.stderr


def test_a_license_may_demand_it(ordinary_user, service: PMPService, film: Path, tmp_path: Path) -> None:
    """It is issued to the service's device once that is enrolled; the user's own device never has the level."""
    kid, key = KeyId.parse(KEY.split(":", maxsplit=1)[0]), ContentKey.parse(KEY.split(":")[1])
    store = tmp_path / "keys.db"
    devices = [sys.executable, "-m", "player.cli", "keys", "devices", "--store", str(store)]
    with LicenseServer(keys={kid: key}, policies={kid: Policy(min_level=3)}, store=store) as server:

        def play(*words: object) -> subprocess.CompletedProcess[str]:
            url = ("--license-url", server.license_url)
            return run_clearkey(ordinary_user, "play", film, *url, *words, check=False)

        assert "level_too_low" in play().stderr
        own = subprocess.run(devices, capture_output=True, text=True, check=True).stdout.split()[0]
        assert "level_too_low" in play("--service", service.socket).stderr
        rows = subprocess.run(devices, capture_output=True, text=True, check=True).stdout.splitlines()
        (theirs,) = {row.split()[0] for row in rows} - {own}
        subprocess.run([*devices, "--enrol", own, "--enrol", theirs], capture_output=True, check=True)
        ran = play("--service", service.socket)
        assert ran.returncode == 0, ran.stderr
        assert "isolation level 3 (service), license_path: sealed" in ran.stderr
        assert play().returncode == 8


# ------------------------------------------------------------------------------------------------ attacks
@pytest.fixture(scope="module")
def attacked(ordinary_user, service: PMPService) -> dict:
    program = ordinary_user.home.parent / "programs" / "service_worker.py"
    return json.loads(
        ordinary_user.run(
            [str(ordinary_user.python), str(program), str(service.socket), str(service.device_key)]
        ).stdout
    )


def test_the_list_of_attacks_is_whole(attacked: dict) -> None:
    assert set(attacked["outcomes"]) == set(REACHES)


@pytest.mark.parametrize("attack", REACHES)
def test_the_application_reaches_nothing_of_the_other_account(attacked: dict, attack: str) -> None:
    """The controls are those of test_outside.py; signals, limits and priorities succeed on a worker of one's own."""
    assert attacked["outcomes"][attack].startswith("refused: E"), attacked["outcomes"][attack]


def test_the_worker_outlives_the_attacks_and_ends_with_its_application(attacked: dict) -> None:
    assert attacked["alive"]
    assert attacked["gone"]


def test_an_applications_own_root_is_not_taken(ordinary_user, root: Path, film: Path, tmp_path: Path) -> None:
    """The service pins another root; the development authority of the application vouches for nothing there."""
    folder = ordinary_user.home.parent / "pinned"
    folder.mkdir()
    other = folder / "other.json"
    other.write_bytes(root.read_bytes() + b"\n")
    other.chmod(0o644)
    with running_service(ordinary_user, folder, "--root", other) as running:
        ran = run_clearkey(
            ordinary_user, "play", film, "--key", KEY, "--service", running.socket, "--min-level", 3, check=False
        )
    assert ran.returncode == 7
    assert "its own root" in ran.stderr


def test_code_that_the_service_can_write_makes_no_level_3(ordinary_user, tmp_path: Path) -> None:
    folder = ordinary_user.home.parent / "writable"
    folder.mkdir()
    package = next((ordinary_user.python.parent.parent / "lib").glob("python3*/site-packages/drm"))
    told = package.stat()
    os.chown(package, SERVICE_UID, told.st_gid)
    try:
        with running_service(ordinary_user, folder) as running:
            ran = run_clearkey(ordinary_user, "doctor", "--json", "--service", running.socket)
    finally:
        os.chown(package, told.st_uid, told.st_gid)
    report = json.loads(ran.stdout)
    assert report["level"] == 2
    assert report["layers"]["code_not_writable"] == f"no: {package}"


def test_a_service_of_ones_own_account_is_refused(service: PMPService) -> None:
    code = f"from drm.app.service_process import ServiceProcess\nServiceProcess({str(service.socket)!r})"
    environment = {"PATH": os.defpath, "HOME": "/"}
    python = next(Path(service.socket).parent.parent.glob("env/bin/python3"))
    ran = subprocess.run(
        [python, "-c", code], user=SERVICE_UID, group=SERVICE_UID, extra_groups=[], env=environment, cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "the PMP service runs under your own account" in ran.stderr


# ------------------------------------------------------------------------------------------------ hostile peers
def connected(service: PMPService) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(service.socket))  # waits for room in the queue, which one with a timeout does not
    connection.settimeout(30)
    return connection


@pytest.mark.parametrize(
    "packet",
    [b"\0" * 100, b"{}", b'{"type":"start"}', b"[" * 60_000, b'{"type":"end"}', encode_message(Ended("no"))],
    ids=["zeros", "empty", "half", "nested", "out of turn", "of the other side"],
)
def test_what_is_no_request_ends_its_connection_alone(service: PMPService, packet: bytes) -> None:
    with connected(service) as connection:
        connection.send(packet)
        assert connection.recv(1 << 16) == b""
    assert service.process.poll() is None
    assert start(service).pid


@pytest.mark.parametrize(
    "asked",
    [Start(VERSION + 1, "cryptography", 1), Start(VERSION, "../../evil", 1), Start(VERSION, "cryptography", 4)],
    ids=["version", "engine", "level"],
)
def test_what_is_not_served_is_refused_by_name(service: PMPService, asked: Start) -> None:
    with connected(service) as connection:
        connection.send(encode_message(asked))
        assert isinstance(decode_message(connection.recv(1 << 16), Refused | Started), Refused)
    assert service.workers == []


def start(service: PMPService) -> Started:
    """A worker, begun and left: it has to end by itself."""
    with connected(service) as connection:
        connection.send(encode_message(Start(VERSION, "cryptography", 1)))
        packet, fds, _, _ = socket.recv_fds(connection, 1 << 16, 4)
        told = decode_message(packet, Refused | Started)
        for fd in fds:
            os.close(fd)
    assert isinstance(told, Started), told
    until(lambda: told.pid not in service.workers)
    return told


def until(is_so) -> None:
    end = time.monotonic() + 30
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    assert is_so()


def test_a_user_gets_so_many_workers_and_another_user_gets_his_own(ordinary_user, service: PMPService) -> None:
    code = (
        "import json, sys\n"
        "from drm.app.service_process import ServiceProcess\n"
        "from drm.errors import IsolationError\n"
        "held = []\n"
        "try:\n"
        "    for _ in range(9): held.append(ServiceProcess(sys.argv[1]))\n"
        "except IsolationError as error: said = error.what\n"
        "input_ = sys.stdin.readline()\n"
        "print(json.dumps({'held': len(held), 'said': said}), flush=True)\n"
        "sys.stdin.readline()\n"
    )
    holder = ordinary_user.popen([str(ordinary_user.python), "-c", code, str(service.socket)], stdin=subprocess.PIPE)
    try:
        holder.stdin.write("\n")
        holder.stdin.flush()
        told = json.loads(holder.stdout.readline())
        assert told == {"held": 3, "said": "the PMP service runs as many workers as it may"}
        assert len(service.workers) == 3
        assert start(service).pid  # root's, here: another user
    finally:
        holder.kill()  # without a word
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    until(lambda: service.workers == [])


def test_who_connects_and_says_nothing_keeps_nobody_out(ordinary_user, service: PMPService) -> None:
    code = (
        "import socket, sys, time\n"
        "held = []\n"
        "for _ in range(300):\n"
        "    held.append(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))\n"
        "    held[-1].settimeout(0.2)\n"
        "    try: held[-1].connect(sys.argv[1])\n"
        "    except OSError: pass\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    silent = ordinary_user.popen([str(ordinary_user.python), "-c", code, str(service.socket)])
    try:
        assert silent.stdout.readline() == "held\n"
        assert start(service).pid
    finally:
        silent.kill()
        silent.wait()
        silent.stdout.close()


# ------------------------------------------------------------------------------------------------ ends
def test_a_service_that_ends_ends_its_sessions_with_one_event_each(ordinary_user, root: Path, film: Path) -> None:
    folder = ordinary_user.home.parent / "ending"
    folder.mkdir()
    code = (
        "import json, sys\n"
        "from drm.app import SessionConfiguration, create_pmp_media_session\n"
        "from drm.session.events import MediaEventType\n"
        "from drm.errors import DRMError\n"
        "session = create_pmp_media_session(configuration=SessionConfiguration(service=sys.argv[1], min_level=3))\n"
        "print(session.pid, flush=True)\n"
        "events = []\n"
        "try:\n"
        "    while True:\n"
        "        event = session.get_event()\n"
        "        events.append([event.type.name, event.error.code if event.error else ''])\n"
        "        if event.type is MediaEventType.ERROR: break\n"
        "except DRMError as error: events.append([type(error).__name__, error.code])\n"
        "session.shutdown()\n"
        "print(json.dumps(events), flush=True)\n"
    )
    with running_service(ordinary_user, folder, "--root", root) as running:
        player = ordinary_user.popen([str(ordinary_user.python), "-c", code, str(running.socket)])
        pid = int(player.stdout.readline())
        assert pid in running.workers
        running.process.send_signal(signal.SIGKILL)
        events = json.loads(player.stdout.readline())
        assert events == [["ERROR", "E-PMP-DIED"]]
        assert player.wait(20) == 0
        player.stdout.close()
        until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_worker_that_stands_still_is_ended_for_its_application(service: PMPService) -> None:
    """The application cannot signal it: it asks the service."""
    from drm.app.service_process import ServiceProcess

    worker = ServiceProcess(str(service.socket), demanded_level=1)
    worker.channel_socket.settimeout(30)
    assert worker.channel_socket.recv(1 << 16)
    os.kill(worker.pid, signal.SIGSTOP)
    worker.close()
    assert not Path(f"/proc/{worker.pid}").exists()


def test_the_service_does_not_run_as_root(ordinary_user, tmp_path: Path) -> None:
    command = [ordinary_user.python, "-I", ordinary_user.python.parent / "clearkey", "pmp-service"]
    ran = subprocess.run(
        [*command, "--socket", tmp_path / "s", "--state", tmp_path / "state"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 9
    assert "does not run as root" in ran.stderr
    assert not (tmp_path / "s").exists()


def test_what_is_installed_runs_this_very_copy(ordinary_user, tmp_path: Path) -> None:
    clearkey = ordinary_user.python.parent / "clearkey"
    command = [ordinary_user.python, clearkey, "pmp-service", "install"]
    ran = subprocess.run([*command, "--destdir", tmp_path], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "next: systemctl enable --now clearkey-pmp.socket" in ran.stderr
    found = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.name for path in found] == [
        "clearkey-pmp.service", "clearkey-pmp.socket", "clearkey-pmp.conf", "clearkey-pmp.conf",
    ]  # fmt: skip
    assert f"ExecStart={clearkey} pmp-service " in found[0].read_text()
    assert {path.stat().st_mode & 0o777 for path in found} == {0o644}


def test_nobody_is_the_applications_account() -> None:
    assert NOBODY not in {0, SERVICE_UID}
