"""A session's home in this very process: real components, a real file, no worker and no wire.

What differs from the worker's is only where things come from: samples straight from the file, rights through the
worker's own proxy, whose messages a test answers.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from uuid import UUID

import msgspec

from drm.app.byte_stream import FileByteStream
from drm.app.sources import component_loader, open_source
from drm.class_ids import CLEARKEY_ITA, HASH_SINK
from drm.errors import NoEventsAvailableError, SessionShutdownError
from drm.media import Sample, StreamDescriptor
from drm.pmp.rights_proxy import RightsProxy
from drm.session.event_queue import EventQueue
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.media_session import MediaSession
from drm.session.session_source import cancelled
from drm.session.topology import SinkActivate, Topology
from drm.session.topology_loader import TopologyLoader
from drm.trust.state import NOTHING_VERIFIED, TrustState
from drm.wire.messages import BeginEnableContent

LIMIT = 20.0  # seconds within which anything here happens


class Environment:
    """What a worker of this level would tell its trust authorities."""

    def __init__(self, level: int = 1, device_key: bytes | None = None, engine: str = "cryptography") -> None:
        self.level, self.device_key, self.engine = level, device_key, engine
        self.dialects: tuple[str, ...] = ()

    def report(self) -> dict[str, object]:
        return {"level": self.level}

    def component_digests(self) -> dict[str, str]:
        return {}


class LocalSource:
    """Samples of a file, at most as many as `allow` permits; keeps `drm.session.pipeline.SessionSource`."""

    def __init__(self, path: Path, environment: Environment | None = None) -> None:
        self.stream = FileByteStream(path)
        self.media = open_source(self.stream)
        self.log: list[str] = []
        self.authorities: dict[int, object] = {}
        self.fails_after: tuple[int, Exception] | None = None
        self._allowed: int | None = None
        self._read = self._asked = 0
        self._finished: set[int] = set()
        self._changed = threading.Condition()
        self._cancelled = self._interrupted = False
        self.characteristics, self.duration = self.media.characteristics, self.media.duration
        self.is_closed = False
        for found in self.media.streams():
            if found.is_protected and environment is not None:
                self.authorities[found.track.track_id] = authority_for(found, environment)

    def streams(self) -> list[StreamDescriptor]:
        return list(self.media.streams())

    def allow(self, samples: int | None) -> None:
        with self._changed:
            self._allowed = samples
            self._changed.notify_all()

    def wait_asked(self, reads: int) -> None:
        """Wait until a reader has come for the so manieth sample."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._asked >= reads, LIMIT)

    def wait_read(self, samples: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._read >= samples, LIMIT)

    def authority(self, stream_id: int) -> object | None:
        self.log.append(f"authority {stream_id}")
        return self.authorities.get(stream_id)

    def select(self, stream_ids: Iterable[int], position: int = 0) -> None:
        wanted = list(stream_ids)
        self._interrupted = False
        self._finished.clear()
        self.log.append(f"select {wanted}" + (f" from {position}" if position else ""))
        self.media.select(wanted, position)

    def read(self, stream_id: int) -> tuple[Sample, memoryview] | None:
        with self._changed:
            self._asked += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_ending or self._allowed is None or self._read < self._allowed)
            if self._is_ending:
                raise cancelled()
            self._read += 1
            self._changed.notify_all()
        if self.fails_after is not None and self._read > self.fails_after[0]:
            raise self.fails_after[1]
        sample = self.media.next_sample(stream_id)
        if sample is None:
            self._finished.add(stream_id)
            return None
        data = memoryview(bytearray(sample.size))
        self.media.read_into(sample, data)
        return sample, data

    def is_finished(self, stream_id: int) -> bool:
        return stream_id in self._finished

    def done(self, stream_id: int) -> None:
        pass

    def tell(self, state: object) -> None:
        self.log.append(f"told {state}")

    @property
    def _is_ending(self) -> bool:
        return self._cancelled or self._interrupted

    def interrupt(self) -> None:
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def close(self) -> None:
        self.is_closed = True


class Host:
    """Components of this process, and those that a test adds."""

    def __init__(self, environment: Environment, more: dict[UUID, Callable[[], object]] | None = None) -> None:
        self._environment = environment
        self._more = more or {}
        self.made: list[object] = []

    def create(self, class_id: UUID) -> object:
        made = self._more[class_id]() if class_id in self._more else component_loader().create(class_id)
        self.made.append(made)
        return made


def authority_for(stream: StreamDescriptor, environment: Environment) -> object:
    """The trust authority that the host makes for a stream."""
    made = component_loader().create(CLEARKEY_ITA)
    made.set_environment(environment)
    made.load(msgspec.json.encode({"track_id": 1, "scheme": "cenc", "key_ids": [str(k) for k in stream.key_ids]}))
    return made


@dataclass
class Home:
    """One session over one file."""

    path: Path
    environment: Environment = field(default_factory=Environment)
    components: dict[UUID, Callable[[], object]] = field(default_factory=dict)
    answer: Callable[[RightsProxy, BeginEnableContent], None] | None = None
    trust: TrustState = NOTHING_VERIFIED

    def __post_init__(self) -> None:
        self.source = LocalSource(self.path, self.environment)
        self.queue = EventQueue()
        self.asked: list[BeginEnableContent] = []
        self.renewed: list[bytes] = []
        self.rights = RightsProxy(1, self._send, self.queue.queue_event, LIMIT, renew=self.renewed.append)
        self.host = Host(self.environment, self.components)
        loader = TopologyLoader(self.host, self.rights, self.environment.level, trust=lambda: self.trust)
        self.emit: Callable[[MediaEvent], None] = self.queue.queue_event
        self.session = MediaSession(loader, self._emit, self._interrupt)
        self.output = os.memfd_create("framemd5")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(SessionShutdownError):
            self.session.shutdown()
        self.source.stream.close()
        os.close(self.output)

    def _emit(self, event: MediaEvent) -> None:
        self.emit(event)

    def _send(self, message: BeginEnableContent) -> None:
        self.asked.append(message)
        if self.answer is not None:
            threading.Thread(target=self.answer, args=(self.rights, message)).start()

    def _interrupt(self, for_good: bool) -> None:  # as the worker's session service does
        self.rights.interrupt(for_good=for_good)
        if for_good:
            self.source.cancel()

    # ------------------------------------------------------------------ what tests say

    def topology(self, *sinks: SinkActivate) -> Topology:
        topology: Topology = Topology(self.source)
        outputs = sinks or (SinkActivate(HASH_SINK, {}, os.dup(self.output)),)
        for stream in self.source.streams():
            topology.connect(stream, *outputs)
        return topology

    def event(self) -> MediaEvent:
        return self.queue.get_event(timeout=LIMIT)

    def until(self, kind: E) -> list[MediaEvent]:
        """Events up to the first of this kind, that one included."""
        found = [self.event()]
        while found[-1].type != kind:
            found.append(self.event())
        return found

    def no_more_events(self, within: float = 0.2) -> None:
        with contextlib.suppress(NoEventsAvailableError):
            raise AssertionError(f"and then came {self.queue.get_event(timeout=within)}")

    def ready(self, *sinks: SinkActivate) -> None:
        self.session.set_topology(self.topology(*sinks))
        self.until(E.SESSION_TOPOLOGY_STATUS)

    def playing(self, samples: int = 6) -> None:
        """Playing, and held in the middle: `samples` were read."""
        self.source.allow(samples)
        self.ready()
        self.session.start()
        self.until(E.SESSION_STARTED)
        self.source.wait_read(samples)

    def lines(self) -> list[str]:
        """The framemd5 lines that came out so far."""
        text = os.pread(self.output, os.fstat(self.output).st_size, 0).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]


def kinds(events: Iterable[MediaEvent]) -> list[object]:
    """Event numbers in order; a topology's status beside 111."""
    return [
        (111, event.values["status"]) if event.type == E.SESSION_TOPOLOGY_STATUS else int(event.type)
        for event in events
    ]


def eventually(condition: Callable[[], bool], limit: float = LIMIT) -> None:
    end = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
