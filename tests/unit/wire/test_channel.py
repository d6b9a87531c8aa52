"""The channel: what is one of the messages gets through whole, and nothing else does anything but end it."""

from __future__ import annotations

import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from drm.errors import InvalidArgumentError, WireError
from drm.wire.channel import Channel, app_channel, close_all, worker_channel
from drm.wire.messages import MAX_FDS, MAX_MESSAGE, FromApp, FromWorker, Returned, Start
from tests.unit.wire.examples import FROM_APP, FROM_WORKER, kinds


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    theirs.settimeout(5)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def no_leak() -> Iterator[None]:
    """No descriptor is left over at the end."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def end_of(direction: str, sock: socket.socket) -> Channel:
    """The end that receives this direction."""
    return worker_channel(sock) if direction == "app" else app_channel(sock)


BOTH = [("app", m) for m in FROM_APP] + [("worker", m) for m in FROM_WORKER]


def test_every_message_has_an_example() -> None:
    assert {type(m) for m in FROM_APP} == kinds(FromApp)
    assert {type(m) for m in FROM_WORKER} == kinds(FromWorker)


@pytest.mark.parametrize(("direction", "message"), BOTH, ids=lambda v: v if isinstance(v, str) else type(v).__name__)
def test_a_message_survives_the_round_trip(pair, no_leak, direction: str, message: object) -> None:
    ours, theirs = pair
    reading, writing = os.pipe()
    sender: Channel = Channel(ours, FromWorker if direction == "app" else FromApp)
    sender.send(message, [reading, writing])
    received, fds = end_of(direction, theirs).receive()
    assert (received, type(received)) == (message, type(message))
    assert [os.fstat(fd).st_ino for fd in fds] == [os.fstat(fd).st_ino for fd in (reading, writing)]
    assert not any(os.get_inheritable(fd) for fd in fds)
    close_all([reading, writing, *fds])


@pytest.mark.parametrize(("direction", "message"), BOTH, ids=lambda v: v if isinstance(v, str) else type(v).__name__)
def test_a_message_of_the_other_direction_is_refused(pair, direction: str, message: object) -> None:
    ours, theirs = pair
    ours.send(msgspec.msgpack.encode(message))
    with pytest.raises(WireError):
        end_of("worker" if direction == "app" else "app", theirs).receive()


@pytest.mark.parametrize(("direction", "message"), BOTH, ids=lambda v: v if isinstance(v, str) else type(v).__name__)
def test_a_message_cut_short_is_refused(pair, no_leak, direction: str, message: object) -> None:
    ours, theirs = pair
    whole = msgspec.msgpack.encode(message)
    channel = end_of(direction, theirs)
    for end in range(1, len(whole)):
        ours.send(whole[:end])
        with pytest.raises(WireError):
            channel.receive()


def array32(count: int) -> bytes:
    return b"\xdd" + struct.pack(">I", count)


ENABLE_TYPE = "9400e798-4f8c-4875-b6c4-9d45b01b9691"
SAMPLES = b"\x97\xa7samples\x01\x01\x01\x01"
GARBAGE = {
    "zeros": bytes(100),
    "text": b"GET / HTTP/1.1\r\n\r\n",
    "nil": b"\xc0",
    "no tag": b"\x90",
    "unknown tag": msgspec.msgpack.encode(["run-this", "rm"]),
    "tag of no string": msgspec.msgpack.encode([1, 2]),
    "an array that says 4 billion": array32(0xFFFFFFFF),
    "samples that say 4 billion": SAMPLES + array32(0xFFFFFFFF),
    "a string that says 4 billion": b"\x91\xdb\xff\xff\xff\xff",
    "bytes that say 4 billion": b"\x95\xadcreate-object\x01\x01\xa0\xc6\xff\xff\xff\xff",
    "a map that says 4 billion": b"\x94\xa8returned\x01\xc0\xdf\xff\xff\xff\xff",
    "nested arrays": b"\x91" * 60_000,
    "nested maps": b"\x81" * 60_000,
    "nested in a field": SAMPLES + b"\x91" * 60_000,
    "two messages": msgspec.msgpack.encode(Start(1)) * 2,
    "one field too many": msgspec.msgpack.encode(["start", 1, None, "", 0, 1]),
    "a field of another type": msgspec.msgpack.encode(["attach-ring", 1, 1, "1", 4096]),
    "a class id that is none": msgspec.msgpack.encode(["create-object", 1, 1, "x", b""]),
    "a key id of 15 bytes": msgspec.msgpack.encode(["begin-enable-content", 1, 1, [ENABLE_TYPE, [[b"0" * 15]], b""]]),
    "a string that is not UTF-8": b"\x94\xa6raised\x01\xa1\xff\xc0",
    "an integer over 64 bits": b"\x95\xabattach-ring\x01\x01\x01\xc7\x09\x01" + b"\xff" * 9,
    "an extension": b"\xc7\x05\x01hello",
}  # fmt: skip


@pytest.mark.parametrize("direction", ["app", "worker"])
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_at_once_and_costs_nothing(pair, no_leak, direction: str, name: str) -> None:
    ours, theirs = pair
    reading, writing = os.pipe()
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@2i", reading, writing))
    ours.sendmsg([GARBAGE[name]], [rights])
    close_all([reading, writing])
    start, memory = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(WireError):
        end_of(direction, theirs).receive()
    assert time.monotonic() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 64 << 10  # kilobytes


def test_the_limits_of_one_message(pair, no_leak) -> None:
    ours, theirs = pair
    with pytest.raises(InvalidArgumentError):
        app_channel(ours).send(Returned(1, None, {"x": "y" * MAX_MESSAGE}))
    with pytest.raises(InvalidArgumentError):
        app_channel(ours).send(Returned(1), [0] * (MAX_FDS + 1))
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    ours.send(msgspec.msgpack.encode(["returned", 1, None, {"x": "y" * MAX_MESSAGE}]))
    with pytest.raises(WireError, match="over the limit"):
        app_channel(theirs).receive()


def test_too_many_descriptors_end_the_channel_and_are_closed(pair, no_leak) -> None:
    ours, theirs = pair
    null = os.open("/dev/null", os.O_RDONLY)
    many = struct.pack(f"@{MAX_FDS + 1}i", *[null] * (MAX_FDS + 1))
    ours.sendmsg([msgspec.msgpack.encode(Start(1))], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, many)])
    os.close(null)
    with pytest.raises(WireError, match="over the limit"):
        worker_channel(theirs).receive()


def test_a_closed_peer_is_the_end_and_no_error(pair) -> None:
    ours, theirs = pair
    ours.close()
    channel = worker_channel(theirs)
    assert channel.receive() is None
    with pytest.raises(WireError, match="gone"):
        channel.send(Returned(1))


def test_an_empty_message_is_the_end_and_its_descriptors_are_closed(pair, no_leak) -> None:
    ours, theirs = pair
    null = os.open("/dev/null", os.O_RDONLY)
    ours.sendmsg([b""], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", null))])
    os.close(null)
    assert worker_channel(theirs).receive() is None


def test_close_lets_a_waiting_receiver_go(pair) -> None:
    _ours, theirs = pair
    theirs.settimeout(None)
    channel, answers = worker_channel(theirs), []
    waiting = threading.Thread(target=lambda: answers.append(channel.receive()))
    waiting.start()
    time.sleep(0.05)
    channel.close()
    channel.close()
    waiting.join(5)
    assert answers == [None]


def test_threads_that_send_at_once_do_not_mix_their_messages(pair) -> None:
    ours, theirs = pair
    channel, reader = worker_channel(ours), app_channel(theirs)

    def send(number: int) -> None:
        for _ in range(50):
            channel.send(Returned(number, None, {"x": str(number) * 5000}))

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(200):
        message, _fds = reader.receive()
        assert message.digests == {"x": str(message.call) * 5000}
    for sender in senders:
        sender.join(5)
