"""Mutated messages: each decodes to a message or is a WireError, at once."""

from __future__ import annotations

import random
import socket
import time

import msgspec
import pytest

from drm.errors import WireError
from drm.wire.channel import Channel, app_channel, worker_channel
from tests.unit.wire.examples import FROM_APP, FROM_WORKER, kinds

BUDGET = 5.0  # seconds for each direction
MUTANTS = 15_000
INTERESTING = (
    *(head + b"\xff\xff\xff\xff" for head in (b"\xdd", b"\xdf", b"\xc6", b"\xdb")),  # lengths of 4 billion
    *(b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf8" + bytes(6)),  # numbers at their limits
    *(b"\x91" * 2000, b"\xc0", b"\xc1", b"\xa0", b""),
)


def mutant(rng: random.Random, seeds: list[bytes]) -> bytes:
    data = bytearray(rng.choice(seeds))
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0 if data:
                data[at % len(data)] = rng.randrange(256)
            case 1 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 2:
                data[at:at] = rng.choice(INTERESTING)
            case 3:
                del data[at : at + rng.randint(1, 8)]
            case 4:
                other = rng.choice(seeds)
                data[at:] = other[rng.randrange(len(other)) :]
            case _:
                data[at : at + rng.randint(0, 6)] = rng.choice(INTERESTING)
    return bytes(data)


@pytest.mark.parametrize("direction", ["app", "worker"])
def test_a_mutated_message_decodes_or_is_refused(direction: str) -> None:
    from drm.wire.messages import FromApp, FromWorker

    accepted = kinds(FromApp if direction == "app" else FromWorker)
    seeds = [msgspec.msgpack.encode(m) for m in (FROM_APP if direction == "app" else FROM_WORKER)]
    rng, refused, start = random.Random(1), 0, time.monotonic()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        channel: Channel = worker_channel(theirs) if direction == "app" else app_channel(theirs)
        for _ in range(MUTANTS):
            data = mutant(rng, seeds) or b"\xc0"
            ours.send(data)
            before = time.monotonic()
            try:
                message, fds = channel.receive()
            except WireError:
                refused += 1
            else:
                assert type(message) in accepted
                assert fds == []
                # What was accepted is sound: it has a form, and that form is the same message again.
                assert channel._decode(msgspec.msgpack.encode(message)) == message or "nan" in repr(message)
            assert time.monotonic() - before < 0.5, data
    assert MUTANTS // 4 < refused < MUTANTS
    assert time.monotonic() - start < BUDGET
