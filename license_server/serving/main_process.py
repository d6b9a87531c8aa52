"""The main process: gunicorn's, which forks the workers, watches that they beat, and replaces those that do not.

It serves nothing and runs one thread, so what it knows - the key-encryption key of a store in memory, above all -
reaches workers in memory, through no file and no environment. Sockets are bound before it starts and stay open in it:
what waits for a worker that was killed waits for its successor.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker

from drm.errors import LicenseServerUnreachableError
from license_server.serving.worker import GRACE, Served, Work

__all__ = ["MainProcess"]

_HANGS: Final = 6  # seconds without a beat, which comes every second or two; found and killed within two more
_LOOK: Final = 0.1  # seconds between looks at the parent

logger = logging.getLogger(__name__)


class MainProcess(BaseApplication):
    """gunicorn, with `workers` processes that do `work`. Use it in the main thread, alone in its process.

    `announce` is called when all serve, `restarted` when one ended by itself. With `parent`, a process id, the end of
    that process is the end of this one.
    """

    def __init__(
        self, workers: int, work: Work, announce: Callable[[], None], restarted: Callable[[], None], parent: int | None
    ) -> None:
        self._workers = workers
        self._work = work
        self._announce = announce
        self._restarted = restarted
        self._parent = parent
        self._awaited = workers
        self._caught: signal.Signals | None = None
        super().__init__()

    def serve(self) -> signal.Signals:
        """Serve until SIGTERM or SIGINT comes, and return which; SIGTERM stands for the end of the parent too.

        Raises LicenseServerUnreachableError when workers do not start.
        """
        try:
            self.run()
        except (SystemExit, HaltServer):
            if self._caught is None:
                raise LicenseServerUnreachableError("a worker of the license server did not start") from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.close(self._work.held)  # ends what still runs
        return self._caught or signal.SIGTERM

    def load_config(self) -> None:
        """Set gunicorn up: called by it."""
        for name, value in {
            "bind": [f"fd://{os.dup(listener.fileno())}" for listener in self._work.listeners],
            "workers": self._workers,
            "worker_class": Served,
            "timeout": _HANGS,
            "graceful_timeout": GRACE + 2,
            "loglevel": "warning",
            "control_socket_disable": True,
            "pre_fork": self._number,
            "when_ready": self._take_signals,
            "child_exit": self._ended,
        }.items():
            self.cfg.set(name, value)

    def _number(self, main: Arbiter, worker: Worker) -> None:
        assert isinstance(worker, Served)
        taken = {each.number for each in main.WORKERS.values() if isinstance(each, Served)}
        worker.number = next(number for number in range(1, self._workers + 1) if number not in taken)
        worker.work = self._work

    def _ended(self, _main: Arbiter, worker: Worker) -> None:
        if self._caught is None and isinstance(worker, Served):
            logger.error("worker %d ended by itself, and is replaced", worker.number)
            self._restarted()

    def _take_signals(self, main: Arbiter) -> None:
        """Of the signals that gunicorn knows, keep the two that end it: workers get no other number or settings."""

        def end(number: int, frame: FrameType | None) -> None:
            self._caught = self._caught or signal.Signals(number)
            main.signal(signal.SIGTERM, frame)

        def look(_number: int, frame: FrameType | None) -> None:
            # Not PR_SET_PDEATHSIG: that is tied to the thread that started us, which may end before its process.
            if self._parent is not None and os.getppid() != self._parent:
                end(signal.SIGTERM, frame)
            if self._awaited:
                with suppress(BlockingIOError):
                    self._awaited -= len(os.read(self._work.heard, self._awaited))
                if not self._awaited:
                    self._work.has_served = True
                    self._announce()

        for name in ("HUP", "QUIT", "TTIN", "TTOU", "USR1", "USR2", "WINCH"):
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, _LOOK, _LOOK)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})
