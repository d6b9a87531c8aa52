"""The application's line to one PMP worker: its process, its channel, calls and their answers, and its end.

A reader thread takes every message; it never waits for anything but the channel, so that the worker is never held up.
"""

from __future__ import annotations

import logging
import socket
import struct
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

from drm.errors import (
    DRMError,
    InvalidRequestError,
    PMPProcessDiedError,
    SessionShutdownError,
    StalledMediaError,
    TrustError,
    WireError,
    error_from_record,
)
from drm.launch.process import cpu_seconds
from drm.protection import ProtectionReport
from drm.wire import messages as wire
from drm.wire.channel import app_channel, close_all

__all__ = ["WorkerLink", "WorkerProcess", "whole"]

logger = logging.getLogger(__name__)


class WorkerProcess(Protocol):
    """A worker as a process: one that was launched here (`PMPProcess`), or that the service runs (`ServiceProcess`)."""

    channel_socket: socket.socket

    @property
    def pid(self) -> int:
        """The worker's process id."""

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for its end; tell whether it has ended."""

    def close(self) -> None:
        """End it: ask by end of file, then kill. Blocks until it is gone, at most seconds; idempotent."""

    def end(self) -> None:
        """End it at once and do not wait for it."""

    def kill(self) -> None:
        """End it at once."""

    def failure(self) -> DRMError:
        """Return why it ended, as the error to raise."""


class WorkerLink:
    """Sends messages to a worker and takes its own. Ends with the worker."""

    def __init__(
        self,
        process: WorkerProcess,
        on_message: Callable[[wire.FromWorker], None],
        on_end: Callable[[DRMError], None],
        call_timeout: float,
        stall_timeout: float,
        cpu_limit: float,
    ) -> None:
        """Take over `process`. A worker that says nothing, or reads nothing, for `stall_timeout` seconds is ended.

        So is one that computes for `cpu_limit` seconds and comes to no other sample: a decoder that does not return.

        `on_message` gets what is neither an answer nor the report, on the reader's thread, and must not block.
        `on_end` is called once, when the worker is gone and `close` was not called. Both are methods of whoever holds
        this link, and do not keep it alive.
        """
        self.process = process
        self._channel = app_channel(process.channel_socket)
        self._on_message = weakref.WeakMethod(on_message)
        self._on_end = weakref.WeakMethod(on_end)
        self._call_timeout = call_timeout
        self._stall_timeout = stall_timeout
        self._cpu_limit = cpu_limit
        self._calls = 0  # so many were made, and so many answers at most may come
        self._answers: dict[int, wire.Returned | DRMError | None] = {}
        self._changed = threading.Condition()
        self._report: ProtectionReport | None = None
        self._gone: DRMError | None = None
        self._stuck: DRMError | None = None  # why the watchdog ended the worker
        self._closed = False
        self._is_abandoned = False
        self.kept: dict[int, object] = {}  # sessions that live as long as this link's thread, though nobody holds them
        self.locks = 0  # that are held on the process, as the worker counts them
        self._closing = threading.Event()
        self._callback = threading.local()
        self._reader = threading.Thread(target=self._read, name="worker-link", daemon=True)
        self._watch = threading.Thread(target=self._ask_for_life, name="worker-watchdog", daemon=True)
        # Its control thread reads whatever else goes on: one that does not is stuck, and so would be who sends to it.
        limit = struct.pack("@ll", max(1, round(stall_timeout)), 0)
        process.channel_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self._reader.start()

    def wait_ready(self, timeout: float) -> ProtectionReport:
        """Wait for the report that the worker sends once it is locked down. Raises what became of it instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._report or self._gone, timeout)
        if self._report is not None:
            self._watch.start()
            return self._report
        if self._gone is not None:
            raise _fresh(self._gone)
        raise PMPProcessDiedError(f"the worker was not ready within {timeout:.0f} seconds", remedy="clearkey doctor")

    def send(self, message: wire.FromApp, fds: Sequence[int] = ()) -> None:
        """Send a message.

        Raises:
            SessionShutdownError: `close` was called.
            PMPProcessDiedError: the worker is gone.
        """
        if self._closed:
            raise SessionShutdownError("the session was shut down")
        if self._gone is not None:
            raise _fresh(self._gone)
        try:
            self._channel.send(message, fds)
        except WireError:
            raise _fresh(self._reason()) from None

    def call(self, make: Callable[[int], wire.FromApp], fds: Sequence[int] = ()) -> wire.Returned:
        """Send the message that `make` makes of a call number and return the answer, or raise what came instead.

        Raises InvalidRequestError as `check_thread`.
        """
        self.check_thread()
        return self._call(make, fds, self._call_timeout)

    def check_thread(self) -> None:
        """Raise InvalidRequestError from inside a callback of this very link: whoever is about to block asks first.

        MFCreatePMPMediaSession forbids calls from a thread that is in the middle of another one's message; here such a
        call would wait for itself.
        """
        if self.in_callback():
            raise InvalidRequestError("a blocking call into the worker from inside one of its callbacks")

    def in_callback(self) -> bool:
        """Whether this thread is inside a callback of this link, where a blocking call would wait for itself."""
        return getattr(self._callback, "active", False) or threading.current_thread() is self._reader

    def end_session(self, number: int) -> None:
        """Have a session end, and do not wait for that. Raises nothing."""
        with self._changed:
            self._calls = call = self._calls + 1
        with suppress(DRMError):
            self.send(wire.Shutdown(call, number))

    def lock_process(self, *, unlock: bool = False) -> None:
        """Hold the worker back from ending, for three seconds at most, or take that back.

        Raises InvalidRequestError when no lock is held that could be taken back.
        """
        self.locks = whole(self.call(lambda call: wire.LockProcess(call, unlock)))

    def _call(self, make: Callable[[int], wire.FromApp], fds: Sequence[int], limit: float) -> wire.Returned:
        with self._changed:
            self._calls = number = self._calls + 1
            self._answers[number] = None
        try:
            self.send(make(number), fds)
            with self._changed:
                self._changed.wait_for(lambda: self._answers[number] is not None or self._gone, limit)
        finally:
            with self._changed:
                answer = self._answers.pop(number)
        if isinstance(answer, DRMError):
            raise answer
        if answer is None:
            late = PMPProcessDiedError(f"the worker gave no answer within {limit:.0f} seconds")
            raise _fresh(self._gone) if self._gone is not None else late
        return answer

    def _reason(self) -> DRMError:
        return self._gone or self._stuck or self.process.failure()

    @contextmanager
    def calling_back(self) -> Iterator[None]:
        """Mark this thread as one that runs a callback of the worker's."""
        was = getattr(self._callback, "active", False)
        self._callback.active = True
        try:
            yield
        finally:
            self._callback.active = was

    def close(self) -> None:
        """Ask the worker to end, and end it. Blocks until it is gone; idempotent; raises nothing."""
        if self._closed:
            return
        self._closed = True
        self._closing.set()
        with suppress(WireError):
            self._channel.send(wire.Exit())
        self.process.close()
        self._channel.close()
        for thread in (self._reader, self._watch):
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join()

    def abandon(self) -> None:
        """End the worker and wait for nothing: nobody holds this any more. On any thread."""
        self._closed = self._is_abandoned = True
        self._closing.set()
        self.process.end()

    def _ask_for_life(self) -> None:
        """Ping the worker as long as there is one; end it when it is stopped or stuck, so that nobody waits for it."""
        steps, since = 0, 0.0  # samples so far, and the seconds that had been computed when there was another one
        while not self._closing.wait(min(self._stall_timeout, self._cpu_limit) / 4) and self._gone is None:
            try:
                now = whole(self._call(wire.Ping, (), self._stall_timeout))
                computed = cpu_seconds(self.process.pid)
                if now != steps:
                    steps, since = now, computed
                elif computed - since > self._cpu_limit:
                    raise StalledMediaError(
                        f"the worker computed for {computed - since:.0f} seconds without coming to another sample",
                        remedy="compare the file with its original: it is damaged, or made to keep a decoder busy",
                    )
            except DRMError as error:
                if self._closed or self._gone is not None:
                    return
                self._stuck = error
                self.process.kill()
                return

    def _read(self) -> None:
        error: DRMError
        ended = True
        try:
            while (received := self._channel.receive()) is not None:
                message, fds = received
                close_all(fds)  # the worker has nothing to hand out
                self._take(message)
            error = SessionShutdownError("the session was shut down") if self._closed else self._reason()
        except WireError as broken:
            error, ended = broken, False
        except Exception as fault:  # the application's own code, called back from here: without a reader it would wait
            logger.exception("a callback of the application failed")
            error, ended = DRMError(f"a callback of the application failed: {type(fault).__name__}: {fault}"), False
        with self._changed:
            self._gone = error
            self._changed.notify_all()
        if not ended:  # after the word of why, so that a sender is not told of a death that is our own doing
            self.process.kill()
        if self._is_abandoned:
            self._channel.close()
        if not self._closed and (on_end := self._on_end()) is not None:
            on_end(error)

    def _take(self, message: wire.FromWorker) -> None:
        match message:
            case wire.Returned(call=number):
                self._answer(number, message)
            case wire.Raised(call=number, error=record, enabler=enabler):
                error = error_from_record(record)
                if isinstance(error, TrustError):
                    error.enabler_activate = enabler
                self._answer(number, error)
            case wire.Ready(report=report):
                with self._changed:
                    if self._report is not None:
                        raise WireError("the worker says for a second time what it probed")
                    self._report = report
                    self._changed.notify_all()
            case _:
                self._pass_on(message)

    def _pass_on(self, message: wire.FromWorker) -> None:
        if (on_message := self._on_message()) is not None:
            on_message(message)

    def _answer(self, number: int, answer: wire.Returned | DRMError) -> None:
        with self._changed:
            if not 0 < number <= self._calls:
                raise WireError(f"the worker answers call {number}, which was never made")
            if number in self._answers:  # else it came after its caller gave up
                self._answers[number] = answer
                self._changed.notify_all()


def whole(answer: wire.Returned) -> int:
    """Return the whole number that a call was answered with. Raises WireError for any other answer."""
    if not isinstance(answer.value, int):
        raise WireError("the worker answers something else than a whole number")
    return answer.value


def _fresh(error: DRMError) -> DRMError:
    """The same error once more: one that is raised again and again would gather tracebacks, and what they hold."""
    return error_from_record(error.to_record())
