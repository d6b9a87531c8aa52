"""A real worker of several sessions against an application that mixes them up: it answers or it ends, soon."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from drm.class_ids import AV_DECODER, CLEARKEY_ITA, DISCARD_SINK
from drm.rights.enablers import LicensePath
from drm.rights.initialization_stream import CLEAR_KEY_SYSTEM, InitializationStream
from drm.wire import messages as wire
from drm.wire.ring import sealed_memfd
from tests.fuzz.wire.test_hostile_application import CLEAR, Application, application, loaded, topology_in_place
from tests.unit.wire.examples import ERROR, STREAM

__all__ = ["application", "loaded"]

NOWHERE = UUID(int=1)
SPEC = wire.SessionSpec()
NIL = UUID(int=0)


def topology(session: int, number: int = 1, authority: int = 0) -> wire.SetTopology:
    branch = wire.BranchSpec(STREAM if authority else CLEAR, authority, (0,))
    return wire.SetTopology(session, wire.TopologySpec(number, (branch,), (wire.SinkSpec(DISCARD_SINK, b"{}"),)))


def second(a: Application) -> None:
    a.send(wire.CreateSession(10, 2, SPEC))
    a.until(wire.Returned, call=10)


ENDS: dict[str, Callable[[Application], None]] = {
    "a start of a session that never was": lambda a: a.send(wire.Start(9)),
    "a start of no session": lambda a: a.send(wire.Start(0)),
    "a question to a session that never was": lambda a: a.send(wire.Query(3, 9, "time")),
    "a question that nobody answers": lambda a: a.send(wire.Query(3, 1, "secret")),
    "an object in a session that never was": lambda a: a.send(wire.CreateObject(3, 9, AV_DECODER, None)),
    "a name in a session that never was": lambda a: a.send(wire.ActivateClass(3, -1, "clearkey-ita", b"")),
    "a release in a session that never was": lambda a: a.send(wire.ReleaseObject(9, 1)),
    "a topology in a session that never was": lambda a: a.send(topology(9)),
    "the end of a session that never was": lambda a: a.send(wire.Shutdown(3, 9)),
    "a session twice": lambda a: a.send(wire.CreateSession(3, 1, SPEC)),
    "session zero": lambda a: a.send(wire.CreateSession(3, 0, SPEC)),
    "session minus one": lambda a: a.send(wire.CreateSession(3, -1, SPEC)),
    "samples from the source of another session": lambda a: (
        second(a), topology_in_place(a), a.send(wire.Samples(2, 1, 1, 1, (), end=True))
    ),
    "a ring for the source of another session": lambda a: (
        second(a), topology_in_place(a), a.send(wire.AttachRing(2, 1, 1, 4096), fds=(0,))
    ),
    "a license for the ticket of another session": lambda a: (
        second(a), a.send(wire.EnablerAnswer(2, 1, LicensePath.LOCAL, b"{}", 2))
    ),
    "a rate that is no number": lambda a: a.send(wire.SetRate(1, float("nan"))),
    "a start in a format that there is not": lambda a: a.send(wire.Start(1, 0, "furlongs")),
}  # fmt: skip


@pytest.mark.parametrize("lie", ENDS)
def test_what_no_sound_application_says_of_its_sessions_ends_the_worker(loaded: Application, lie: str) -> None:
    ENDS[lie](loaded)
    loaded.ends()


def lives(a: Application, call: int = 99) -> None:
    a.send(wire.Ping(call))
    a.until(wire.Returned, call=call)


def test_what_is_under_way_to_a_session_that_ended_is_void(loaded: Application) -> None:
    second(loaded)
    ring = topology_in_place(loaded)
    loaded.send(wire.Shutdown(3, 1))
    loaded.until(wire.Returned, call=3)
    fd = sealed_memfd("license", b"{}")
    loaded.send(
        wire.Start(1), wire.Pause(1), wire.Stop(1), wire.Close(1), wire.SetRate(1, 2.0), wire.ClearTopologies(1),
        wire.Samples(1, 1, 1, 1, (), end=True), wire.SourceStarted(1, 1, 1), wire.SourceFailed(1, 1, 1, ERROR),
        wire.SourceTold(1, 1, 1),
        wire.EnablerFailed(1, 1, ERROR), wire.ReleaseObject(1, 1), topology(1, 2),
    )  # fmt: skip
    loaded.send(wire.AttachRing(1, 1, 1, ring.size), fds=(ring.fd,))
    loaded.send(wire.EnablerAnswer(1, 1, LicensePath.LOCAL, b"", 2), fds=(fd,))
    os.close(fd)
    for message in (
        wire.Query(20, 1, "time"),
        wire.CreateObject(20, 1, AV_DECODER, None),
        wire.ActivateClass(20, 1, "av-decoder", b""),
        wire.Shutdown(20, 1),
    ):
        loaded.send(message)
        assert loaded.until(wire.Raised, call=20).error.code == "E-SESSION-SHUTDOWN"
    loaded.send(wire.Query(21, 2, "capabilities"))
    assert loaded.until(wire.Returned, call=21).value is not None
    ring.close()


def test_another_sessions_authority_fails_the_topology_and_nothing_else(loaded: Application) -> None:
    second(loaded)
    init = b'{"track_id": 1, "scheme": "cenc", "key_ids": ["00000000-0000-0000-0000-000000000000"]}'
    loaded.send(wire.CreateObject(3, 1, CLEARKEY_ITA, init))
    theirs = loaded.until(wire.Returned, call=3).object.object_id
    for number, authority in enumerate((theirs, theirs + 1, -1, 1 << 60), 1):
        loaded.send(topology(2, number, authority))
        assert loaded.until(wire.Event, session=2, kind=101).error.code == "E-INTERFACE"
        loaded.until(wire.ReleaseSource, topology_id=number)
    loaded.send(topology(2, 9))
    loaded.until(wire.Event, session=2, kind=101, status=0)


def test_a_flood_of_sessions_is_bounded_and_an_ended_one_makes_room(loaded: Application) -> None:
    made = []
    for number in range(2, 90):
        loaded.send(wire.CreateSession(number, number, SPEC))
        answer = loaded.next()
        if isinstance(answer, wire.Returned):
            made.append(number)
    assert len(made) == 63
    loaded.send(wire.Shutdown(200, 5), wire.CreateSession(201, 200, SPEC))
    loaded.until(wire.Returned, call=201)
    loaded.send(wire.Exit())
    loaded.ends()


def test_sessions_that_cannot_be_made_take_no_room(loaded: Application) -> None:
    threads = len(os.listdir(f"/proc/{loaded.process.pid}/task"))  # noqa: PTH208 - a count
    specs = [wire.SessionSpec(quality_manager=NOWHERE), wire.SessionSpec(quality_manager=AV_DECODER),
             wire.SessionSpec(topology_loader=AV_DECODER)]  # fmt: skip
    for number in range(2, 150):
        loaded.send(wire.CreateSession(number, number, specs[number % 3]))
        assert isinstance(loaded.next(), wire.Raised)
    loaded.send(wire.CreateSession(200, 200, wire.SessionSpec(quality_manager=NIL, topology_loader=NOWHERE)))
    loaded.until(wire.Returned, call=200)
    assert len(os.listdir(f"/proc/{loaded.process.pid}/task")) <= threads + 1  # noqa: PTH208 - a count


def test_what_cannot_be_activated_is_the_calls_error(loaded: Application) -> None:
    stream = InitializationStream(CLEAR_KEY_SYSTEM, 1, ((1, b"["),)).encode()
    for name in ("", "clearkey-ita", "x" * 5000, "../../etc/passwd", "__init__", str(AV_DECODER)):
        for data in (b"", b"\xff" * 20_000, stream, stream[:-1]):
            loaded.send(wire.ActivateClass(5, 1, name, data))
            assert "Traceback" not in repr(loaded.until(wire.Raised, call=5).error)


def test_locks_are_counted_and_hold_a_worker_for_seconds_at_most(loaded: Application) -> None:
    loaded.send(wire.LockProcess(3, unlock=True))
    assert loaded.until(wire.Raised, call=3).error.what
    for call in range(100, 600):
        loaded.send(wire.LockProcess(call))
        assert loaded.until(wire.Returned, call=call).value == call - 99
    start = time.monotonic()
    loaded.send(wire.Exit(), wire.Exit(), wire.LockProcess(700), wire.Start(1))
    loaded.ends()
    assert 2.5 < time.monotonic() - start < 4.5


def test_a_worker_that_is_told_to_end_in_mid_play_ends(loaded: Application) -> None:
    ring = topology_in_place(loaded)
    loaded.send(wire.Exit())
    loaded.ends()
    ring.close()


def test_rates_without_sense_do_no_harm(loaded: Application) -> None:
    ring = topology_in_place(loaded)
    loaded.send(*(wire.SetRate(1, rate) for rate in (float("inf"), 1e308, 5e-324, 0.0)))
    loaded.send(wire.Samples(1, 1, 1, 1, (), end=True))
    lives(loaded)
    loaded.send(wire.Shutdown(5, 1))
    loaded.until(wire.Returned, call=5)
    ring.close()
