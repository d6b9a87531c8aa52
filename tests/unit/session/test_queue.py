"""Topologies that wait behind the one that plays: when one of them comes to nothing, that one alone does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drm.component import SourceCharacteristic
from drm.errors import MediaError
from drm.hresult import HResult
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from tests.unit.session.home import Home, LocalSource, kinds
from tests.unit.session.test_play_through import FAULTY

SECOND = 10_000_000


def another(at: Home, source: LocalSource, *sinks: SinkActivate) -> Topology:
    """A topology over a source of its own, into the sink of the first one's kind."""
    topology: Topology = Topology(source)
    for stream in source.streams():
        topology.connect(stream, *(sinks or at.topology().sinks()))
    return topology


class Unready(LocalSource):
    """Can be looked at, and fails when playback is to begin."""

    def select(self, stream_ids: object, position: int = 0) -> None:
        raise MediaError("planted: nothing begins here")


def test_one_that_cannot_be_prepared_is_an_error_when_its_turn_comes(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    unready = Unready(clear)
    at.ready()
    queued = another(at, unready)
    at.session.set_topology(queued)
    assert at.until(E.SESSION_TOPOLOGY_SET)[-1].status == HResult.S_OK  # nothing is read of it yet
    at.session.start()
    events = at.until(E.ERROR)
    with pytest.raises(MediaError, match="planted"):
        events[-1].raise_for_status()
    assert len(at.lines()) > 45, "the one before it has played to its end"
    assert at.source.is_closed
    at.no_more_events()
    # It is the current one now, and nothing runs: it can be tried again, and cleared away.
    at.session.start()
    started = at.until(E.SESSION_STARTED)[-1]
    with pytest.raises(MediaError, match="planted"):
        started.raise_for_status()
    at.session.close()
    at.until(E.SESSION_CLOSED)
    assert unready.is_closed
    unready.stream.close()


def test_one_that_cannot_be_resolved_leaves_what_plays_alone(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.playing()
    behind = LocalSource(clear)
    at.session.set_topology(another(at, behind, SinkActivate(FAULTY)))
    refused = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    assert refused.status == HResult.REGDB_E_CLASSNOTREG
    assert behind.is_closed
    at.source.allow(None)
    assert 107 in kinds(at.until(E.SESSION_ENDED))
    assert len(at.lines()) > 45
    behind.stream.close()


def test_after_a_seek_a_later_topology_counts_from_its_own_beginning(clear: Path, home: Callable[..., Home]) -> None:
    """It began where the one before it ended; a seek makes the clock start at the media's own time."""
    at = home(clear)
    second = LocalSource(clear)
    assert second.characteristics & SourceCharacteristic.CAN_SEEK
    at.ready()
    at.session.set_topology(another(at, second))
    at.until(E.SESSION_TOPOLOGY_SET)
    second.allow(0)
    at.session.start()
    told = at.until(E.SESSION_NOTIFY_PRESENTATION_TIME)[-1]
    assert told.values["offset"] > SECOND, "it does not begin at 0, or this shows nothing"
    at.until(E.SESSION_TOPOLOGY_STATUS)
    at.session.start(5_000_000)
    started = at.until(E.SESSION_STARTED)[-1]
    started.raise_for_status()
    assert started.values["presentation_time_offset"] == 0
    assert [entry for entry in second.log if "from" in entry] == ["select [1, 2] from 5000000"]
    second.allow(None)
    at.until(E.SESSION_ENDED)
    second.stream.close()
