"""A real worker against an application that lies: it answers or it ends, soon, and leaves nothing running."""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from drm.app.components.installed import pack_components
from drm.app.components.supply import ComponentSupply
from drm.class_ids import AV_DECODER, CLEARKEY_ITA, DISCARD_SINK, HASH_SINK, MP4_SOURCE, SNAPSHOT_SINK
from drm.errors import WireError
from drm.keys import KeyId
from drm.launch.process import PMPProcess
from drm.media import Sample, SampleCrypto, Scheme, StreamDescriptor, TrackInfo, TrackType
from drm.protection import ProtectionReport
from drm.rights.enablers import LicensePath
from drm.trust.snapshot import pack_snapshot
from drm.wire import messages as wire
from drm.wire.channel import Channel, app_channel
from drm.wire.ring import RingWriter, sealed_memfd
from tests.fuzz.wire.test_decoders import mutant
from tests.unit.wire.examples import ERROR, FROM_APP

CRYPTO = SampleCrypto(KeyId(bytes(16)), Scheme.CENC, bytes(8))
END = 6.0  # seconds in which a worker that was lied to is gone, or has answered
SOUND = TrackInfo(1, TrackType.AUDIO, "mp4a", 48_000, decoder="aac", codec_config=b"\x11\x90")
CLEAR = StreamDescriptor(SOUND)
INIT = msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": [str(KeyId(bytes(16)))]})


class Application:
    """The application's end of the wire to a locked worker, without the manners of the real one."""

    def __init__(self) -> None:
        self.process = PMPProcess(demanded_level=1)
        self.process.channel_socket.settimeout(END)
        self.channel: Channel = app_channel(self.process.channel_socket)
        self.calls = 0
        ready, _ = self.channel.receive()
        assert isinstance(ready, wire.Ready)
        assert isinstance(ready.report, ProtectionReport)

    def send(self, *messages: object, fds: tuple[int, ...] = ()) -> None:
        for message in messages:
            self.channel.send(message, fds)

    def raw(self, data: bytes) -> None:
        self.process.channel_socket.send(data)

    def load(self) -> None:
        snapshot = pack_snapshot(ComponentSupply().snapshot())
        fd = sealed_memfd("components", snapshot)
        self.send(wire.LoadTrust(1, len(snapshot)), fds=(fd,))
        os.close(fd)
        assert isinstance(self.next(), wire.Returned)
        self.send(wire.CreateSession(2, 1, wire.SessionSpec()))
        assert isinstance(self.next(), wire.Returned)

    def next(self) -> object | None:
        """The worker's next message; None: it closed its end."""
        received = self.channel.receive()
        return received and received[0]

    def until(self, kind: type, /, **wanted: object) -> object:
        """The next message of this kind with these fields; the worker's end is a failure."""
        end = time.monotonic() + END
        while time.monotonic() < end:
            message = self.next()
            assert message is not None, f"the worker ended: {self.process.stderr}"
            if isinstance(message, kind) and all(getattr(message, k) == v for k, v in wanted.items()):
                return message
        raise AssertionError(f"no {kind.__name__} in time")

    def ends(self) -> None:
        """The worker ends by itself, without a traceback and without a signal."""
        while self.next() is not None:  # raises when nothing comes for a while
            pass
        assert self.process.wait(END)
        assert self.process.exit_code == 0, self.process.stderr
        assert "Traceback" not in self.process.stderr

    def topology(self, stream: StreamDescriptor = CLEAR, authority: int = 0) -> wire.SetTopology:
        return one_branch(wire.BranchSpec(stream, authority, (0,)), wire.SinkSpec(DISCARD_SINK, b"{}"))


def one_branch(branch: wire.BranchSpec, sink: wire.SinkSpec) -> wire.SetTopology:
    return wire.SetTopology(1, wire.TopologySpec(1, (branch,), (sink,)))


@pytest.fixture
def application():
    made = Application()
    yield made
    made.process.close()
    assert not Path(f"/proc/{made.process.pid}").exists()


@pytest.fixture
def loaded(application: Application) -> Application:
    application.load()
    return application


BREAKING: dict[str, Callable[[Application], None]] = {
    "garbage": lambda a: a.raw(b"\xc1 garbage"),
    "a worker's message": lambda a: a.raw(msgspec.msgpack.encode(wire.Returned(1))),
    "nested": lambda a: a.raw(b"\x91" * 60_000),
    "samples before a topology": lambda a: a.send(wire.Samples(1, 1, 1, 1, (), end=True)),
    "a source's failure before a topology": lambda a: a.send(wire.SourceFailed(1, 1, 1, ERROR)),
    "a ring before a topology": lambda a: a.send(wire.AttachRing(1, 1, 1, 4096), fds=(0,)),
    "a license that nobody asked for": lambda a: a.send(wire.EnablerAnswer(1, 1, LicensePath.LOCAL, b"{}", 2)),
    "an enabler that nobody asked for": lambda a: a.send(wire.EnablerFailed(1, 0, ERROR)),
    "a license in a pipe": lambda a: a.send(wire.EnablerAnswer(1, 1, LicensePath.LOCAL, b"", 9), fds=(os.pipe()[0],)),
    "a device key without its descriptor": lambda a: a.send(wire.DeviceKey()),
    "a device key after the components": lambda a: a.send(wire.DeviceKey(), fds=(0,)),
    "a descriptor beside start": lambda a: a.send(wire.Start(1), fds=(0,)),
    "a sink without its descriptor": lambda a: a.send(
        one_branch(wire.BranchSpec(CLEAR, 0, (0,)), wire.SinkSpec(HASH_SINK, b"{}", 3))
    ),
    "options that are no object": lambda a: a.send(
        one_branch(wire.BranchSpec(CLEAR, 0, (0,)), wire.SinkSpec(HASH_SINK, b"[1"))
    ),
    "a branch without a sink": lambda a: a.send(
        one_branch(wire.BranchSpec(CLEAR, 0, ()), wire.SinkSpec(HASH_SINK, b"{}"))
    ),
    "a branch to a sink that is not there": lambda a: a.send(
        one_branch(wire.BranchSpec(CLEAR, 0, (-1, 5)), wire.SinkSpec(HASH_SINK, b"{}"))
    ),
    "a second topology": lambda a: a.send(a.topology(), a.topology()),
}  # fmt: skip


def test_a_device_key_in_a_pipe_ends_the_worker(application: Application) -> None:
    """It would wait there for ever."""
    reader, writer = os.pipe()
    application.send(wire.DeviceKey(), fds=(reader,))
    application.ends()
    os.close(reader)
    os.close(writer)


def test_a_second_device_key_ends_the_worker(application: Application, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(32))
    with path.open("rb") as key:
        application.send(wire.DeviceKey(), fds=(key.fileno(),))
        application.send(wire.Ping(1))
        assert isinstance(application.next(), wire.Returned)
        application.send(wire.DeviceKey(), fds=(key.fileno(),))
    application.ends()


@pytest.mark.parametrize("lie", BREAKING)
def test_a_broken_protocol_ends_the_worker(loaded: Application, lie: str) -> None:
    BREAKING[lie](loaded)
    loaded.ends()


def topology_in_place(a: Application, stream: StreamDescriptor = CLEAR) -> RingWriter:
    a.send(a.topology(stream))
    ring = RingWriter(65536)
    a.send(wire.AttachRing(1, 1, 1, ring.size), fds=(ring.fd,))
    a.send(wire.Start(1))
    a.until(wire.NeedSamples)
    a.send(wire.SourceStarted(1, 1, 1))
    return ring


def samples(a: Application, *found: Sample, epoch: int = 1, end: bool = False) -> None:
    a.send(wire.Samples(1, 1, epoch, 1, found, end))


BAD_SAMPLES = {
    "outside the ring": Sample(1, 0, 0, 1, True, 1 << 40, 100),
    "behind the ring's end": Sample(1, 0, 0, 1, True, 0, 65537),
    "of negative size": Sample(1, 0, 0, 1, True, 0, -1),
    "at a negative offset": Sample(1, 0, 0, 1, True, -5, 4),
    "out of order": Sample(1, 0, 0, 1, True, 512, 4),
    "at a time that no decoder knows": Sample(1, 2**63, 2**62, 2**63, True, 0, 4),
    "encrypted in a clear stream": Sample(1, 0, 0, 1, True, 0, 4, 1, CRYPTO),
    "of a description that is not there": Sample(1, 0, 0, 1, True, 0, 4, 99),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SAMPLES)
def test_a_sample_that_lies_is_an_error_or_harmless(loaded: Application, name: str) -> None:
    ring = topology_in_place(loaded)
    samples(loaded, BAD_SAMPLES[name])
    samples(loaded, end=True)
    while True:
        event = loaded.until(wire.Event)
        if event.kind in {1, 107}:
            break
    assert event.kind == 1 or name in {"at a time that no decoder knows", "of a description that is not there"}
    if event.error is not None:
        assert "Traceback" not in repr(event.error)
    loaded.send(wire.Close(1))
    loaded.until(wire.Event, kind=106)
    ring.close()


BAD_FLOWS: dict[str, Callable[[Application], None]] = {
    "without credit": lambda a: samples(a, *[Sample(1, n, 0, 1, True, n, 1) for n in range(400)]),
    "of another stream": lambda a: samples(a, Sample(2, 0, 0, 1, True, 0, 1)),
    "after the end": lambda a: (samples(a, end=True), samples(a, Sample(1, 0, 0, 1, True, 0, 1))),
    "into a second ring": lambda a: a.send(wire.AttachRing(1, 1, 1, 4096), fds=(0,)),
    "of a stream that is not there": lambda a: a.send(wire.Samples(1, 1, 1, 7, (), end=True)),
}


@pytest.mark.parametrize("name", BAD_FLOWS)
def test_samples_against_the_rules_end_the_worker(loaded: Application, name: str) -> None:
    ring = topology_in_place(loaded)
    BAD_FLOWS[name](loaded)
    loaded.ends()
    ring.close()


def test_a_ring_that_could_shrink_ends_the_worker(loaded: Application) -> None:
    loaded.send(loaded.topology())
    fd = os.memfd_create("ring", os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 65536)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    loaded.send(wire.AttachRing(1, 1, 1, 65536), fds=(fd,))
    os.close(fd)
    loaded.ends()


def test_samples_of_an_old_epoch_are_void(loaded: Application) -> None:
    ring = topology_in_place(loaded)
    samples(loaded, Sample(1, 0, 0, 1, True, 1 << 40, 5), epoch=0)
    samples(loaded, end=True)
    assert loaded.until(wire.Event, kind=107).status == 0
    ring.close()


@pytest.mark.parametrize(
    ("class_id", "stream"),
    [
        (UUID(int=1), b""),
        (CLEARKEY_ITA, b"not json"),
        (CLEARKEY_ITA, b'{"track_id": 1, "scheme": "cenc", "key_ids": ["xyz"]}'),
        (
            CLEARKEY_ITA,
            msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": [f"{n:032x}" for n in range(65)]}),
        ),
        (CLEARKEY_ITA, b"[" * 30_000),
        (CLEARKEY_ITA, bytes(wire.MAX_INLINE + 1)),
        (AV_DECODER, b""),
        (SNAPSHOT_SINK, b'{"times": []}'),
        (MP4_SOURCE, b""),
    ],
)
def test_an_object_that_cannot_be_made_is_the_calls_error(loaded: Application, class_id: UUID, stream: bytes) -> None:
    loaded.send(wire.CreateObject(5, 1, class_id, stream))
    assert loaded.until(wire.Raised, call=5).error.what
    loaded.send(wire.CreateObject(6, 1, CLEARKEY_ITA, INIT))
    assert loaded.until(wire.Returned, call=6).object.object_id == 1  # what failed took no place in the table


def test_objects_run_out_and_ids_are_not_used_again(loaded: Application) -> None:
    ids = []
    for call in range(300):
        loaded.send(wire.CreateObject(call, 1, CLEARKEY_ITA, INIT))
        answer = loaded.next()
        if isinstance(answer, wire.Returned):
            ids.append(answer.object.object_id)
    assert len(ids) == len(set(ids)) == 256


@pytest.mark.parametrize("spoil", ["no snapshot", "unsealed", "short", "garbage", "none", "two"])
def test_a_snapshot_that_is_not_one_is_the_calls_error(application: Application, spoil: str) -> None:
    snapshot = pack_snapshot(ComponentSupply().snapshot())
    unsigned = pack_components()
    data = {"garbage": os.urandom(5000), "short": snapshot[:-1], "no snapshot": unsigned}.get(spoil, snapshot)
    fd = sealed_memfd("components", data)
    if spoil == "unsealed":
        fd = os.memfd_create("components")
        os.write(fd, data)
    fds = {"none": (), "two": (fd, fd)}.get(spoil, (fd,))
    application.send(wire.LoadTrust(9, len(data)), fds=fds)
    assert application.until(wire.Raised, call=9).error.what


def test_a_protected_worker_takes_no_components_that_nobody_vouches_for(application: Application) -> None:
    data = pack_components()
    fd = sealed_memfd("components", data)
    application.send(wire.LoadComponents(9, len(data)), fds=(fd,))
    os.close(fd)
    assert application.until(wire.Raised, call=9).error.hresult == 0xC00D715C


def test_streams_of_random_messages_never_hang_a_worker() -> None:
    """Sound, mutated and misplaced messages in any order, against real locked workers."""
    rng = random.Random(3)
    seeds = [msgspec.msgpack.encode(m) for m in FROM_APP if not isinstance(m, wire.Shutdown | wire.Exit)]
    for _ in range(6):
        a = Application()
        try:
            a.load()
            for _ in range(60):
                a.raw(rng.choice(seeds) if rng.random() < 0.8 else mutant(rng, seeds) or b"\xc0")
        except (WireError, OSError):
            pass  # it has ended already
        finally:
            start = time.monotonic()
            a.process.close()
            assert time.monotonic() - start < END
        assert a.process.exit_code == 0, a.process.stderr
        assert "Traceback" not in a.process.stderr
