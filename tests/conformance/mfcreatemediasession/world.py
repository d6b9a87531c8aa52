"""A session of either kind, in the application or behind a worker, driven the same way."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.component import MediaSource
from drm.errors import DRMError, NoEventsAvailableError
from drm.hresult import HResult
from drm.media import TrackType
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SetTopologyFlags, SinkActivate, SourceStreamNode, Topology
from tests.outputs import for_writing

LIMIT = 20.0  # seconds within which anything here happens
SECOND = 10_000_000
OK, REFUSED = HResult.S_OK, HResult.MF_E_INVALIDREQUEST


class Unseekable:
    """A source that starts at its beginning and nowhere else."""

    failure: Exception

    def __init__(self, inner: MediaSource, failure: Exception, *, able: int = 0, fails_at: int | None = None) -> None:
        self._inner, self.failure, self._fails_at = inner, failure, fails_at
        self.characteristics = type(inner.characteristics)(able)

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        if position or self._fails_at == 0:
            raise self.failure
        self._inner.select(stream_ids, position)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class Stage:
    """One session, the sources that were opened for it, and the hashes that came out."""

    def __init__(self, session: Any, path: Path) -> None:
        self.session = session
        self.path = path
        self.seen: list[MediaEvent] = []
        self._closing = contextlib.ExitStack()
        self.output = os.memfd_create("framemd5")
        self._closing.callback(os.close, self.output)
        self.handed = for_writing(self.output)
        self._closing.callback(os.close, self.handed)

    def close(self) -> None:
        with self._closing, contextlib.suppress(Exception):
            self.session.shutdown()

    # ------------------------------------------------------------------ topologies

    def source(self, path: Path | None = None) -> MediaSource:
        stream = FileByteStream(path or self.path)
        self._closing.callback(stream.close)
        return open_source(stream)

    def hashes(self) -> SinkActivate:
        return SinkActivate(HASH_SINK, {}, self.handed)

    @staticmethod
    def in_time() -> SinkActivate:
        """A sink that takes each frame at its time, so that play lasts."""
        return SinkActivate(DISCARD_SINK, {"in_time": True})

    def topology(
        self,
        *sinks: SinkActivate,
        source: MediaSource | None = None,
        only: TrackType | None = None,
        media: tuple[int, int | None] = (0, None),
        project: tuple[int, int] | None = None,
        path: Path | None = None,
    ) -> Topology[MediaSource]:
        source = source or self.source(path)
        start, stop = project or (None, None)
        made: Topology[MediaSource] = Topology(source, project_start=start, project_stop=stop)
        outputs = sinks or (self.hashes(),)
        for stream in source.streams():
            if only in (None, stream.track.type):
                node = SourceStreamNode(stream, media_start=media[0], media_stop=media[1])
                made.connect(node, *outputs)
        return made

    def set(self, *sinks: SinkActivate, flags: SetTopologyFlags = SetTopologyFlags.NONE, **kinds: Any) -> Topology[Any]:
        """Set a topology, and wait until it is set."""
        made = self.topology(*sinks, **kinds)
        self.session.set_topology(made, flags)
        told = self.until(E.SESSION_TOPOLOGY_SET)[-1]
        assert told.status == OK, told.error
        return made

    def ready(self, *sinks: SinkActivate, **kinds: Any) -> Topology[Any]:
        """Set the first topology, and wait until it can be started."""
        made = self.set(*sinks, **kinds)
        self.until_status(made, 100)
        return made

    def playing(self) -> Topology[Any]:
        """A presentation that lasts, and goes on."""
        made = self.ready(self.in_time())
        self.session.start()
        self.until(E.SESSION_STARTED)
        return made

    # ------------------------------------------------------------------ events

    def event(self, limit: float = LIMIT) -> MediaEvent:
        self.seen.append(self.session.get_event(timeout=limit))
        return self.seen[-1]

    def until(self, kind: E) -> list[MediaEvent]:
        """Events up to the first of this kind, that one included."""
        found = [self.event()]
        while found[-1].type != kind:
            found.append(self.event())
        return found

    def until_status(self, topology: Topology[Any], status: int) -> list[MediaEvent]:
        found = self.until(E.SESSION_TOPOLOGY_STATUS)
        while (found[-1].values["status"], found[-1].values["topology"]) != (status, topology.topology_id):
            found += self.until(E.SESSION_TOPOLOGY_STATUS)
        return found

    def outcome(self, kind: E) -> int:
        """The status of the next event of this kind."""
        return self.until(kind)[-1].status

    def to_the_end(self) -> list[MediaEvent]:
        """Start, and play to the end."""
        self.session.start()
        return self.until(E.SESSION_ENDED)

    def no_more_events(self, within: float = 0.2) -> None:
        with contextlib.suppress(NoEventsAvailableError):
            raise AssertionError(f"and then came {self.session.get_event(timeout=within)}")

    # ------------------------------------------------------------------ what came out, and when it is

    def lines(self) -> list[str]:
        text = os.pread(self.output, os.fstat(self.output).st_size, 0).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    def forget_lines(self) -> None:
        os.ftruncate(self.output, 0)
        os.lseek(self.handed, 0, os.SEEK_SET)

    def time(self) -> float:
        """Seconds on the presentation clock."""
        return float(self.session.get_clock().get_time()) / SECOND


def kinds(events: Iterable[MediaEvent]) -> list[object]:
    """Event numbers in order; a topology's status beside 111. Late frames, on a busy machine, are no part of it."""
    return [
        (111, each.values["status"]) if each.type == E.SESSION_TOPOLOGY_STATUS else int(each.type)
        for each in events
        if each.type != E.QUALITY_NOTIFY
    ]


def eventually(condition: Callable[[], bool], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


@contextlib.contextmanager
def raises_code(number: int) -> Iterator[None]:
    """What is called raises the error with this HRESULT."""
    with pytest.raises(DRMError) as raised:
        yield
    assert raised.value.hresult == number, repr(raised.value)


def descriptors() -> int:
    """How many this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))
