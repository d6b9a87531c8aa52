"""What the tests of real locked workers share: clips, components of their own, a session with a source on a clip."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from uuid import UUID

from drm.app.byte_stream import FileByteStream
from drm.app.rights.managers import LocalKeysManager
from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_proxy import MediaSessionProxy, PMPSessionFlags, SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.app.worker_configuration import WorkerConfiguration
from drm.class_ids import HASH_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import SessionShutdownError
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SetTopologyFlags, SinkActivate, Topology
from sample_content.clip import Clip, make_clip
from tests.outputs import for_writing

LIMIT = 20.0  # seconds
FRAMES = 30
COMPONENTS = Path(__file__).parent / "sample_components"
DROP_PICTURES = UUID("77777777-0000-0000-0000-000000000001")
PICTURES_ONLY = UUID("77777777-0000-0000-0000-000000000002")
FAILING = UUID("77777777-0000-0000-0000-000000000003")
UNMADE = UUID("77777777-0000-0000-0000-000000000004")
NOWHERE = UUID("77777777-0000-0000-0000-0000000000ff")
OWN = {"drop_pictures": DROP_PICTURES, "pictures_only": PICTURES_ONLY, "failing": FAILING, "unmade": UNMADE}


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="clips-"))
    import atexit

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def clip(number: int = 0, frames: int = FRAMES) -> Path:
    """A clip of picture and sound: 0 is clear, each other one has a key of its own."""
    path = _folder() / f"{number}-{frames}.mp4"
    make_clip(path, Clip(width=160, height=90, frames=frames, sound=True))
    if number:
        ((key_id, key),) = keys_of(number).items()
        told = TrackEncryption(key_id, key)
        encrypt_file(
            path, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: told, TrackType.AUDIO: told}, in_place=True
        )
    return path


def keys_of(*numbers: int) -> dict[KeyId, ContentKey]:
    return {KeyId(bytes([n]) * 16): ContentKey(bytes([n]) * 15 + b"k") for n in numbers}


class Counting(LocalKeysManager):
    """Gives its keys, and counts how often it is asked."""

    def __init__(self, keys: Mapping[KeyId, ContentKey]) -> None:
        super().__init__(keys)
        self.asked = 0

    def begin_enable_content(self, *arguments: Any) -> None:
        self.asked += 1
        super().begin_enable_content(*arguments)


def configured(numbers: tuple[int, ...] = (), **attributes: object) -> SessionConfiguration:
    """A configuration with the keys of these clips."""
    manager = attributes.pop("content_protection_manager", Counting(keys_of(*numbers)) if numbers else None)
    if attributes.get("server_context") is None:
        attributes.setdefault("components", tuple(COMPONENTS / name for name in OWN))
    return SessionConfiguration(content_protection_manager=manager, sealed=False, **attributes)  # type: ignore[arg-type]  # as told


def kept_server(**more: object) -> PMPServer:
    """A locked worker with the components of this folder, that stays until it is shut down."""
    components = tuple(COMPONENTS / name for name in OWN)
    return create_pmp_server(WorkerConfiguration(sealed=False, components=components, **more))  # type: ignore[arg-type]  # as told


class Playback:
    """A session, a source on a clip, and the hashes that came out. Leaving it shuts the session down."""

    def __init__(self, path: Path, configuration: SessionConfiguration, flags: int = 0) -> None:
        self.session: MediaSessionProxy = create_pmp_media_session(PMPSessionFlags(flags), configuration)
        self.stream = FileByteStream(path)
        self.source = open_source(self.stream)
        self.output = os.memfd_create("framemd5")
        self.handed = for_writing(self.output)

    def topology(
        self, sink: UUID = HASH_SINK, *, options: Mapping[str, object] | None = None, **more: object
    ) -> Topology:
        made: Topology = Topology(self.source, **more)  # type: ignore[arg-type]  # project times
        activate = SinkActivate(sink, options or {}, self.handed if sink == HASH_SINK else None)
        for each in self.source.streams():
            made.connect(each, activate)
        return made

    def set_topology(self, topology: Topology | None = None, flags: SetTopologyFlags = SetTopologyFlags.NONE) -> None:
        self.session.set_topology(topology or self.topology(), flags)

    def event(self) -> MediaEvent:
        return self.session.get_event(timeout=LIMIT)

    def until(self, kind: E) -> list[MediaEvent]:
        found = [self.event()]
        while found[-1].type != kind:
            assert found[-1].type != E.ERROR, found[-1]
            found.append(self.event())
        return found

    def play(self) -> list[MediaEvent]:
        """To the end."""
        self.set_topology()
        events = self.until(E.SESSION_TOPOLOGY_SET)
        events[-1].raise_for_status()
        self.session.start()
        return events + self.until(E.SESSION_ENDED)

    def frames(self, stream: int = 0) -> int:
        text = os.pread(self.output, os.fstat(self.output).st_size, 0).decode()
        return sum(line.startswith(f"{stream},") for line in text.splitlines())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(SessionShutdownError):
            self.session.shutdown()
        self.stream.close()
        os.close(self.output)
        os.close(self.handed)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def on_a_thread(call: Callable[[], object], limit: float = LIMIT) -> object:
    """Do it elsewhere and return what it returns or raises: a test is not to wait for ever."""
    found: list[object] = []

    def work() -> None:
        try:
            found.append(call())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            found.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    assert found, f"no answer within {limit} seconds"
    return found[0]
