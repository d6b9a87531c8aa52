"""Commands that come at the worst moment: while something waits, breaks, or is about to end."""

from __future__ import annotations

import fcntl
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.local_session import create_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.errors import KeyMissingError, MediaError, SessionShutdownError
from drm.hresult import HResult
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SetTopologyFlags, SinkActivate, Topology
from tests.unit.session.conftest import KEYS
from tests.unit.session.home import Home, eventually, kinds
from tests.unit.session.test_rights import with_keys


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def waiting_for_rights(at: Home) -> None:
    """Playing, and a key rotates in that nobody brings."""
    at.answer = with_keys(KEYS)
    at.ready()
    at.answer = None
    node = at.session._transport.segments.current.resolved.nodes[0]

    class Empty:
        def decrypt_into(self, *_words: object) -> None:
            raise KeyMissingError("rotated in")

    class Asks:
        def obtain(self, _key_ids: object) -> None:
            at.rights.enable(node.authority, at.asked[0].activate)

    node.decrypter, node.trust = Empty(), Asks()
    asked = len(at.asked)
    at.session.start()
    eventually(lambda: len(at.asked) > asked)


@pytest.mark.parametrize("command", ["seek", "stop", "immediate", "clear current", "close", "shutdown"])
def test_a_license_that_playback_waits_for_holds_nobody_up(
    encrypted: Path, home: Callable[..., Home], command: str
) -> None:
    at = home(encrypted)
    waiting_for_rights(at)
    begun = time.monotonic()
    if command == "shutdown":
        at.session.shutdown()
    else:
        do, kind = {
            "seek": (lambda: at.session.start(5_000_000), E.SESSION_STARTED),
            "stop": (at.session.stop, E.SESSION_STOPPED),
            "immediate": (
                lambda: at.session.set_topology(at.topology(), SetTopologyFlags.IMMEDIATE),
                E.SESSION_TOPOLOGY_SET,
            ),
            "clear current": (
                lambda: at.session.set_topology(None, SetTopologyFlags.CLEAR_CURRENT),
                E.SESSION_TOPOLOGY_SET,
            ),
            "close": (at.session.close, E.SESSION_CLOSED),
        }[command]
        at.until(E.LICENSE_ACQUISITION_START)
        do()
        assert at.until(kind)[-1].status == HResult.S_OK
    assert time.monotonic() - begun < 1


def test_close_in_the_middle_of_a_key_check_is_prompt(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, answer=with_keys(KEYS))
    at.source.allow(0)
    at.session.set_topology(at.topology())
    at.source.wait_asked(1)
    at.session.stop()
    begun = time.monotonic()
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert time.monotonic() - begun < 1
    assert [kind for kind in kinds(events) if kind not in (114, 115)] == [101, 105, 106]
    assert [event.status for event in events if event.type == E.SESSION_STOPPED] == [HResult.MF_E_INVALIDREQUEST]


def test_after_an_error_in_mid_play_it_can_be_started_again(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.source.fails_after = (10, MediaError("planted"))
    at.ready()
    at.session.start()
    at.until(E.ERROR)
    before = len(at.lines())
    at.source.fails_after = None
    at.session.start()
    events = at.until(E.SESSION_ENDED)
    assert kinds(events) == [110, 103, 211, (111, 400), 110, 107]
    assert events[-1].values["sink0.frames"] - before > 45
    assert len(at.lines()) > 45


def test_an_end_that_comes_in_a_pause_is_told_when_it_goes_on(clear: Path, home: Callable[..., Home]) -> None:
    """The last sample was read before the pause: the session stands all the same."""
    at = home(clear)
    held, reached, real = threading.Event(), threading.Event(), at.source.read

    def read(stream_id: int) -> object:
        found = real(stream_id)
        if found is None:
            reached.set()
            held.wait(10)
        return found

    at.source.read = read
    at.ready()
    at.session.start()
    at.until(E.SESSION_STARTED)
    assert reached.wait(10)
    at.session.pause()
    at.until(E.SESSION_PAUSED)
    before = len(at.lines())
    held.set()
    at.no_more_events(0.3)
    assert len(at.lines()) == before
    at.session.start()
    assert kinds(at.until(E.SESSION_ENDED)) == [110, 103, 211, (111, 400), 110, 107]


def test_a_pause_between_the_end_and_the_word_of_it(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.source.allow(0)
    at.ready()
    at.session.start()
    at.until(E.SESSION_STARTED)
    held, real = threading.Event(), at.emit

    def hold(event: MediaEvent) -> None:
        real(event)
        if event.type == E.SESSION_STARTED:
            held.wait(10)

    at.emit = hold
    at.session.start()
    at.until(E.SESSION_STARTED)  # the session's thread is held there
    at.session.pause()
    pipeline = at.session._transport._playing.pipeline
    at.source.allow(None)
    eventually(lambda: not pipeline._thread.is_alive())
    at.emit = real
    held.set()
    assert kinds(at.until(E.SESSION_PAUSED)) == [211, 110, 104]
    at.no_more_events()
    at.session.start()
    assert kinds(at.until(E.SESSION_ENDED)) == [110, 103, (111, 400), 110, 107]


def test_no_frame_reaches_a_sink_once_paused_is_told(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.ready()
    for _ in range(10):
        at.session.start(0)
        at.until(E.SESSION_STARTED)
        at.session.pause()
        at.until(E.SESSION_PAUSED)
        sink = at.session._transport.segments.current.resolved.sinks[0]
        frames, clock = sink._frames, at.session.clock.get_time()
        time.sleep(0.02)
        assert (sink._frames, at.session.clock.get_time()) == (frames, clock)


def test_what_waits_behind_a_shutdown_gives_its_descriptors_back(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted)  # nobody answers
    at.session.set_topology(at.topology())
    eventually(lambda: at.asked)
    before = descriptors()
    at.session.set_topology(at.topology())
    assert descriptors() == before + 1
    at.session.shutdown()
    assert descriptors() == before - 1  # that of the first, too


def test_a_command_that_breaks_is_an_event_and_the_next_is_served(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.playing()

    class Faulty:
        def on_clock_pause(self) -> None:
            raise ZeroDivisionError("planted")

        def __getattr__(self, _name: str) -> Callable[..., None]:
            return lambda *_words: None

    at.session.get_clock().add_state_sink(Faulty())
    at.session.pause()
    failed = at.until(E.ERROR)[-1]
    assert failed.error is not None
    assert "ZeroDivisionError" in failed.error.what
    at.session.close()
    assert at.until(E.SESSION_CLOSED)[-1].status == HResult.S_OK


# ---------------------------------------------------------------------------------------- through the local face


def opened(path: Path, *sinks: SinkActivate) -> tuple[Topology[Any], FileByteStream]:
    stream = FileByteStream(path)
    source = open_source(stream)
    topology: Topology[Any] = Topology(source)
    for each in source.streams():
        topology.connect(each, *sinks)
    return topology, stream


def test_shutdown_from_inside_an_event_callback(clear: Path) -> None:
    done = threading.Event()
    with create_media_session() as session:

        def callback(_result: object) -> None:
            session.shutdown()
            done.set()

        topology, stream = opened(clear, SinkActivate(DISCARD_SINK, {"in_time": True}))
        session.set_topology(topology)
        session.start()
        while session.get_event(timeout=10).type != E.SESSION_STARTED:
            pass
        session.begin_get_event(callback)
        session.queue_event(MediaEvent(900))
        assert done.wait(10)
        with pytest.raises(SessionShutdownError):
            session.start()
        stream.close()


@pytest.mark.parametrize("seed", range(6))
def test_commands_in_any_order_end_in_closed_and_leave_nothing_behind(clear: Path, seed: int) -> None:
    """Whatever the order, each command has one event, the session can be closed, and nothing of it is left."""
    chance = random.Random(seed)
    before, threads = descriptors(), set(threading.enumerate())
    streams: list[FileByteStream] = []
    told = {"start": 0, "pause": 0, "stop": 0, "rate": 0, "clear": 0, "set": 0}
    with create_media_session() as session:

        def topology() -> Topology[Any]:
            sink = chance.choice((SinkActivate(DISCARD_SINK, {"in_time": True}), SinkActivate(HASH_SINK, {}, 2)))
            made, stream = opened(clear, SinkActivate(DISCARD_SINK) if sink.descriptor else sink)
            streams.append(stream)
            return made

        flags = [SetTopologyFlags.NONE, SetTopologyFlags.NONE, SetTopologyFlags.IMMEDIATE]
        commands: dict[str, Callable[[], None]] = {
            "start": lambda: session.start(chance.choice((None, 0, 3_000_000, 14_000_000))),
            "pause": session.pause,
            "stop": session.stop,
            "rate": lambda: session.set_rate(chance.choice((0, 1, 1, 50))),
            "clear": session.clear_topologies,
            "set": lambda: session.set_topology(topology(), chance.choice(flags)),
        }
        for _ in range(60):
            name = chance.choice((*commands, "start"))
            told[name] += 1
            commands[name]()
            time.sleep(chance.choice((0, 0, 0.003, 0.02)))
        session.close()
        events = [session.get_event(timeout=10)]
        while events[-1].type != E.SESSION_CLOSED:
            events.append(session.get_event(timeout=10))
    names = {
        "start": E.SESSION_STARTED,
        "pause": E.SESSION_PAUSED,
        "stop": E.SESSION_STOPPED,
        "rate": E.SESSION_RATE_CHANGED,
        "clear": E.SESSION_TOPOLOGIES_CLEARED,
        "set": E.SESSION_TOPOLOGY_SET,
    }
    numbers = [event.type for event in events]
    assert {name: numbers.count(kind) for name, kind in names.items()} == told
    assert E.ERROR not in numbers
    for stream in streams:
        stream.close()
    eventually(lambda: set(threading.enumerate()) <= threads)
    assert descriptors() == before


@pytest.mark.parametrize("command", ["close", "shutdown", "stop"])
def test_a_pipe_that_nobody_reads_holds_no_command_up(
    clear: Path, home: Callable[..., Home], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("drm.session.pipeline._STUCK", 0.3)
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    at = home(clear)
    at.ready(SinkActivate(HASH_SINK, {}, writing))
    at.session.start()
    at.until(E.END_OF_PRESENTATION)  # then the sink writes what it has
    begun = time.monotonic()
    getattr(at.session, command)()
    if command == "stop":
        assert at.until(E.SESSION_STOPPED)[-1].status == HResult.S_OK
        at.session.start()
        assert at.until(E.SESSION_STARTED)[-1].status == HResult.MF_E_INVALIDREQUEST
    elif command == "close":
        assert at.until(E.SESSION_CLOSED)[-1].status == HResult.S_OK
    assert time.monotonic() - begun < 2
    drained = bytearray()
    while b"1,      71680" not in drained:
        drained += os.read(reading, 65536)  # it was not closed under the writer
    eventually(lambda: not [each for each in threading.enumerate() if each.name == "pipeline"])
    if command == "stop":
        at.session.start()
        assert at.until(E.SESSION_STARTED)[-1].status == HResult.S_OK
        at.until(E.END_OF_PRESENTATION)
        os.read(reading, 65536)
        at.session.shutdown()
    os.close(reading)
