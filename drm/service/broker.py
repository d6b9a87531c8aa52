"""The broker of level 3: takes connections, runs a worker for each, and ends it with its connection. Service only.

It runs under an account of its own, from code that this account cannot write. An application gets a worker's channel
and nothing else: no root, component, device key or account of its own reaches a worker, and no worker serves two
connections. What goes over the channel the broker does not see.
"""

from __future__ import annotations

import logging
import os
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drm.errors import DRMError, ErrorRecord, InvalidArgumentError, IsolationError, WireError
from drm.launch.device_key import open_device_key
from drm.launch.process import PMPProcess, ServicePeer
from drm.wire.service import (
    ENGINES,
    MAX_MESSAGE,
    VERSION,
    End,
    Ended,
    FromService,
    Refused,
    Start,
    Started,
    decode_message,
    encode_message,
)
from drm.worker_memory import LEAST_MEMORY

__all__ = ["Broker", "BrokerLimits"]

logger = logging.getLogger(__name__)

_TOLD: Final = 5.0  # seconds that a peer has to say what it wants, or to take what it is told
_GRACE: Final = 2.0  # seconds that a worker has to end by itself when its peer has gone


@dataclass(frozen=True, slots=True)
class BrokerLimits:
    """What peers can have at a time."""

    workers: int = 64  # in all
    workers_per_user: int = 8
    worker_memory: int = 4096  # MiB that one worker may have
    waiting_per_user: int = 16  # connections that have no worker: they say nothing yet, or are being refused


class Broker:
    """Serves a listening SOCK_SEQPACKET socket until `stop`."""

    def __init__(self, listener: socket.socket, state: Path, root: Path | None, limits: BrokerLimits) -> None:
        """Bind nothing and start nothing.

        Args:
            listener: listens already; who may connect is a matter of its file's permissions.
            state: folder of the device key, of this account alone.
            root: root metadata that vouches for components instead of the package's own; None: the package's.
            limits: what peers can have.

        Raises:
            IsolationError: this account is root's, so that workers would be.
            StorageError: the device key is not this account's alone, or cannot be made.
        """
        if os.geteuid() == 0:
            raise IsolationError(
                "the PMP service does not run as root: its workers would",
                remedy="start it under an account of its own: clearkey pmp-service install --help",
            )
        os.close(open_device_key(state))
        self._listener, self._state, self._root, self._limits = listener, state, root, limits
        self._stopping = threading.Event()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._counting = threading.Lock()
        self._workers: Counter[int] = Counter()  # by user id
        self._waiting: Counter[int] = Counter()
        self._threads: set[threading.Thread] = set()

    def serve(self) -> None:
        """Take connections until `stop` is called; then end every worker and return."""
        self._listener.setblocking(False)
        while not self._stopping.is_set():
            if self._listener.fileno() in _ready(self._listener.fileno(), self._wake_read):
                self._take()
        for thread in list(self._threads):
            thread.join(_TOLD)

    def stop(self) -> None:
        """End `serve`. From any thread, or from a signal's handler."""
        self._stopping.set()
        with suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def _take(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # it went away, or descriptors are short: the next one may fare better
            logger.warning("a connection could not be taken: %s", error.strerror)
            self._stopping.wait(0.05)
            return
        connection.settimeout(_TOLD)
        _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        with self._counting:
            if self._waiting[uid] >= self._limits.waiting_per_user:
                connection.close()
                return
            self._waiting[uid] += 1
        thread = threading.Thread(target=self._talk, args=(connection, uid), name="pmp-peer", daemon=True)
        self._threads.add(thread)
        thread.start()

    # ------------------------------------------------------------------ in a thread for each connection

    def _talk(self, connection: socket.socket, uid: int) -> None:
        waiting = True
        try:
            with closing(connection):
                start = decode_message(connection.recv(MAX_MESSAGE), Start)
                try:
                    _require_served(start, self._limits.worker_memory)
                    with self._place(uid):
                        waiting = False
                        self._run(connection, uid, start)
                except DRMError as error:
                    logger.info("user %d: %s", uid, error.what)
                    _tell(connection, Refused(error.to_record()))
        except (OSError, WireError) as error:
            logger.info("a connection of user %d: %s", uid, error)
        except Exception:
            logger.exception("a connection of user %d", uid)
        finally:
            with self._counting:
                self._waiting[uid] -= waiting
                self._waiting += Counter()  # forgets those that are zero
            self._threads.discard(threading.current_thread())

    @contextmanager
    def _place(self, uid: int) -> Iterator[None]:
        """A worker's place among those that may be, for one that waits. Raises IsolationError: there is none left."""
        with self._counting:
            own, limits = self._workers[uid], self._limits
            if own >= limits.workers_per_user or self._workers.total() >= limits.workers:
                raise IsolationError(
                    "the PMP service runs as many workers as it may",
                    seen=f"{own} of yours, of at most {limits.workers_per_user}; {self._workers.total()} in all",
                    remedy="end other sessions, or make several sessions in one worker (a server context)",
                )
            self._workers[uid] += 1
            self._waiting[uid] -= 1
        try:
            yield
        finally:
            with self._counting:
                self._workers[uid] -= 1
                self._workers += Counter()

    def _run(self, connection: socket.socket, uid: int, start: Start) -> None:
        """Run one worker. Raises DRMError: it could not be started."""
        ended_read, ended_write = os.pipe2(os.O_CLOEXEC)
        device_key = -1
        try:
            device_key = open_device_key(self._state)
            process = PMPProcess(
                engine=start.engine,
                demanded_level=start.level,
                memory=start.memory,
                report_only=start.report_only,
                peer=ServicePeer(uid, self._root),
                on_exit=lambda _process: os.close(ended_write),
            )
        except BaseException:
            os.close(ended_write)
            os.close(ended_read)
            if device_key >= 0:
                os.close(device_key)
            raise
        logger.info("user %d: worker %d", uid, process.pid)
        try:
            with suppress(OSError):  # it has ended already, and that is told below
                socket.send_fds(process.channel_socket, [b"\0"], [device_key])  # before the application has this end
            os.close(device_key)
            _tell(connection, Started(process.pid), [process.channel_socket.fileno()])
            process.channel_socket.close()
            self._wait(connection, process, ended_read)
        finally:
            process.channel_socket.close()
            process.kill()
            os.close(ended_read)
        _tell(connection, Ended(process.exit_description(), _refusal(process)))

    def _wait(self, connection: socket.socket, process: PMPProcess, ended: int) -> None:
        """Until the worker has ended by itself, or its peer is gone or wants it gone, or the service is."""
        ready = _ready(connection.fileno(), ended, self._wake_read)
        if ended in ready or self._wake_read in ready:
            return
        packet = connection.recv(MAX_MESSAGE)
        if packet:
            decode_message(packet, End)
        else:
            process.wait(_GRACE)


def _ready(*descriptors: int) -> set[int]:
    """Wait until one of them can be read, or was closed at the other end; return those that can."""
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poller.poll()}


def _require_served(start: Start, most: int) -> None:
    if start.version != VERSION:
        raise IsolationError(
            f"the PMP service speaks version {VERSION} of its protocol, and this application {start.version}",
            remedy="install the same version of clearkey for both",
        )
    if start.engine not in ENGINES or not 0 <= start.level <= 3:
        raise InvalidArgumentError("no such cipher engine or isolation level")
    if not LEAST_MEMORY <= start.memory <= most:
        raise IsolationError(
            f"a worker of the PMP service may have {LEAST_MEMORY} to {most} MiB",
            seen=f"{start.memory} are asked for",
            remedy="ask for less with --worker-memory; clearkey pmp-service --worker-memory allows more",
        )


def _refusal(process: PMPProcess) -> ErrorRecord | None:
    error = process.failure()
    return error.to_record() if isinstance(error, IsolationError) else None


def _tell(connection: socket.socket, message: FromService, fds: list[int] | None = None) -> None:
    socket.send_fds(connection, [encode_message(message)], fds or [])
