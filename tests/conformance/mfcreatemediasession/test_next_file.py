"""What comes after a presentation: the next topology, one that comes at once, and the same one again."""

from __future__ import annotations

import pytest

from drm.class_ids import AV_DECODER
from drm.errors import MediaError
from drm.hresult import HResult
from drm.media import TrackType
from drm.session.clock import ClockState
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SetTopologyFlags, SinkActivate, Topology
from tests.conformance.mfcreatemediasession.world import OK, SECOND, Stage, Unseekable

IMMEDIATE = SetTopologyFlags.IMMEDIATE
SHORT, LONGER = (0, SECOND // 2), (0, SECOND)  # parts of a clip: 15 and 30 pictures


def pictures(at: Stage) -> list[str]:
    """The hash of each picture that came out."""
    return [line.split(",")[-1].strip() for line in at.lines() if line.startswith("0,")]


def told(events: list[MediaEvent], topology: Topology[object]) -> list[int]:
    """The statuses of a topology, in order."""
    return [
        int(event.values["status"])
        for event in events
        if event.type == E.SESSION_TOPOLOGY_STATUS and event.values["topology"] == topology.topology_id
    ]


def test_mf_126_what_is_set_after_the_end_is_played_alone_and_is_ready_when_its_turn_comes(at: Stage) -> None:
    first = at.ready(media=LONGER)
    at.to_the_end()
    at.forget_lines()
    at.seen.clear()
    second = at.set(media=SHORT)
    at.no_more_events()
    events = at.to_the_end()
    assert told(events, first) == []
    assert told(events, second) == [100, 200, 300, 400]
    assert [int(event.type) for event in events].count(E.SESSION_STARTED) == 1
    assert len(pictures(at)) == 15
    # And what is over is forgotten: a start plays the second again.
    at.forget_lines()
    at.to_the_end()
    assert len(pictures(at)) == 15


def test_mf_126_without_another_one_a_start_after_the_end_plays_it_again(at: Stage) -> None:
    first = at.ready(media=SHORT)
    at.to_the_end()
    events = at.to_the_end()
    assert told(events, first) == [200, 400]
    assert len(pictures(at)) == 30


def test_mf_127_what_is_set_after_a_stop_waits_for_the_one_that_was_stopped(at: Stage) -> None:
    first = at.ready(at.in_time(), media=SHORT)
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.stop()
    at.until(E.SESSION_STOPPED)
    second = at.set(media=SHORT)
    events = at.to_the_end()
    assert told(events, first) == [400]  # its source had been started before
    assert told(events, second) == [100, 200, 300, 400]
    assert len(pictures(at)) == 15  # of the second: the first one's sink keeps none


def test_mf_128_immediate_while_playing_plays_at_once(at: Stage) -> None:
    first = at.playing()
    second = at.set(media=SHORT, flags=IMMEDIATE)
    events = at.until(E.SESSION_ENDED)  # and nobody started it
    assert told(events, first) == []
    assert told(events, second) == [100, 200, 300, 400]
    assert E.SESSION_STARTED not in [event.type for event in events]  # which answers a call of start
    assert len(pictures(at)) == 15
    stamps = [int(line.split(",")[2]) for line in at.lines() if line.startswith("0,")]
    assert stamps[0] == 0


def test_mf_129_immediate_in_a_pause_changes_nothing_before_the_next_start(at: Stage) -> None:
    at.playing()
    at.session.pause()
    at.until(E.SESSION_PAUSED)
    before = at.time()
    second = at.set(media=SHORT, flags=IMMEDIATE)
    at.until_status(second, 100)
    assert at.session.get_clock().get_state() == ClockState.PAUSED
    assert at.time() == before
    assert pictures(at) == []
    at.session.pause()  # a pause it stays
    assert at.outcome(E.SESSION_PAUSED) == OK
    events = at.to_the_end()
    assert told(events, second) == [200, 300, 400]
    assert len(pictures(at)) == 15


def test_mf_130_immediate_that_cannot_be_resolved_takes_nothing_away(at: Stage) -> None:
    playing, waiting = at.playing(), at.set()
    can = at.session.get_session_capabilities()
    at.session.set_topology(at.topology(SinkActivate(AV_DECODER)), IMMEDIATE)
    assert at.outcome(E.SESSION_TOPOLOGY_SET) != OK
    assert at.session.get_session_capabilities() == can
    assert at.session.get_full_topology().topology_id == playing.topology_id
    assert at.session.get_full_topology(waiting.topology_id)
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == OK


def test_mf_131_the_end_of_the_source_comes_before_the_end_of_what_is_shown(at: Stage) -> None:
    """And one that is set then goes on where it ends: one end, no other start, and no picture is lost."""
    first = at.ready(at.in_time(), only=TrackType.VIDEO)
    at.session.start()
    before = at.until(E.END_OF_PRESENTATION)
    assert told(before, first) == [200]
    second = at.set(media=SHORT)
    events = at.until(E.SESSION_ENDED)
    assert told(events, first) == [400]
    assert told(events, second) == [100, 200, 300, 400]
    numbers = [int(event.type) for event in events]
    assert (numbers.count(E.SESSION_STARTED), numbers.count(E.SESSION_ENDED)) == (0, 1)
    stamps = [int(line.split(",")[2]) for line in at.lines() if line.startswith("0,")]
    assert stamps == [15360 * 2 + number * 512 for number in range(15)]


def test_mf_132_topologies_are_set_in_any_order(at: Stage) -> None:
    older, newer = at.topology(media=SHORT), at.topology(media=LONGER)
    for topology in (newer, older):
        at.session.set_topology(topology)
        event = at.until(E.SESSION_TOPOLOGY_SET)[-1]
        assert (event.status, event.values["topology"]) == (OK, topology.topology_id)
    assert at.session.get_full_topology().topology_id == newer.topology_id
    assert at.session.get_full_topology(older.topology_id).topology_id == older.topology_id
    events = at.to_the_end()
    assert told(at.seen, newer) == [100, 200, 400]
    assert told(events, older) == [100, 200, 300, 400]
    assert len(pictures(at)) == 45


@pytest.mark.parametrize("when", ["while it waits", "while it plays", "after its end", "after a clear"])
def test_mf_132_a_topology_is_set_again(at: Stage, when: str) -> None:
    again = at.ready(at.in_time() if when == "while it plays" else at.hashes(), media=SHORT)
    whole = 30
    if when == "while it plays":
        at.session.start()
        at.until(E.SESSION_STARTED)
    elif when == "after its end":
        at.to_the_end()
    elif when == "after a clear":
        at.session.set_topology(None, SetTopologyFlags.CLEAR_CURRENT)
        at.until(E.SESSION_TOPOLOGY_SET)
        whole = 15
    at.session.set_topology(again)
    event = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    assert (event.status, event.values["topology"]) == (OK, again.topology_id)
    if when == "while it plays":
        assert told(at.until(E.SESSION_ENDED), again) == [400, 100, 200, 300, 400]
    else:
        at.to_the_end()
        assert len(pictures(at)) == whole
        assert pictures(at)[:15] == pictures(at)[-15:]


def test_mf_132_a_topology_that_failed_is_set_again(at: Stage) -> None:
    broken = at.topology(SinkActivate(AV_DECODER))
    for _ in range(2):
        at.session.set_topology(broken)
        assert at.outcome(E.SESSION_TOPOLOGY_SET) != OK
    at.ready(source=broken.source, media=SHORT)
    at.to_the_end()
    assert len(pictures(at)) == 15


def test_mf_132_two_topologies_over_one_source_each_read_all_of_theirs(at: Stage) -> None:
    """Also when the second is resolved while the first is read: neither loses its place."""
    source = at.source()
    at.ready(source=source, only=TrackType.VIDEO)
    at.session.start()
    for _ in range(5):
        at.set(source=source, only=TrackType.VIDEO)
    at.until(E.SESSION_ENDED)
    found = pictures(at)
    assert len(found) == 6 * 60
    assert all(found[first : first + 60] == found[:60] for first in range(0, 360, 60))


def test_mf_133_times_of_a_presentation_that_begins_inside_its_media(at: Stage) -> None:
    first = at.ready(media=(SECOND, None))
    second = at.set(media=(SECOND // 2, None))
    at.to_the_end()
    said = [event.values for event in at.seen if event.type == E.SESSION_NOTIFY_PRESENTATION_TIME]
    end = said[1]["start_time"]
    assert said == [
        {"start_time": 0, "offset": -SECOND, "start_time_at_output": 0},
        {"start_time": end, "offset": end - SECOND // 2, "start_time_at_output": end},
    ]
    started = next(event for event in at.seen if event.type == E.SESSION_STARTED)
    assert started.values == {"presentation_time_offset": -SECOND}
    assert told(at.seen, first)[-1] == told(at.seen, second)[-1] == 400


def test_mf_134_a_seek_that_the_source_refuses_ends_nothing(at: Stage) -> None:
    failure = MediaError("nothing but the beginning", hresult=HResult.E_NOTIMPL)
    topology = at.ready(source=Unseekable(at.source(), failure, able=4), only=TrackType.VIDEO)
    at.session.set_rate(0)  # it stands at its first picture, which makes "in mid-play" certain
    at.session.start()
    at.until(E.SESSION_SCRUB_SAMPLE_COMPLETE)
    can = at.session.get_session_capabilities()
    at.session.start(SECOND)
    assert at.outcome(E.SESSION_STARTED) == HResult.E_NOTIMPL
    assert at.session.get_session_capabilities() == can
    at.session.set_rate(1)
    assert told(at.until(E.SESSION_ENDED), topology) == [400]
    assert len(set(pictures(at))) >= 59  # to its end
