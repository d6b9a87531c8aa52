"""One worker: granian's HTTP engine over a socket of its own, in a process that `supervisor` forked.

granian's own main process is not used: each of its workers binds the port anew, so that a second server on the same
port would go unnoticed and what waits for a killed worker would be lost, and it cannot say which port it got. Here the
main process binds. Everything that touches granian is in this file.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from granian import _granian, _signals
from granian._futures import _new_cbscheduler
from granian.http import HTTP1Settings
from granian.wsgi import _callback_wrapper

from license_server.serving.slow_clients import Receiving
from license_server.serving.tls import Certificate

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["run_worker"]

_engine: Any = _granian  # its stub is behind it
_start: Any = _new_cbscheduler
_stops: Any = _signals

_THREADS: Final = 4  # that run Python; more make the slowest answers slower
_GRACE: Final = 2.0  # seconds for the answers that are under way at the end
_CONNECTIONS: Final = 4096  # open at a time, idle ones too; others wait in the socket's queue
_HEADER_TIMEOUT: Final = 30_000  # milliseconds until the header of the next request is whole


class _UnderWay:
    """Counts the requests that are being answered, so that the end can wait for them."""

    def __init__(self, application: WSGIApplication, receiving: Receiving) -> None:
        self._application = application
        self._receiving = receiving
        self._lock = threading.Lock()
        self._number = 0

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._add(1)
        try:
            self._receiving.receive(environ)
            answer = self._application(environ, start_response)
            self._receiving.drain(environ)
        except BaseException:
            self._add(-1)
            raise
        if isinstance(answer, list):
            self._add(-1)
            return answer
        return self._watched(answer)

    def wait(self, seconds: float) -> None:
        """Return when nothing is under way, or after so long."""
        ends = time.monotonic() + seconds
        while self._number and time.monotonic() < ends:
            time.sleep(0.01)
        time.sleep(0.05)  # granian still writes what it was given last

    def _watched(self, answer: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from answer
        finally:
            self._add(-1)
            if close := getattr(answer, "close", None):
                close()

    def _add(self, number: int) -> None:
        with self._lock:
            self._number += number


def run_worker(
    application: WSGIApplication,
    listener: socket.socket,
    *,
    number: int,
    alive: int,
    ready: int,
    certificate: Certificate | None,
) -> None:
    """Serve until SIGTERM, or until the main process is gone. Call it from the main thread of a forked process.

    `alive` is the reading end of a pipe whose other end the main process alone holds; a byte into `ready` says that
    requests are answered.
    """
    _allow_descriptors()
    sys.setswitchinterval(0.001)  # so that whatever else computes here holds up answers for less
    logging.getLogger("_granian").setLevel(logging.WARNING)
    under_way = _UnderWay(application, Receiving(listener, _end))
    stop, ended = _stops.set_sync_signals(), threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal is the main process's to pass on
    stop.add_cb(ended.set)
    tls = (True, str(certificate.chain), str(certificate.key)) if certificate is not None else (False, None, None)
    worker = _engine.WSGIWorker(
        number,
        (None, _engine.SocketHolder(listener.fileno(), False, 1024)),  # a descriptor, of TCP, with this backlog
        None,
        1,  # thread of the engine's own
        _THREADS,
        _THREADS,
        30,  # seconds after which an idle thread ends
        _CONNECTIONS,
        "1",  # HTTP/1.1
        HTTP1Settings(header_read_timeout=_HEADER_TIMEOUT),
        None,
        None,
        *tls,
        None,
        "tls1.2",
        None,
        [],
        False,
        (None, None),
    )
    scheduler = _start(asyncio.new_event_loop(), _callback_wrapper(under_way, {}, None), impl_asyncio=True)
    worker.serve_mtr(scheduler, None, stop)
    threading.Thread(target=_end_with_main, args=(alive,), name="main-process", daemon=True).start()
    os.write(ready, b"r")
    ended.wait()
    under_way.wait(_GRACE)


def _allow_descriptors() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(hard, wanted), hard))


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_main(alive: int) -> None:
    with suppress(OSError):
        os.read(alive, 1)  # returns when the last writing end is closed, however the main process ended
    _end()
    time.sleep(_GRACE + 3)
    os._exit(1)
