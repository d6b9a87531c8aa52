"""Starts a PMP worker and knows it as a child process: by its pidfd, so that no other process is taken for it.

What is executed hides, forks and ends; the fork is the worker, and born as a child of the application
(drm/lockdown/fresh_memory.py says why). It announces itself with one byte on the channel, and the kernel says who sent
it.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import subprocess
import threading
from contextlib import suppress
from typing import IO, Final

from drm.errors import PMPProcessDiedError

__all__ = ["WorkerChild", "start_worker"]

_CREDENTIALS: Final = struct.Struct("@3i")  # struct ucred: pid, uid, gid


class WorkerChild:
    """A worker that runs, or has ended and is not reaped yet."""

    def __init__(self, launched: subprocess.Popen[bytes], pid: int) -> None:
        """`pid` is the worker's; that of `launched` itself where it did not fork. Raises OSError."""
        assert launched.stderr is not None
        self.pid = pid
        self.stderr: IO[bytes] = launched.stderr
        self._launched = launched
        self._pidfd = os.pidfd_open(pid)
        self._closing = threading.Lock()

    def fileno(self) -> int:
        """What is readable once the worker has ended, for poll."""
        return self._pidfd

    def kill(self) -> None:
        """End it at once; does nothing once it is reaped."""
        with self._closing, suppress(ProcessLookupError):
            if self._pidfd >= 0:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def reap(self) -> int:
        """Wait for its end, once; return the exit status, or minus the signal's number.

        What is left of one that did not fork, or did not say so, is ended with it.
        """
        if self.pid == self._launched.pid:
            with suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOWAIT)
            # It leads a group; a fork of it that never said a word is in there. Not reaped, its number is its own.
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            code = self._launched.wait() or _reaped(os.P_PGID, self.pid)
        else:
            code = _reaped(os.P_PIDFD, self._pidfd)
        with self._closing:
            os.close(self._pidfd)
            self._pidfd = -1
        return code


def start_worker(command: list[str], channel: socket.socket, theirs: socket.socket, timeout: float) -> WorkerChild:
    """Execute `command` and return once the worker has announced itself, or has ended.

    `theirs` is the worker's end of the channel, and is closed here. The calling thread must live as long as the worker:
    the kernel ties its death to that.

    Raises:
        OSError: it cannot be executed.
        PMPProcessDiedError: it says nothing for `timeout` seconds, or somebody else speaks; it has been ended.
    """
    with theirs:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        launched = subprocess.Popen(  # noqa: S603 - our own Python and our own file
            command,
            pass_fds=[theirs.fileno()],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    failure: PMPProcessDiedError | None = None
    try:
        pid = _announced(channel, timeout) or launched.pid
        if not _is_of(launched.pid, pid):
            failure = PMPProcessDiedError(f"process {pid} speaks for the PMP worker and was not started for it")
    except TimeoutError:
        failure = PMPProcessDiedError(f"the worker did not hide within {timeout:.0f} seconds", remedy="clearkey doctor")
    if failure is not None:
        failed = WorkerChild(launched, launched.pid)
        failed.kill()
        failed.reap()
        failed.stderr.close()
        raise failure
    if pid != launched.pid:
        launched.kill()  # it is about to end
        launched.wait()
    return WorkerChild(launched, pid)


def _announced(channel: socket.socket, timeout: float) -> int:
    """The process that sent the one byte; 0: all that could have are gone. Raises TimeoutError."""
    channel.settimeout(timeout)
    try:
        # There is room for the credentials alone: descriptors that come beside them are discarded by the kernel.
        data, ancillary, _, _ = channel.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size))
    except ConnectionError:
        return 0
    finally:
        channel.settimeout(None)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
    for level, kind, told in ancillary:
        if data and (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid: int = _CREDENTIALS.unpack(told)[0]
            return pid
    return 0


def _is_of(group: int, pid: int) -> bool:
    """Whether it is a child of ours, and was forked by what we executed."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return os.getpgid(pid) == group
    except (ChildProcessError, ProcessLookupError):
        return False


def _reaped(kind: int, number: int) -> int:
    """Wait for such a child as subprocess does: 0 where somebody else reaped it, or there is none."""
    try:
        ended = os.waitid(kind, number, os.WEXITED)
    except ChildProcessError:
        return 0
    if ended is None:
        return 0
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
