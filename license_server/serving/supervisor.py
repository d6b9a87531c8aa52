"""The main process: it forks the workers, puts a new one in the place of one that ended, and ends with its parent.

It runs one thread and serves nothing, so forking is safe at any time, and what it knows - the key-encryption key of a
store in memory, above all - reaches workers in memory, through no file and no environment.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Final, NoReturn

from drm.errors import LicenseServerUnreachableError

__all__ = ["STOP_SIGNALS", "Supervisor"]

STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT})

_WAKE: Final = STOP_SIGNALS | {signal.SIGCHLD}
_LOOK: Final = 0.2  # seconds between looks at the parent
_STARTED: Final = 15.0  # seconds until every worker must answer
_STOPPED: Final = 4.0  # seconds until a worker that was asked to end is killed
_YOUNG: Final = 2.0  # seconds: a worker that ends before is not replaced at once
_MOST_YOUNG: Final = 5  # of them in a row, and the server gives up

logger = logging.getLogger(__name__)


class Supervisor:
    """Keeps `workers` processes that run `work(number, alive, ready)`. Use it in the main thread, alone in its process.

    `work` gets the worker's number, from 1; a descriptor that reads as ended when this process is gone; and one into
    which it writes a byte when it serves. Signals of `STOP_SIGNALS` must be blocked.
    """

    def __init__(self, workers: int, work: Callable[[int, int, int], None], restarted: Callable[[], None]) -> None:
        self._workers = workers
        self._work = work
        self._restarted = restarted
        self._alive, self._held = os.pipe()
        self._ready, self._say = os.pipe()
        self._running: dict[int, tuple[int, float]] = {}  # by process id: number, start
        self._young = 0

    def start(self) -> None:
        """Fork the workers and wait until all serve. Raises LicenseServerUnreachableError when they do not."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _WAKE)
        for number in range(1, self._workers + 1):
            self._fork(number)
        ends, waiting = time.monotonic() + _STARTED, self._workers
        while waiting:
            if not select.select([self._ready], [], [], 0.05)[0]:
                if time.monotonic() > ends or self._reap():
                    self.stop()
                    raise LicenseServerUnreachableError("a worker of the license server did not start")
                continue
            waiting -= len(os.read(self._ready, waiting))

    def watch(self, parent: int | None) -> signal.Signals:
        """Keep the workers until a signal comes, and return it; SIGTERM stands for the end of process `parent` too.

        Raises LicenseServerUnreachableError when workers end as soon as they start.
        """
        while True:
            caught = signal.sigtimedwait(_WAKE, _LOOK)
            if caught is not None and caught.si_signo in STOP_SIGNALS:
                return signal.Signals(caught.si_signo)
            # Not PR_SET_PDEATHSIG: that is tied to the thread that started us, which may end before its process.
            if parent is not None and os.getppid() != parent:
                return signal.SIGTERM
            for number, started in self._reap():
                self._replace(number, started)

    def stop(self) -> None:
        """End the workers: asked, and killed if they do not."""
        for process in self._running:
            os.kill(process, signal.SIGTERM)
        ends = time.monotonic() + _STOPPED
        while self._running and time.monotonic() < ends:
            if not self._reap():
                time.sleep(0.01)
        for process in self._running:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        for descriptor in (self._alive, self._held, self._ready, self._say):
            os.close(descriptor)

    def _replace(self, number: int, started: float) -> None:
        logger.error("worker %d ended by itself, and is replaced", number)
        self._restarted()
        self._young = self._young + 1 if time.monotonic() - started < _YOUNG else 0
        if self._young >= _MOST_YOUNG:
            raise LicenseServerUnreachableError("the workers of the license server end as soon as they start")
        if self._young:
            time.sleep(0.1 * self._young)
        self._fork(number)

    def _reap(self) -> list[tuple[int, float]]:
        ended = [process for process in self._running if os.waitpid(process, os.WNOHANG)[0]]
        return [self._running.pop(process) for process in ended]

    def _fork(self, number: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        process = os.fork()
        if not process:
            self._be_worker(number)
        self._running[process] = (number, time.monotonic())

    def _be_worker(self, number: int) -> NoReturn:
        code = 1
        try:
            os.close(self._held)
            os.close(self._ready)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAKE)
            self._work(number, self._alive, self._say)
            code = 0
        except BaseException as error:  # noqa: BLE001 - the stack above is the main process's, and must not be entered
            logger.error("worker %d fails: %s: %s", number, type(error).__name__, error)  # noqa: TRY400
        finally:
            sys.stderr.flush()
            os._exit(code)
