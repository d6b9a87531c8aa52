"""A PMP worker that the service runs, as the application holds it: a channel, and a word of its end. Application only.

Stands where `drm.launch.process.PMPProcess` does. The worker belongs to another account: it cannot be signalled from
here, and is asked for its end over the connection to the service, which also ends it when the connection closes.
"""

from __future__ import annotations

import array
import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Final

from drm.errors import DRMError, IsolationError, PMPProcessDiedError, WireError, error_from_record
from drm.launch.process import receive_report
from drm.protection import ProtectionReport
from drm.wire.service import (
    DEFAULT_SOCKET,
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
from drm.worker_memory import DEFAULT_MEMORY

__all__ = ["ServiceProcess", "probe_service", "service_of"]

_GRACE: Final = 2.0  # seconds that a worker has to end by itself
_REAP: Final = 5.0  # seconds until a killed one must be gone


class ServiceProcess:
    """One worker of the service at `path`, running when the constructor returns."""

    def __init__(
        self,
        path: str,
        *,
        engine: str = "cryptography",
        demanded_level: int = 3,
        memory: int = DEFAULT_MEMORY,
        report_only: bool = False,
        timeout: float = 20.0,
    ) -> None:
        """Ask for a worker; arguments as `PMPProcess` has them.

        Raises:
            IsolationError: there is no service, it runs under this very account, or it refuses.
            WireError: what answers does not speak its protocol.
        """
        self._path = path
        self._changing = threading.Lock()
        self._ended: Ended | None = None
        self._control = _connected(path, timeout)
        try:
            self._control.settimeout(timeout)
            self._control.send(encode_message(Start(VERSION, engine, demanded_level, memory, report_only)))
            answer, fds = self._receive()
            if isinstance(answer, Refused):
                error = error_from_record(answer.error)
                raise error if isinstance(error, IsolationError) else IsolationError(error.what, where=path)
            if not isinstance(answer, Started) or len(fds) != 1:
                for fd in fds:
                    os.close(fd)
                raise WireError("the PMP service did not start a worker, and did not say why", where=path)
        except OSError as error:
            self._control.close()
            raise IsolationError(
                f"the PMP service does not answer: {error}", where=path, remedy="systemctl status clearkey-pmp"
            ) from None
        except BaseException:
            self._control.close()
            raise
        self._control.settimeout(None)
        self.pid = answer.pid
        self.channel_socket = socket.socket(fileno=fds[0])

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the worker's end, as the service tells it; whether it has ended."""
        end = time.monotonic() + timeout
        with self._changing:
            while self._ended is None:
                left = end - time.monotonic()
                try:
                    poller = select.poll()  # select knows no descriptor above 1023, and applications have more
                    poller.register(self._control, select.POLLIN)
                    if left < 0 or not poller.poll(left * 1000):
                        return False
                    answer, fds = self._receive()
                    for fd in fds:
                        os.close(fd)
                    self._ended = answer if isinstance(answer, Ended) else None
                except (OSError, ValueError, WireError):  # ValueError: it was closed meanwhile
                    self._ended = Ended("the PMP service ended, and the worker with it")
            return True

    def close(self) -> None:
        """End the worker: ask by end of file, then have it killed. Blocks until it is gone, at most seconds."""
        with suppress(OSError):  # closed by its user already
            self.channel_socket.shutdown(socket.SHUT_WR)
        if not self.wait(_GRACE):
            self.kill()
        self.channel_socket.close()
        self._control.close()

    def end(self) -> None:
        """Have the worker ended at once, and do not wait for it."""
        with suppress(OSError):
            self._control.send(encode_message(End()), socket.MSG_DONTWAIT)
        with suppress(OSError):
            self.channel_socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """Have the worker ended at once."""
        with suppress(OSError):
            self._control.send(encode_message(End()), socket.MSG_DONTWAIT)
        self.wait(_REAP)

    def failure(self) -> DRMError:
        """Return why the worker ended, as the error to raise."""
        if self._ended is None:
            self.wait(_GRACE)
        ended = self._ended
        if ended is not None and ended.error is not None:
            error = error_from_record(ended.error)
            if isinstance(error, IsolationError):
                return error
        return PMPProcessDiedError(
            "the PMP worker ended while it was needed",
            seen=ended.said if ended is not None else "it still runs",
            remedy="play again; if it ends each time, look at the service: journalctl -u clearkey-pmp",
        )

    @property
    def stderr(self) -> str:
        """Nothing: what the worker writes there stays with the service."""
        return ""

    def _receive(self) -> tuple[FromService, list[int]]:
        fds = array.array("i")
        packet, ancillary, flags, _ = self._control.recvmsg(
            MAX_MESSAGE, socket.CMSG_SPACE(4 * fds.itemsize), socket.MSG_CMSG_CLOEXEC
        )
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
        try:
            if not packet:
                raise WireError("the PMP service closed the connection", where=self._path)
            if flags & (socket.MSG_CTRUNC | socket.MSG_TRUNC):
                raise WireError("a message of the PMP service is too long", where=self._path)
            answer: FromService = decode_message(packet, FromService)  # type: ignore[arg-type]  # a union of types
        except WireError:
            for fd in fds:
                os.close(fd)
            raise
        return answer, list(fds)


def probe_service(path: str, timeout: float = 20.0) -> ProtectionReport:
    """Have the service at `path` start a worker, return the report of its lock-down, and let it end.

    Raises IsolationError, PMPProcessDiedError.
    """
    process = ServiceProcess(path, demanded_level=0, report_only=True, timeout=timeout)
    try:
        return receive_report(process.channel_socket, process.failure, timeout)
    finally:
        process.close()


def service_of(service: str | None, level: int) -> str | None:
    """The socket to ask for a worker: the one that is named, or for level 3 the usual one; None: launch one here."""
    return service or (DEFAULT_SOCKET if level >= 3 else None)


def _connected(path: str, timeout: float) -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        # A socket with Python's timeout would not wait for room in the service's queue, but fail at once.
        limit = struct.pack("@ll", max(1, round(timeout)), 0)
        control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        control.connect(path)
        _, uid, _ = struct.unpack("iII", control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    except OSError as error:
        control.close()
        raise IsolationError(
            f"no PMP service: {error.strerror}",
            where=path,
            maybe="it is not installed, or does not run: level 3 is a service under an account of its own",
            remedy="clearkey pmp-service install --help; or play at level 2: --min-level 2",
        ) from None
    if uid == os.geteuid() != 0:  # root's when it was systemd that made the socket, or when we are root: never below us
        control.close()
        raise IsolationError(
            "the PMP service runs under your own account, which then reads what its workers hold",
            where=path,
            seen=f"user id {uid}",
            remedy="run it under an account of its own: clearkey pmp-service install --help",
        )
    return control
