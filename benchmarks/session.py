"""How long until the first decrypted frame, license included, and what a session costs in a worker that is there.

The application runs already; ffprobe and ffmpeg are whole processes, as they are used. Frames are told by a sink of the
benchmark's own, a component in the worker, which writes the moment of the first frame to a pipe. Both sides take turns.

    python -m benchmarks.session            these figures alone
"""

from __future__ import annotations

import compileall
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

import drm
from benchmarks import playback
from benchmarks.processes import median
from benchmarks.results import Ratio
from drm.app.byte_stream import FileByteStream
from drm.app.rights.enabler import ContentProtectionManager
from drm.app.rights.managers import LicenseManager
from drm.app.server import PMPServer, create_pmp_server
from drm.app.session_proxy import SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.app.worker_configuration import WorkerConfiguration
from drm.component import MediaSource
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from license_server.process import LicenseServer

__all__ = ["BARS", "Turn", "first_frame", "run", "sink_component"]

BARS: Final = {"warm": 0.5, "cold": 2.0, "create": 0.1}
PAIRS: Final = 7  # turns of each side
# The rate is held from the first picture on, as it is where media is streamed: the first pictures are what counts here.
CLIP: Final = msgspec.structs.replace(playback.CLIP, frames=150, buffered=1.0)
_LIMIT: Final = 60.0  # seconds for anything here
_SINK: Final = UUID("0f3c1f0e-7f5c-4c0e-9d39-3c1df0b2b6a7")
_TOML: Final = f"""
name = "first-frame-sink"
class_id = "{_SINK}"
version = "1.0.0"
api = 1
entry_point = "drm.components.first_frame_sink.sink:FirstFrameSink"
requires = ["drm"]
"""
_CODE: Final = '''
"""Tells when the first frame came."""

import os
import struct
import time

from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action


class FirstFrameSink:
    is_rateless = True

    def __init__(self):
        self._descriptor = None

    def load(self, stream):
        pass

    def output_trust_authorities(self):
        return (OutputTrust(Action.PLAY),)

    def open(self, tracks, descriptor):
        self._descriptor = descriptor

    def write(self, track_id, frame):
        if self._descriptor is not None:
            os.write(self._descriptor, struct.pack("d", time.monotonic()))
            self.close()

    def finish(self):
        return {}

    def close(self):
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
'''


@dataclass(frozen=True, slots=True)
class Turn:
    """One way to the first frame: seconds in all, and stage by stage."""

    seconds: float
    stages: dict[str, float]


def sink_component(folder: Path) -> Path:
    """Write the sink that tells of the first frame."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "component.toml").write_text(_TOML)
    (folder / "__init__.py").write_text('"""The benchmark\'s sink."""\n')
    (folder / "sink.py").write_text(_CODE)
    return folder


def first_frame(path: Path, manager: ContentProtectionManager, sink: Path, server: PMPServer | None) -> Turn:
    """From opening the file to its first decrypted, decoded frame; without `server`, in a worker of its own."""
    reader, writer = os.pipe()
    marks = [("", time.monotonic())]

    def mark(name: str) -> None:
        marks.append((name, time.monotonic()))

    try:
        with FileByteStream([str(path)]) as stream:
            source = open_source(stream)
            mark("open the file")
            configuration = SessionConfiguration(
                content_protection_manager=manager, server_context=server, components=() if server else (sink,)
            )
            with create_pmp_media_session(configuration=configuration) as session:
                mark("make the session" if server else "make the worker and the session")
                topology: Topology[MediaSource] = Topology(source)
                topology.connect(source.streams()[0], SinkActivate(_SINK, {}, writer))
                session.set_topology(topology)
                session.start()
                os.close(writer)
                writer = -1
                while (event := session.get_event(timeout=_LIMIT)).type != E.SESSION_STARTED:
                    if event.type in {E.SESSION_TOPOLOGY_SET, E.ERROR}:
                        event.raise_for_status()
                    if event.type == E.LICENSE_ACQUISITION_START:
                        mark("topology, authority")
                    if event.type == E.LICENSE_ACQUISITION_COMPLETED:
                        mark("license")
                    if event.type == E.SESSION_TOPOLOGY_SET:
                        mark("key check, resolving")
                event.raise_for_status()
                ready, _, _ = select.select([reader], [], [], _LIMIT)
                if not ready:
                    raise SystemExit("the first frame did not come")
                (moment,) = struct.unpack("d", os.read(reader, 8))
                marks.append(("decrypt and decode", moment))
    finally:
        os.close(reader)
        if writer >= 0:
            os.close(writer)
    stages = {name: round(at - before, 5) for (name, at), (_, before) in zip(marks[1:], marks, strict=False)}
    return Turn(moment - marks[0][1], stages)


def run(folder: Path, pairs: int = PAIRS) -> tuple[list[Ratio], list[str]]:
    """Measure; return the ratios and the peers that are not here."""
    clear, encrypted = playback.make_files(folder, CLIP)
    # An installed package has its bytecode beside it. The worker writes none, so a checkout may hold none of its own.
    for package in drm.__path__:
        compileall.compile_dir(package, quiet=2)
    absent = [name for name in ("ffprobe", "ffmpeg") if shutil.which(name) is None]
    with tempfile.TemporaryDirectory() as room, LicenseServer(keys=playback.content_keys()) as server:
        world = _World(encrypted, clear, LicenseManager(server.license_url), sink_component(Path(room, "sink")), pairs)
        ratios = [world.creation()]
        if "ffprobe" not in absent:
            ratios.append(world.first_frames("warm", _FFPROBE))
        if "ffmpeg" not in absent:
            ratios.append(world.first_frames("cold", _FFMPEG))
    for ratio in ratios:
        print(ratio.line(), flush=True)
    return ratios, absent


_FFPROBE: Final = ("ffprobe", "-v", "error", "-select_streams", "v:0", "-read_intervals", "%+#1", "-show_frames", "-i")
_FFMPEG: Final = ("ffmpeg", "-v", "error", "-nostdin", "-i")
_TO_NOTHING: Final = ("-map", "0:v:0", "-frames:v", "1", "-f", "null", "-")


@dataclass(frozen=True, slots=True)
class _World:
    """The files, where licenses come from, and how many turns each side takes; one more goes first, uncounted."""

    encrypted: Path
    clear: Path
    manager: LicenseManager
    sink: Path
    pairs: int

    def first_frames(self, kind: str, peer: tuple[str, ...]) -> Ratio:
        """Ours beside a peer's, in turn."""
        command = [*peer, str(self.clear), *(_TO_NOTHING if peer is _FFMPEG else ())]
        ours, theirs = [], []
        for _ in range(self.pairs + 1):
            ours.append(self._warm() if kind == "warm" else first_frame(self.encrypted, self.manager, self.sink, None))
            began = time.monotonic()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True, timeout=_LIMIT)
            theirs.append(time.monotonic() - began)
        ours, theirs = ours[1:], theirs[1:]
        us, them = median(turn.seconds for turn in ours), median(theirs)
        stages = {name: median(turn.stages.get(name, 0.0) for turn in ours) for name in ours[0].stages}
        detail = f"{us * 1e3:.0f} ms against {them * 1e3:.0f} ms; " + ", ".join(
            f"{name} {seconds * 1e3:.0f}" for name, seconds in stages.items()
        )
        figures: dict[str, object] = {
            "peer": _version(peer[0]),
            "ours": [{"seconds": turn.seconds, "stages": turn.stages} for turn in ours],
            "theirs": theirs,
            "stages": stages,
        }
        value = median(turn.seconds / other for turn, other in zip(ours, theirs, strict=True))
        return Ratio(f"first decrypted frame, {kind} worker / {peer[0]}", value, BARS[kind], "at most", detail, figures)

    def _warm(self) -> Turn:
        """In a worker that was started before, and has not played anything yet."""
        with create_pmp_server(WorkerConfiguration(components=(self.sink,))) as server:
            with server.locked():  # once it answers, it is idle: it reads nothing before its components are imported
                pass
            return first_frame(self.encrypted, self.manager, self.sink, server)

    def creation(self) -> Ratio:
        """A session in a worker that is there, beside one in a worker of its own."""
        shared, alone = [], []
        with create_pmp_server() as server:
            for _ in range(self.pairs + 1):
                shared.append(_create(SessionConfiguration(server_context=server)))
                alone.append(_create(SessionConfiguration()))
        shared, alone = shared[1:], alone[1:]
        value = median(one / other for one, other in zip(shared, alone, strict=True))
        detail = f"{median(shared) * 1e3:.2f} ms against {median(alone) * 1e3:.0f} ms"
        figures: dict[str, object] = {"shared": shared, "alone": alone}
        return Ratio(
            "creating a session, shared worker / new worker", value, BARS["create"], "at most", detail, figures
        )


def _create(configuration: SessionConfiguration) -> float:
    began = time.monotonic()
    session = create_pmp_media_session(configuration=configuration)
    taken = time.monotonic() - began
    session.shutdown()
    return taken


def _version(program: str) -> str:
    ran = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=_LIMIT, check=False)
    return ran.stdout.partition("\n")[0][:80]


if __name__ == "__main__":
    run(Path("build", "bench"), int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
