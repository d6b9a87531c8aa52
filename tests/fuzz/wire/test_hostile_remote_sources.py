"""Remote source mode between liars: a real worker against an application, and the application's half by itself."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from drm.app.remote_mode.sources import RemoteSources
from drm.class_ids import DISCARD_SINK, SOURCE_RESOLVER
from drm.errors import DRMError, WireError
from drm.wire import messages as wire
from drm.wire.remote_sources import SLOT, WINDOW
from drm.wire.ring import RingWriter
from tests.fuzz.wire.test_decoders import mutant
from tests.fuzz.wire.test_hostile_application import Application, one_branch
from tests.unit.wire.examples import ERROR, STREAM

SIZE = 3 * SLOT


class RemoteApplication(Application):
    """An application whose session is in remote source mode, with a resolver and a window."""

    def load(self) -> None:
        super().load()
        self.send(wire.CreateSession(3, 2, wire.SessionSpec(remote_source_mode=True)))
        assert isinstance(self.next(), wire.Returned)
        self.send(wire.CreateObject(4, 2, SOURCE_RESOLVER, None))
        made = self.next()
        assert isinstance(made, wire.Returned)
        assert made.object is not None
        self.resolver = made.object.object_id
        self.window = RingWriter(WINDOW)

    def create(self, cookie: int = 1, size: int = SIZE, files: tuple[int, ...] = (), fds: object = None) -> None:
        spec = wire.ByteStreamSpec(cookie, "film", size, files)
        self.send(wire.CreateSource(2, cookie, self.resolver, spec), fds=fds or (self.window.fd,))


@pytest.fixture
def remote():
    made = RemoteApplication()
    made.load()
    yield made
    made.window.close()
    made.process.close()
    assert not Path(f"/proc/{made.process.pid}").exists()


def asked(a: RemoteApplication) -> wire.ReadBytes:
    a.create()
    message = a.until(wire.ReadBytes)
    assert isinstance(message, wire.ReadBytes)
    return message


def bare_window() -> int:
    fd = os.memfd_create("bare", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, WINDOW)
    return fd


BREAKING: dict[str, Callable[[RemoteApplication], None]] = {
    "a window that could shrink": lambda a: a.create(fds=(bare_window(),)),
    "a window that is a pipe": lambda a: a.create(fds=(os.pipe()[0],)),
    "two windows": lambda a: a.create(fds=(a.window.fd, a.window.fd)),
    "files of negative size": lambda a: a.create(size=5, files=(10, -5), fds=(a.window.fd, a.window.fd)),
    "files without descriptors": lambda a: a.create(size=5, files=(5, 0), fds=(a.window.fd,)),
    "sizes that do not add up": lambda a: a.create(size=9, files=(5,), fds=(a.window.fd,)),
    "a stream of negative size": lambda a: a.create(size=-1),
    "a stream of any size": lambda a: a.create(size=2**62),
    "a creation that was there": lambda a: (a.create(5), a.create(5)),
    "a resolver that is none": lambda a: (setattr(a, "resolver", 999), a.create()),
    "an answer to no stream": lambda a: a.send(wire.BytesRead(2, 7, 1)),
    "an answer to no request": lambda a: (asked(a), a.send(wire.BytesRead(2, 1, 99))),
    "the end of no creation": lambda a: a.send(wire.CancelCreation(2, 9)),
    "the release of no source": lambda a: a.send(wire.ReleaseRemoteSource(2, 9)),
    "a topology of the application's source": lambda a: a.send(
        msgspec.structs.replace(
            one_branch(wire.BranchSpec(STREAM, 0, (0,)), wire.SinkSpec(DISCARD_SINK, b"{}")), session=2
        )
    ),
    "a topology of no source": lambda a: a.send(
        wire.SetTopology(
            2,
            wire.TopologySpec(
                1, (wire.BranchSpec(STREAM, 0, (0,)),), (wire.SinkSpec(DISCARD_SINK, b"{}"),), source=77
            ),
        )
    ),
    "a remote source without the mode": lambda a: a.send(
        wire.SetTopology(
            1,
            wire.TopologySpec(1, (wire.BranchSpec(STREAM, 0, (0,)),), (wire.SinkSpec(DISCARD_SINK, b"{}"),), source=1),
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", BREAKING)
def test_a_broken_protocol_ends_the_worker(remote: RemoteApplication, lie: str) -> None:
    BREAKING[lie](remote)
    remote.ends()


def test_an_answer_twice_ends_the_worker_unless_it_comes_when_all_is_over(remote: RemoteApplication) -> None:
    """The first may be all that the creation needed to fail; then the second is late, and late ones are harmless."""
    request = asked(remote).request
    for _ in range(2):
        remote.send(wire.BytesRead(2, 1, request))
    while (message := remote.next()) is not None:
        if isinstance(message, wire.SourceNotCreated):
            remote.send(wire.Ping(50))
        if isinstance(message, wire.Returned):
            return
    remote.ends()


def test_bytes_of_any_kind_are_an_error_of_that_creation(remote: RemoteApplication) -> None:
    """Each creation reads other noise, part of it behind a sound beginning; the worker answers each, and lives."""
    chance = random.Random(5)
    heads = (
        b"",
        b"\x00\x00\x00\x18ftypisom",
        b"\x1a\x45\xdf\xa3",
        b"\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
    )
    for cookie in range(1, 13):
        noise = chance.choice(heads) + chance.randbytes(4096)
        remote.create(cookie)
        while not isinstance(message := remote.next(), wire.SourceNotCreated):
            if isinstance(message, wire.ReadBytes):
                with remote.window.view(message.slot * SLOT, len(noise)) as into:
                    into[:] = noise
                error = ERROR if chance.random() < 0.1 else None
                remote.send(wire.BytesRead(2, message.stream, message.request, error))
            else:
                assert isinstance(message, wire.ByteStreamClosed), message
        assert message.cookie == cookie
        assert "Traceback" not in repr(message.error)
    remote.send(wire.Ping(50))
    remote.until(wire.Returned, call=50)


def test_an_application_that_never_answers_can_still_end_the_session(remote: RemoteApplication) -> None:
    asked(remote)
    remote.send(wire.CancelCreation(2, 1))
    ended = remote.until(wire.SourceNotCreated)
    assert ended.error.code == "E-CREATION-CANCELLED"
    remote.create(2)
    remote.until(wire.ReadBytes)
    remote.send(wire.Shutdown(60, 2))
    remote.until(wire.Returned, call=60)


def test_creations_without_end_are_answered_by_name(remote: RemoteApplication) -> None:
    for cookie in range(1, 12):
        remote.create(cookie)
    refused = remote.until(wire.SourceNotCreated)
    assert "at once" in refused.error.what


def test_a_descriptor_is_for_reading_alone(remote: RemoteApplication, tmp_path: Path) -> None:
    """What reaches the worker was opened for reading: the kernel lets nobody write through it."""
    path = tmp_path / "film"
    path.write_bytes(b"%PDF and more")
    fd = os.open(path, os.O_RDONLY)
    remote.create(size=13, files=(13,), fds=(fd,))
    assert remote.until(wire.SourceNotCreated).error.code == "E-MEDIA-UNSUPPORTED"
    with pytest.raises(OSError):
        os.pwrite(fd, b"x", 0)
    os.close(fd)


NO_MEDIA: dict[str, Callable[[], int]] = {
    "a pipe": lambda: os.pipe()[0],
    "a folder": lambda: os.open("/tmp", os.O_RDONLY),
    "the kernel makes up": lambda: os.open("/proc/self/mem", os.O_RDONLY),
    "a device": lambda: os.open("/dev/zero", os.O_RDONLY),
    "reading and writing": lambda: os.memfd_create("film"),
}


@pytest.mark.parametrize("seen", NO_MEDIA)
def test_what_is_no_file_for_reading_is_refused_by_name(remote: RemoteApplication, seen: str) -> None:
    fd = NO_MEDIA[seen]()
    remote.create(size=5, files=(5,), fds=(fd,))
    os.close(fd)
    refused = remote.until(wire.SourceNotCreated).error
    assert refused.code == "E-USAGE"
    assert seen in refused.seen
    remote.send(wire.Ping(50))
    remote.until(wire.Returned, call=50)


# ------------------------------------------------------------------------------------------------ the application
class Link:
    """Where a worker would be."""

    def __init__(self) -> None:
        self.sent: list[object] = []

    def send(self, message: object, fds: object = ()) -> None:
        self.sent.append(message)


class Still:
    """A byte stream that never gives anything."""

    name, size = "film", SIZE

    def read_into(self, offset: int, into: memoryview) -> int:
        return len(into)


@pytest.mark.parametrize("seed", range(8))
def test_what_a_worker_may_say_is_an_outcome_or_a_broken_protocol(seed: int) -> None:
    chance = random.Random(seed)
    sources = RemoteSources(Link(), 2)
    outcomes: list[object] = []
    sources.create(1, Still(), outcomes.append, is_own=False)
    sound = [
        wire.ReadBytes(2, 1, 1, 0, 4096, 3), wire.ByteStreamClosed(2, 1), wire.SourceNotCreated(2, 1, ERROR),
        wire.SourceCreated(2, 1, 5, (STREAM,), 2**40, -5, ("odd",)),
    ]  # fmt: skip
    decode = msgspec.msgpack.Decoder(wire.FromWorker).decode
    seeds = [msgspec.msgpack.encode(each) for each in sound]
    decoded = 0
    for _ in range(600):
        data = mutant(chance, seeds)
        try:
            message = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
            continue
        if isinstance(message, tuple(map(type, sound))):
            decoded += 1
            try:
                sources.take(message)
            except WireError:
                continue
    sources.close()
    assert decoded > 20
    assert len(outcomes) == 1
    with pytest.raises(DRMError):
        sources.create(1, Still(), outcomes.append, is_own=False)
