"""A worker that breaks the protocol in one way: the test puts `MODE = "..."` before this text and starts it."""

import os
import select
import socket
import struct
import sys
import time

sys.path += [word[5:] for word in sys.argv if word.startswith("path=")]
number = int(next(word[8:] for word in sys.argv if word.startswith("channel=")))

import msgspec  # noqa: E402

from drm.keys import KeyId  # noqa: E402
from drm.protection import CONTAINED_LAYERS, ProtectionReport  # noqa: E402
from drm.rights.enablers import EnablerActivate, EnableType  # noqa: E402
from drm.wire import messages as wire  # noqa: E402
from drm.wire.channel import worker_channel  # noqa: E402

MODE = globals()["MODE"]
sock = socket.socket(fileno=number)
channel = worker_channel(sock)
sock.send(b"\0")  # it is there, as the application sees it
READY = wire.Ready(ProtectionReport(2, dict.fromkeys(CONTAINED_LAYERS, "yes")))
PROGRESS = wire.Event(1, 118, 0, {"text": "x" * 1000})
ACTIVATE = EnablerActivate(EnableType.LICENSE_ACQUISITION, (KeyId(bytes(16)),), b"{}")


def raw(data: bytes, fds: tuple[int, ...] = ()) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"@{len(fds)}i", *fds))] if fds else []
    sock.sendmsg([data], rights)


def until(kind: type) -> object:
    """Answer calls as a sound worker does, until a message of this kind comes."""
    while (received := channel.receive()) is not None:
        message, _fds = received
        if isinstance(message, wire.LoadComponents | wire.LoadTrust):
            channel.send(wire.Returned(message.call, None, {"ita": "00"}))
        if isinstance(message, wire.CreateSession):
            channel.send(wire.Returned(message.call))
        if isinstance(message, wire.CreateObject):
            channel.send(wire.Returned(message.call, wire.RemoteObject(1, message.class_id)))
        if isinstance(message, kind):
            return message
    sys.exit(0)


def stay() -> None:
    """Say nothing more, until the application has had enough; one of them does not even hear that."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    if MODE != "nothing instead of ready":
        poll.poll(60_000)
        sys.exit(0)
    time.sleep(60)


def at_start() -> None:
    match MODE:
        case "garbage instead of ready":
            raw(b"\xc1 garbage")
        case "nothing instead of ready":
            pass
        case "an event instead of ready":
            channel.send(PROGRESS)
        case "an end instead of ready":
            sys.exit(3)
        case _:
            return
    stay()


def at_first_call() -> None:
    match MODE:
        case "no answer to a call":
            channel.receive()
        case "an end instead of an answer":
            channel.receive()
            os._exit(7)
        case "an answer to no call":
            channel.send(wire.Returned(99))
        case _:
            return
    stay()


def in_topology() -> None:
    topology = until(wire.SetTopology).topology
    number, stream = topology.topology_id, topology.branches[0].stream.track.track_id
    channel.send(wire.SelectStreams(1, number, 1, (stream,)))
    match MODE:
        case "samples of no stream":
            channel.send(wire.NeedSamples(1, number, 1, 4_000, 1, 0))
        case "samples of less than none":
            channel.send(wire.NeedSamples(1, number, 1, stream, -5, 0))
        case "samples without end":
            channel.send(wire.NeedSamples(1, number, 1, stream, 2**62, 0))
        case "a release of what was not sent":
            for _ in range(50):
                channel.send(wire.NeedSamples(1, number, 1, stream, 1, 2**40))
                time.sleep(0.02)
        case "requests without end":
            end = time.monotonic() + 2
            while time.monotonic() < end:
                channel.send(wire.SelectStreams(1, number, 1, (stream,)))
            raw(b"\xc1")
        case "a second ready":
            channel.send(READY)
        case "a message of the application's":
            raw(msgspec.msgpack.encode(wire.Start(1)))
        case "a message over the limit":
            raw(msgspec.msgpack.encode(["returned", 1, None, {"x": "y" * wire.MAX_MESSAGE}]))
        case "a message that is nested":
            raw(b"\x91" * 60_000)
        case "a message that says 4 billion":
            raw(b"\x94\xa8returned\x01\xc0\xdf\xff\xff\xff\xff")
        case "descriptors without end":
            for _ in range(2_000):
                raw(msgspec.msgpack.encode(PROGRESS), (0,) * wire.MAX_FDS)
            raw(b"\xc1")
        case "events without end":
            for _ in range(20_000):
                channel.send(PROGRESS)
            raw(b"\xc1")
        case "licenses without end":
            for ticket in range(1, 500):
                channel.send(wire.BeginEnableContent(1, ticket, ACTIVATE))
        case "licenses for another topology":
            channel.send(wire.BeginEnableContent(1, 1, ACTIVATE, number + 1))
        case "licenses begun and called off without end":
            for ticket in range(1, 500):
                channel.send(wire.BeginEnableContent(1, ticket, ACTIVATE, number))
                channel.send(wire.CancelEnabler(1, ticket))
            channel.send(wire.BeginEnableContent(1, 499, ACTIVATE, number))
        case "a license called off that was never begun":
            channel.send(wire.CancelEnabler(1, 1))
        case "licenses for a session that never was":
            channel.send(wire.BeginEnableContent(2, 1, ACTIVATE, number))
        case "an event of a session that never was":
            channel.send(wire.Event(2, 103, 0, {}))
        case "an event of no session":
            channel.send(wire.Event(0, 103, 0, {}))
        case "samples of a topology that never was":
            channel.send(wire.NeedSamples(1, number + 1, 1, stream, 1, 0))
        case "the end of a source that never was":
            channel.send(wire.ReleaseSource(1, -1))
        case "a license for a session that never was":
            channel.send(wire.BeginEnableContent(7, 1, ACTIVATE))
        case "an object instead of a number":
            query = until(wire.Query)
            channel.send(wire.Returned(query.call, wire.RemoteObject(1, topology.sinks[0].class_id)))
        case "half a capability":
            channel.send(wire.Returned(until(wire.Query).call, value=0.5))
        case "sources that end twice":
            channel.send(wire.ReleaseSource(1, number))
            channel.send(wire.ReleaseSource(1, number))
            channel.send(wire.NeedSamples(1, number, 1, stream, 1, 0))
            channel.send(wire.Event(1, 111, 0, {}))
        case "an end in the middle":
            os._exit(0)
        case "a wish for a license":
            channel.send(wire.BeginEnableContent(1, 1, ACTIVATE))
    stay()


at_start()
channel.send(READY)
at_first_call()
in_topology()
