"""What playing through the locked-down worker costs: CPU beside a plain PyAV decode of the clear original.

Steady playback alone is measured: from SESSION_STARTED to SESSION_ENDED here, from the first packet to the last frame
there. Each turn is a process of its own, so that neither side finds warm memory. Both sides decode with as many threads
as libavcodec likes, and every frame is compared by hash before anything is timed.

    python -m benchmarks.playback worker|inside FILE    one turn, as JSON
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import av

from benchmarks.results import Ratio
from drm.app.rights.managers import LocalKeysManager
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from drm.session.events import MediaEvent, MediaEventType
from player.comparison import hashes_by_stream
from player.playback import Playback
from sample_content.clip import Clip, make_clip

__all__ = ["content_keys", "inside", "make_files", "measure", "run", "through_worker"]

BAR: Final = 1.2  # CPU of the protected path over that of the plain decode
PAIRS: Final = 5  # turns of each side, taken in turn

CLIP: Final = Clip(
    width=1920, height=1080, frames=600, gop=60, bitrate=8_000_000, noise=12, sound=False, fragmented=True, threads=0
)
_KEY_ID: Final = KeyId(hashlib.sha256(b"clearkey benchmark, key id").digest()[:16])
_KEY: Final = hashlib.sha256(b"clearkey benchmark, key").hexdigest()[:32]  # published: it protects test pictures
_TURN_LIMIT: Final = 300  # seconds


def run(folder: Path, pairs: int = PAIRS) -> Ratio:
    """Make the files if need be, compare all frames, then measure."""
    clear, encrypted = make_files(folder, CLIP)
    return measure(clear, encrypted, pairs)


def make_files(folder: Path, clip: Clip) -> tuple[Path, Path]:
    """The clear clip and its encrypted copy, made once."""
    name = hashlib.sha256(repr((clip, av.__version__)).encode()).hexdigest()[:12]
    clear, encrypted = folder / f"play_{name}.mp4", folder / f"play_{name}_cenc.mp4"
    folder.mkdir(parents=True, exist_ok=True)
    if not clear.is_file():
        print(f"making {clip.frames} frames of {clip.width}x{clip.height}, once ...", file=sys.stderr)
        make_clip(clear, clip)
        encrypted.unlink(missing_ok=True)
    if not encrypted.is_file():
        tracks = {TrackType.VIDEO: TrackEncryption(_KEY_ID, ContentKey.parse(_KEY))}
        encrypt_file(clear, encrypted, scheme=Scheme.CENC, tracks=tracks)
    return clear, encrypted


def measure(clear: Path, encrypted: Path, pairs: int) -> Ratio:
    """Compare, then take turns: protected, plain, protected, plain."""
    frames = _compare(clear, encrypted)
    turns: dict[str, list[dict[str, float]]] = {"worker": [], "inside": []}
    for _ in range(pairs):
        for side, path in (("worker", encrypted), ("inside", clear)):
            turn = _turn(side, path)
            if turn["frames"] != frames:
                raise SystemExit(f"{side}: {turn['frames']:.0f} frames, and {frames} were expected")
            turns[side].append(turn)
    cpu = {side: statistics.median(turn["cpu"] for turn in taken) for side, taken in turns.items()}
    wall = {side: statistics.median(turn["wall"] for turn in taken) for side, taken in turns.items()}
    application = statistics.median(turn["application"] for turn in turns["worker"])
    detail = (
        f"CPU {cpu['worker']:.2f} s ({application:.2f} s of it the application) against {cpu['inside']:.2f} s "
        f"for {frames} frames; {frames / wall['worker']:.0f} against {frames / wall['inside']:.0f} frames/s"
    )
    figures: dict[str, object] = {"frames": frames, "bytes": clear.stat().st_size, "turns": turns}
    return Ratio(
        "playback CPU, worker / in-process PyAV", cpu["worker"] / cpu["inside"], BAR, "at most", detail, figures
    )


def through_worker(path: Path) -> dict[str, float]:
    """One playback in the locked-down worker; CPU of both processes from SESSION_STARTED to SESSION_ENDED."""
    marks: list[tuple[float, float, float]] = []
    workers: list[int] = []

    def mark(event: MediaEvent) -> None:
        if event.type in {MediaEventType.SESSION_STARTED, MediaEventType.SESSION_ENDED}:
            marks.append((time.monotonic(), time.process_time(), _cpu_of(workers[0])))

    playback = Playback(
        [str(path)], manager=_keys(), on_event=mark, on_ready=lambda session: workers.append(session.pid)
    )
    result = playback.run()
    wall, application, worker = (end - start for start, end in zip(*marks, strict=True))
    return {"cpu": application + worker, "application": application, "wall": wall, "frames": result.frames}


def inside(path: Path) -> dict[str, float]:
    """One plain decode of the clear file, opening and probing it left out."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        packets = container.demux(stream)
        frames = 0
        wall, cpu = time.monotonic(), time.process_time()
        for packet in packets:
            frames += len(packet.decode())
        return {"cpu": time.process_time() - cpu, "wall": time.monotonic() - wall, "frames": frames}


def content_keys() -> dict[KeyId, ContentKey]:
    """What a license for the encrypted copy holds."""
    return {_KEY_ID: ContentKey.parse(_KEY)}


def _keys() -> LocalKeysManager:
    return LocalKeysManager(content_keys())


def _compare(clear: Path, encrypted: Path) -> int:
    """Every frame out of the worker equals PyAV's of the clear file; return how many there are."""
    hashes = os.memfd_create("framemd5")
    try:
        Playback([str(encrypted)], manager=_keys(), framemd5=hashes).run()
        ours = hashes_by_stream(hashes)["video 1"]
    finally:
        os.close(hashes)
    with av.open(str(clear)) as container:
        container.streams.video[0].thread_type = "AUTO"
        theirs = [_hash(frame) for frame in container.decode(video=0)]
    if ours != theirs:
        raise SystemExit(f"{encrypted}: its {len(ours)} frames are not the {len(theirs)} of {clear}")
    return len(ours)


def _hash(frame: av.VideoFrame) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for index, plane in enumerate(frame.planes):  # yuv420p: a picture's plane and two of half its width and height
        width, height = (frame.width, frame.height) if index == 0 else (frame.width // 2, frame.height // 2)
        data, stride = memoryview(plane), plane.line_size
        for row in range(height):
            digest.update(data[row * stride : row * stride + width])
    return digest.hexdigest()


def _turn(side: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.playback", side, str(path)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=_TURN_LIMIT, check=False)
    if run.returncode:
        raise SystemExit(f"{side} failed: {run.stderr}")
    found: dict[str, float] = json.loads(run.stdout)
    return found


def _cpu_of(pid: int) -> float:
    """Seconds of CPU of a process, user and system, all threads, to the nanosecond.

    The clock's number is made as clock_getcpuclockid(3) makes it; /proc/PID/stat counts in hundredths of a second.
    """
    return time.clock_gettime(~pid << 3 | 2)


if __name__ == "__main__":
    print(json.dumps({"worker": through_worker, "inside": inside}[sys.argv[1]](Path(sys.argv[2]))))
