"""What two sound processes say to each other in a playback, and what becomes of that in the mouth of a liar."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from drm.app import server as app_server
from drm.launch.process import PMPProcess
from drm.wire.messages import MAX_FDS, MAX_MESSAGE
from tests.fuzz.wire.test_decoders import mutant

__all__ = ["Lie", "Recording", "Said", "lie", "receive_raw", "record", "send_raw"]

_FD: Final = struct.Struct("@i")
_FLOOD: Final = 40  # times


class Said(NamedTuple):
    """One message."""

    data: bytes
    fds: tuple[int, ...]  # that came beside it
    heard: int  # how many messages of the other side had been heard by then


class Recording(NamedTuple):
    """Both sides of one playback."""

    from_app: list[Said]
    from_worker: list[Said]


class Lie(NamedTuple):
    """A side of a recording, with mistakes in it."""

    said: list[Said]
    mutants: int
    kinds: tuple[str, ...]
    first: int  # where it begins to differ


def send_raw(sock: socket.socket, data: bytes, fds: Sequence[int] = ()) -> None:
    """Raises OSError."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"".join(_FD.pack(fd) for fd in fds))] if fds else []
    sock.sendmsg([data], rights, socket.MSG_NOSIGNAL)


def receive_raw(sock: socket.socket) -> tuple[bytes, tuple[int, ...]]:
    """The next message as it is, empty at the end. Raises OSError."""
    data, ancillary, _, _ = sock.recvmsg(MAX_MESSAGE, socket.CMSG_SPACE(MAX_FDS * _FD.size), socket.MSG_CMSG_CLOEXEC)
    packed = b"".join(
        each for level, kind, each in ancillary if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
    )
    return data, tuple(fd for (fd,) in _FD.iter_unpack(packed))


@contextlib.contextmanager
def record() -> Iterator[Recording]:
    """Workers that are started inside the `with` talk through us. What they are handed stays open, to be used again."""
    recording = Recording([], [])

    class Overheard(PMPProcess):
        def __init__(self, **more: Any) -> None:
            super().__init__(**more)
            self._theirs = self.channel_socket
            self.channel_socket, self._ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._pump = threading.Thread(target=_pump, args=(self._ours, self._theirs, recording), daemon=True)
            self._pump.start()

        def close(self) -> None:
            super().close()
            self._pump.join()
            self._ours.close()
            self._theirs.close()

    usual = app_server.launch_worker
    app_server.launch_worker = lambda told: Overheard(memory=told.worker_memory)  # type: ignore[assignment]  # as there
    try:
        yield recording
    finally:
        app_server.launch_worker = usual


def _pump(app: socket.socket, worker: socket.socket, recording: Recording) -> None:
    kept = {app: (recording.from_app, recording.from_worker, worker), worker: (*reversed(recording), app)}
    while True:
        for each in select.select([app, worker], [], [])[0]:
            own, other, to = kept[each]
            try:
                data, fds = receive_raw(each)
                if data:
                    own.append(Said(data, fds, len(other)))
                    send_raw(to, data, fds)
                    continue
            except OSError:
                pass
            for end in (app, worker):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            return


# ------------------------------------------------------------------------------------------------ lies
def lie(rng: random.Random, said: Sequence[Said], begin: int = 0) -> Lie:
    """Change one to four messages from `begin` on: bytes of them, their order, how often they come, or that they do."""
    told = list(said)
    kinds = []
    first = len(told)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(begin, len(told))
        kind = rng.choice(_KINDS)
        kinds.append(kind.__name__.removeprefix("_"))
        told[at:] = kind(rng, told[at:], said)
        first = min(first, at)
        if len(told) <= begin:
            break
    return Lie(told, len(kinds), tuple(kinds), first)


def _bytes(rng: random.Random, told: list[Said], said: Sequence[Said]) -> list[Said]:
    changed = mutant(rng, [told[0].data, told[0].data, rng.choice(said).data]) or b"\xc0"
    return [told[0]._replace(data=changed[:MAX_MESSAGE]), *told[1:]]


def _values(rng: random.Random, told: list[Said], _said: Sequence[Said]) -> list[Said]:
    """Another value of the right type, most often, in a message that decodes."""
    try:
        fields = msgspec.msgpack.decode(told[0].data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _bytes(rng, told, _said)
    return [told[0]._replace(data=msgspec.msgpack.encode(_altered(rng, fields))[:MAX_MESSAGE]), *told[1:]]


def _altered(rng: random.Random, value: Any) -> Any:
    if isinstance(value, list) and value:
        at = rng.randrange(min(1, len(value) - 1), len(value))  # the first field is the message's name
        return [*value[:at], _altered(rng, value[at]), *value[at + 1 :]]
    if isinstance(value, dict) and value:
        name = rng.choice(list(value))
        return value | {name: _altered(rng, value[name])}
    if isinstance(value, bool) or value is None:
        return rng.choice((True, False, None))
    if isinstance(value, int):
        near = min(max(value + rng.choice((-1, 1)), -(2**63)), 2**64 - 1)
        return rng.choice((0, 1, -1, near, near, 2**31, 2**63 - 1, -(2**63), value % 2**60 * 7))
    if isinstance(value, float):
        return rng.choice((0.0, -1.0, float("nan"), float("inf"), 1e308))
    if isinstance(value, str):
        return rng.choice(("", value + "x", value[:-1], "x" * 5000, "\x1b[2J", "/etc/passwd"))
    return rng.choice((b"", bytes(5000), os.urandom(16)))


def _replay(rng: random.Random, told: list[Said], said: Sequence[Said]) -> list[Said]:
    return [told[0], rng.choice((told[0], rng.choice(said)))._replace(heard=told[0].heard), *told[1:]]


def _swap(rng: random.Random, told: list[Said], _said: Sequence[Said]) -> list[Said]:
    at = rng.randrange(len(told))
    return [told[at]._replace(heard=told[0].heard), *told[1:at], *told[:1], *told[at + 1 :]] if at else told


def _leave_out(rng: random.Random, told: list[Said], _said: Sequence[Said]) -> list[Said]:
    return told[rng.randint(1, 3) :]


def _cut(_rng: random.Random, _told: list[Said], _said: Sequence[Said]) -> list[Said]:
    return []


def _flood(_rng: random.Random, told: list[Said], _said: Sequence[Said]) -> list[Said]:
    return [told[0]] * _FLOOD + told[1:]


def _hand(rng: random.Random, told: list[Said], said: Sequence[Said]) -> list[Said]:
    """Other descriptors than belong there, or none."""
    others = [each.fds for each in said if each.fds]
    return [told[0]._replace(fds=rng.choice(((), *others))), *told[1:]]


_Kind = Callable[[random.Random, list[Said], Sequence[Said]], list[Said]]
_KINDS: Final[tuple[_Kind, ...]] = (
    _bytes, _bytes, _bytes, _values, _values, _values, _values, _replay, _swap, _leave_out, _cut, _flood, _hand,
)  # fmt: skip
