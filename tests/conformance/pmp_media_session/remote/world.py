"""Sessions in remote source mode, and films to play in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drm.app.session_proxy import MediaSessionProxy
from drm.app.source_resolver import SourceResolver
from drm.class_ids import DISCARD_SINK, HASH_SINK, SOURCE_RESOLVER
from drm.component import MediaSource
from drm.keys import ContentKey, KeyId
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.session.topology import SinkActivate, Topology
from tests.outputs import for_writing

LIMIT = 20.0  # seconds
Make = Callable[[MediaSessionProxy], MediaSource]


class Film:
    """A vector and its keys."""

    def __init__(self, own_vectors: Path, name: str) -> None:
        listed = json.loads((own_vectors / "vectors.json").read_text())["vectors"]
        (found,) = [each for each in listed if each["id"] == name]
        self.path = own_vectors / found["files"][0]["path"]
        self.keys = {KeyId.parse(each["kid"]): ContentKey.parse(each["key"]) for each in found["keys"]}


@dataclass(frozen=True)
class LongFilm:
    """A film that is made for these tests."""

    path: Path
    keys: dict[KeyId, ContentKey]


def resolver_of(session: MediaSessionProxy) -> SourceResolver:
    return session.get_service(Service.PMP_SERVICE).create_object(SOURCE_RESOLVER)


def from_url(url: str | Path) -> Make:
    def make(session: MediaSessionProxy) -> MediaSource:
        resolver = resolver_of(session)
        return resolver.end_create_object_from_url(resolver.begin_create_object_from_url(str(url)), LIMIT)

    return make


def from_byte_stream(stream: object) -> Make:
    def make(session: MediaSessionProxy) -> MediaSource:
        resolver = resolver_of(session)
        return resolver.end_create_object_from_byte_stream(resolver.begin_create_object_from_byte_stream(stream), LIMIT)

    return make


def topology_of(source: MediaSource, hashes: int | None = None) -> Topology[MediaSource]:
    topology: Topology[MediaSource] = Topology(source)
    sink = SinkActivate(DISCARD_SINK) if hashes is None else SinkActivate(HASH_SINK, {}, hashes)
    for stream in source.streams():
        if stream.track.decoder:
            topology.connect(stream, sink)
    return topology


def until(session: MediaSessionProxy, wanted: E) -> object:
    while True:
        event = session.get_event(timeout=LIMIT)
        event.raise_for_status()
        if event.type == wanted:
            return event


def hashes_of(session: MediaSessionProxy, make: Make) -> str:
    """Play to the end; return the hash of every frame."""
    fd = os.memfd_create("framemd5", os.MFD_CLOEXEC)
    try:
        handed = for_writing(fd)
        session.set_topology(topology_of(make(session), handed))
        os.close(handed)
        until(session, E.SESSION_TOPOLOGY_SET)
        session.start()
        until(session, E.SESSION_ENDED)
        session.close()
        until(session, E.SESSION_CLOSED)
        return os.pread(fd, 1 << 24, 0).decode()
    finally:
        os.close(fd)
