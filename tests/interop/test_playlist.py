"""A playlist: short files one after another in one session, encrypted and clear, under changing keys and schemes."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.local_session import create_media_session
from drm.app.rights.managers import LicenseManager
from drm.app.session_configuration import NO_QUALITY_MANAGER, SessionConfiguration
from drm.app.session_proxy import create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK, HASH_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from license_server.process import LicenseServer
from sample_content.clip import Clip, make_clip
from tests.outputs import for_writing

FILES, FRAMES = 20, 15  # half a second each
SCHEMES = (None, Scheme.CENC, Scheme.CBCS, Scheme.CENS, None, Scheme.CBC1)
KEYS = {KeyId(bytes([n]) * 16): ContentKey(bytes([n ^ 0x5A]) * 16) for n in range(1, 4)}
LIMIT = 30.0
MOMENT = 10_000_000 * FRAMES // 30  # of one file, in units of 100 ns


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path]]:
    """Clear and as it is played: no two neighbours have the same pictures, key or scheme."""
    folder = tmp_path_factory.mktemp("playlist")
    made = []
    keys = itertools.cycle(KEYS.items())
    for number, scheme in zip(range(FILES), itertools.cycle(SCHEMES), strict=False):
        clear, path = folder / f"{number}.mp4", folder / f"{number}e.mp4"
        make_clip(clear, Clip(width=160 + 16 * (number % 3), height=90, frames=FRAMES, gop=15, sound=False))
        if scheme is None:
            made.append((clear, clear))
            continue
        kid, key = next(keys)
        encrypt_file(clear, path, scheme=scheme, tracks={TrackType.VIDEO: TrackEncryption(kid, key)})
        made.append((clear, path))
    return made


@pytest.fixture(scope="module")
def server() -> Iterator[LicenseServer]:
    with LicenseServer(keys=KEYS) as running:
        yield running


class Screen:
    """What comes out of a session: the hash of each picture with its presentation time."""

    def __init__(self, closing: ExitStack) -> None:
        self._closing = closing
        self._file = os.memfd_create("framemd5")
        closing.callback(os.close, self._file)
        self._handed = for_writing(self._file)
        closing.callback(os.close, self._handed)

    def topology(self, path: Path, *, in_time: bool) -> Topology:
        source = open_source(self._closing.enter_context(FileByteStream(path)))
        made: Topology = Topology(source)
        sinks = [SinkActivate(HASH_SINK, {}, self._handed)]
        if in_time:
            sinks.append(SinkActivate(DISCARD_SINK, {"in_time": True}))
        for stream in source.streams():
            made.connect(stream, *sinks)
        return made

    def pictures(self) -> list[tuple[int, str]]:
        text = os.pread(self._file, os.fstat(self._file).st_size, 0).decode()
        rows = [line.replace(" ", "").split(",") for line in text.splitlines() if not line.startswith("#")]
        return [(int(row[2]), row[5]) for row in rows]


def clear_hashes(path: Path) -> list[str]:
    with ExitStack() as closing, create_media_session() as session:
        screen = Screen(closing)
        session.set_topology(screen.topology(path, in_time=False))
        session.start()
        while session.get_event(timeout=LIMIT).type != E.SESSION_ENDED:
            pass
        return [digest for _moment, digest in screen.pictures()]


def test_twenty_files_queued_one_ahead_by_the_end_of_the_source(
    films: list[tuple[Path, Path]], server: LicenseServer
) -> None:
    configuration = SessionConfiguration(
        content_protection_manager=LicenseManager(server.license_url), quality_manager=NO_QUALITY_MANAGER
    )
    seen: list[MediaEvent] = []
    with ExitStack() as closing, create_pmp_media_session(configuration=configuration) as session:
        screen = Screen(closing)
        waiting = [screen.topology(path, in_time=True) for _clear, path in films]
        ids = [topology.topology_id for topology in waiting]
        for _ in range(2):
            session.set_topology(waiting.pop(0))
        session.start()
        while not seen or seen[-1].type != E.SESSION_ENDED:
            seen.append(session.get_event(timeout=LIMIT))
            seen[-1].raise_if_fatal()
            if seen[-1].type == E.END_OF_PRESENTATION and waiting:
                session.set_topology(waiting.pop(0))
        found = screen.pictures()
    # No wrong picture, and none that is missing, in the order of the list.
    assert [digest for _moment, digest in found] == [each for clear, _path in films for each in clear_hashes(clear)]
    # No gap: each begins at the very moment at which the one before it ends, and so do its pictures.
    starts = [event.values["start_time"] for event in seen if event.type == E.SESSION_NOTIFY_PRESENTATION_TIME]
    assert starts == [number * MOMENT for number in range(FILES)]
    assert [moment for moment, _digest in found] == [512 * number for number in range(FILES * FRAMES)]
    # Events in order: one start, one end, and of each topology its own statuses, one topology after another.
    assert [event.type for event in seen].count(E.SESSION_STARTED) == 1
    assert [event.type for event in seen].count(E.END_OF_PRESENTATION) == FILES
    assert all(event.status == HResult.S_OK for event in seen if event.type <= E.SESSION_NOTIFY_PRESENTATION_TIME)
    statuses = [
        (ids.index(event.values["topology"]), event.values["status"])
        for event in seen
        if event.type == E.SESSION_TOPOLOGY_STATUS
    ]
    first, later = [100, 200, 400], [100, 200, 300, 400]
    assert statuses == [(number, each) for number in range(FILES) for each in (later if number else first)]
