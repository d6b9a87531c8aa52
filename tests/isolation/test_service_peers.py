"""Applications that abuse the PMP service, and how it ends: with what it ran, and with one word to each."""

import json
import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from drm.app.service_process import ServiceProcess
from drm.wire.service import VERSION, Ended, Refused, Start, Started, decode_message, encode_message
from tests.isolation.pmp_service import PMPService, running_service

REACHES = ("read_maps", "read_memory_file", "read_environment", "list_descriptors", "read_registers", "attach", "seize",
           "read_memory", "write_memory", "take_descriptor", "kill", "stop", "limit", "set_affinity", "set_priority",
           "kill_service", "read_device_key")  # fmt: skip

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a service under another account")


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


def test_an_application_with_very_many_descriptors_hears_of_its_worker(service: PMPService) -> None:
    """And is not told that a worker has ended which has not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    try:
        worker = ServiceProcess(str(service.socket), demanded_level=1)
        assert worker.channel_socket.fileno() > 1024
        assert not worker.wait(0.2)
        worker.close()
        assert worker.wait(0)
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


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
        "python3", "pyvenv.cfg", "clearkey-pmp.service", "clearkey-pmp.socket", *["clearkey-pmp.conf"] * 2,
    ]  # fmt: skip
    interpreter, _settings, unit, *others = found
    assert f"ExecStart={clearkey} pmp-service " in unit.read_text()
    assert {path.stat().st_mode & 0o777 for path in (unit, *others)} == {0o644}
    assert interpreter.stat().st_mode & 0o777 == 0o111
