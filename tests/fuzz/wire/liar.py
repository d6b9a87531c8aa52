"""Stands where a worker process does, in the application's own process, and says what it was told to."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from typing import Final

from drm.errors import DRMError, PMPProcessDiedError
from tests.fuzz.wire.transcript import Lie, receive_raw, send_raw

__all__ = ["SOUND", "STEP", "Liar", "hear"]

STEP: Final = 0.003  # seconds that a liar waits for the sound side, once it has lied
SOUND: Final = 1.0  # and before: it says what it said, unless it happens to say a word less this time


class Liar:
    """Stands where a worker process does, and says what it was told to."""

    def __init__(self, told: Lie, *, silent: bool) -> None:
        self.channel_socket, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.getpid()
        self._told, self._silent = told, silent
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        heard = 0
        with self._ours, contextlib.suppress(OSError):
            for at, each in enumerate(self._told.said):
                limit = SOUND if at < self._told.first else STEP
                while heard < each.heard and select.select([self._ours], [], [], limit)[0]:
                    heard += hear(self._ours)
                send_raw(self._ours, each.data)
            if self._silent:
                while hear(self._ours):
                    pass

    def wait(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.end()
        self._thread.join()
        self.channel_socket.close()

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.channel_socket.shutdown(socket.SHUT_RDWR)

    kill = end

    def failure(self) -> DRMError:
        return PMPProcessDiedError("the liar ended")


def hear(channel: socket.socket) -> int:
    """One message. Raises OSError: the other side has closed its end."""
    data, fds = receive_raw(channel)
    for fd in fds:
        os.close(fd)
    if not data:
        raise OSError("the other side has closed its end")
    return 1
