"""One worker: uvicorn's server in a process that gunicorn forked, watches and replaces."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any, Final

import uvloop
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker
from uvicorn.config import Config
from uvicorn.server import Server

from license_server.serving.connections import Connections, TimedConnection
from license_server.serving.tls import Certificate
from license_server.serving.whole_requests import WholeRequests

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["GRACE", "Served", "Work"]

GRACE: Final = 2  # seconds for the answers that are under way at the end
_HANDSHAKE: Final = 10.0  # seconds for TLS
_KEEP_ALIVE: Final = 3600  # seconds that uvicorn leaves an idle connection; `connections` leaves it less

logger = logging.getLogger(__name__)


class Work:
    """What every worker does, as the main process knows it: it reaches them by the fork, in memory.

    `application` is entered in the worker, with its number from 1; `listeners` has a socket for each number. `alive`
    reads as ended when the main process is gone; a byte goes into `ready` when a worker serves.
    """

    def __init__(
        self,
        application: Callable[[int], AbstractContextManager[WSGIApplication]],
        listeners: list[socket.socket],
        certificate: Certificate | None,
    ) -> None:
        self.application = application
        self.listeners = listeners
        self.certificate = certificate
        self.alive, self.held = os.pipe()
        self.heard, self.ready = os.pipe()
        os.set_blocking(self.heard, False)
        self.has_served = False  # once: from then on a worker that cannot start is tried again


class Served(Worker):
    """A worker of gunicorn. `number` and `work` are set before the fork."""

    number: int
    work: Work

    def init_process(self) -> None:
        """Serve, and end the process: the stack above is the main process's, and must not be entered."""
        code = 1
        try:
            os.close(self.work.held)
            super().init_process()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:  # noqa: BLE001 - there is nobody above to tell
            logger.error("worker %d fails: %s: %s", self.number, type(error).__name__, error)  # noqa: TRY400
            if not self.work.has_served:
                code = Arbiter.WORKER_BOOT_ERROR  # which ends the server
            else:
                time.sleep(1)  # and then another one: what a start lacks, a database most likely, may come back
        finally:
            sys.stderr.flush()
            os._exit(code)

    def load_wsgi(self) -> None:
        """Load nothing: the application is made where it is used."""

    def run(self) -> None:
        """Serve until SIGTERM, or until the main process is gone."""
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of each client that sends garbage
        sys.setswitchinterval(0.001)  # so that whatever else computes here holds up answers for less
        threading.Thread(target=_end_with_main, args=(self.work.alive,), name="main-process", daemon=True).start()
        with self.work.application(self.number) as application, asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(self._serve(application))

    async def _serve(self, application: WSGIApplication) -> None:
        requests, connections = WholeRequests(application), Connections()

        async def beat() -> None:
            connections.cut_overdue()
            if requests.is_moving:
                self.notify()

        certificate = self.work.certificate
        server = _Server(
            Config(
                requests,
                http=functools.partial(TimedConnection, connections),  # type: ignore[arg-type]  # makes one
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_notify=1,
                callback_notify=beat,
                timeout_graceful_shutdown=GRACE,
                ssl_certfile=None if certificate is None else certificate.chain,
                ssl_keyfile=None if certificate is None else str(certificate.key),
            ),
            functools.partial(os.write, self.work.ready, b"r"),
        )
        await server.serve(sockets=[self.work.listeners[self.number - 1]])
        requests.close()


class _Server(Server):
    """Says when it serves."""

    def __init__(self, config: Config, served: Callable[[], object]) -> None:
        super().__init__(config)
        self._served = served

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._served()


class _Loop(uvloop.Loop):
    """Gives a client less time for TLS than it would have: until then nobody else knows of its connection."""

    async def create_server(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - handed on as they are
        if named.get("ssl"):
            named["ssl_handshake_timeout"] = _HANDSHAKE
        return await super().create_server(*arguments, **named)


def _end_with_main(alive: int) -> None:
    with suppress(OSError):
        os.read(alive, 1)  # returns when the last writing end is closed, however the main process ended
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE + 3)
    os._exit(1)
