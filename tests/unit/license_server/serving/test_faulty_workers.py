"""Workers that hang, or cannot start, in servers whose programs make them do so: each is found and replaced."""

import os
import signal
import socket
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from tests.unit.license_server.serving.programs import BODY, children, running

REPLACED = 10.0  # seconds within which a worker that hangs is replaced
LIMIT = 20.0  # seconds within which anything else here happens, also on a machine that is busy


def ask(url: str, timeout: float = LIMIT) -> int:
    return requests.post(f"{url}/license", data=BODY, timeout=timeout).status_code


def replaced(server: int, worker: int) -> float:
    """Wait until another worker is there, and return how many seconds that took."""
    began = time.monotonic()
    while worker in children(server) or not children(server):
        assert time.monotonic() - began < LIMIT, "the worker still hangs"
        time.sleep(0.05)
    return time.monotonic() - began


def test_a_stopped_worker_is_replaced(tmp_path: Path) -> None:
    with running("", tmp_path / "log") as (server, url):
        (worker,) = children(server.pid)
        os.kill(worker, signal.SIGSTOP)
        with pytest.raises(requests.Timeout):
            ask(url, 0.5)
        assert replaced(server.pid, worker) < REPLACED
        assert ask(url) == 200
    assert "worker 1 ended by itself, and is replaced" in (tmp_path / "log").read_text()


def test_a_worker_whose_event_loop_hangs_is_replaced(tmp_path: Path) -> None:
    faulty = """
        def hang(*_):
            while True:
                pass
        def front(app):
            signal.signal(signal.SIGUSR2, hang)  # in the thread that the event loop runs in
            return app
    """
    with running(faulty, tmp_path / "log") as (server, url):
        (worker,) = children(server.pid)
        assert ask(url) == 200
        os.kill(worker, signal.SIGUSR2)
        with pytest.raises(requests.Timeout):
            ask(url, 0.5)
        assert replaced(server.pid, worker) < REPLACED
        assert ask(url) == 200


def test_a_worker_whose_threads_hang_is_replaced(tmp_path: Path) -> None:
    """Its event loop goes on; what is asked of it would wait for ever."""
    faulty = """
        from license_server.serving import whole_requests
        whole_requests._PATIENCE = 2.0
        def front(app):
            def hanging(environ, start_response):
                if environ["PATH_INFO"] == "/hang":
                    threading.Event().wait()
                return app(environ, start_response)
            return hanging
    """
    with running(faulty, tmp_path / "log") as (server, url), ExitStack() as held:
        (worker,) = children(server.pid)
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        for number in range(4):
            assert ask(url) == 200, f"{number} threads hang, and no other is free"
            held.enter_context(socket.create_connection(address)).sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            time.sleep(0.2)
        assert replaced(server.pid, worker) < REPLACED
        assert ask(url) == 200


def test_a_server_whose_workers_cannot_start_ends(tmp_path: Path) -> None:
    faulty = """
        def front(app):
            raise OSError("no such luck")
    """
    with running(faulty, tmp_path / "log", workers=2) as (server, url):
        assert url == ""
        assert server.wait(LIMIT) == 1
    log = (tmp_path / "log").read_text()
    assert "no such luck" in log
    assert "LicenseServerUnreachableError" in log  # as whoever calls serve() gets it


def test_a_worker_that_cannot_be_replaced_is_tried_again(tmp_path: Path) -> None:
    """What it lacks may come back: a database, say. It is not tried in haste."""
    (tmp_path / "there").touch()
    faulty = f"""
        def front(app):
            open({str(tmp_path / "there")!r}).close()
            return app
    """
    log = tmp_path / "log"
    with running(faulty, log) as (server, url):
        (tmp_path / "there").rename(tmp_path / "gone")
        os.kill(children(server.pid)[0], signal.SIGKILL)
        ends = time.monotonic() + LIMIT
        while log.read_text().count("worker 1 fails: FileNotFoundError") < 2:
            assert time.monotonic() < ends
            time.sleep(0.05)
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(ask(url)))
        waiting.start()  # the socket is the main process's: who asks meanwhile waits
        (tmp_path / "gone").rename(tmp_path / "there")
        waiting.join()
        assert answers == [200]


def test_with_few_descriptors_the_oldest_idle_connection_goes(tmp_path: Path) -> None:
    faulty = """
        resource.setrlimit(resource.RLIMIT_NOFILE, (600, 600))
    """
    with running(faulty, tmp_path / "log") as (server, url), ExitStack() as stack:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        held = [stack.enter_context(socket.create_connection(address, timeout=LIMIT)) for _ in range(700)]
        assert ask(url) == 200
        assert held[0].recv(1) == b""
        held[-1].sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[-1].recv(15) == b"HTTP/1.1 200 OK"
        assert len(children(server.pid)) == 1
