"""One SOCK_SEQPACKET socket, typed messages on it, descriptors beside them.

Runs in both processes, and each treats the other as hostile: a message is at most 64 KiB, descriptors are counted,
truncation of either is the end of the channel, and whatever came with a refused message is closed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from drm.errors import InvalidArgumentError, WireError
from drm.wire.messages import MAX_FDS, MAX_MESSAGE, FromApp, FromWorker

__all__ = ["Channel", "app_channel", "close_all", "worker_channel"]

_In = TypeVar("_In")
_Out = TypeVar("_Out")

_FD = struct.Struct("@i")


class Channel(Generic[_In, _Out]):
    """Sends `_Out`, receives `_In`. Any thread may send; one thread receives."""

    def __init__(self, sock: socket.socket, accepts: Any) -> None:  # noqa: ANN401 - a union type, as msgspec takes it
        self._socket = sock
        self._decode = msgspec.msgpack.Decoder(accepts).decode
        self._encoder = msgspec.msgpack.Encoder()
        self._sending = threading.Lock()

    def fileno(self) -> int:
        """The socket's descriptor, for poll."""
        return self._socket.fileno()

    def send(self, message: _Out, fds: Sequence[int] = ()) -> None:
        """Send one message; the peer gets its own copies of `fds`. Blocks while the peer does not read.

        Raises:
            InvalidArgumentError: it is over the limits of one message.
            WireError: the other process is gone.
        """
        data = self._encoder.encode(message)
        if len(data) > MAX_MESSAGE or len(fds) > MAX_FDS:
            raise InvalidArgumentError(f"a message of {len(data)} bytes and {len(fds)} descriptors is over the limit")
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"".join(_FD.pack(fd) for fd in fds))] if fds else []
        try:
            with self._sending:
                self._socket.sendmsg([data], rights, socket.MSG_NOSIGNAL)
        except OSError as error:
            raise WireError("the process at the other end of the channel is gone", seen=_errno(error)) from None

    def receive(self) -> tuple[_In, list[int]] | None:
        """Wait for one message; None: the other process closed its end. The caller owns the descriptors.

        Raises:
            WireError: what came is not one of the messages of this direction.
        """
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                MAX_MESSAGE, socket.CMSG_SPACE(MAX_FDS * _FD.size), socket.MSG_CMSG_CLOEXEC
            )
        except OSError as error:
            if error.errno in {errno.ECONNRESET, errno.EBADF, errno.ENOTCONN}:
                return None
            raise WireError("the channel failed", seen=_errno(error)) from None
        fds = _descriptors(ancillary)
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise WireError("a message or its descriptors are over the limit")
            if not data:  # SEQPACKET has no empty messages in this protocol: this is the end
                close_all(fds)
                return None
            return self._decode(data), fds
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            close_all(fds)
            raise WireError(f"a message does not decode: {error}") from None
        except WireError:
            close_all(fds)
            raise

    def close(self) -> None:
        """Close this end; a thread that waits in `receive`, here or there, sees the end. Idempotent."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def app_channel(sock: socket.socket) -> Channel[FromWorker, FromApp]:
    """Return the application's end."""
    return Channel(sock, FromWorker)


def worker_channel(sock: socket.socket) -> Channel[FromApp, FromWorker]:
    """Return the worker's end."""
    return Channel(sock, FromApp)


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors that nobody wants."""
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            whole = len(data) - len(data) % _FD.size
            found += [fd for (fd,) in _FD.iter_unpack(data[:whole])]
    return found


def _errno(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "unknown error")
