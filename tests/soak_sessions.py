"""Makes sessions and shuts them down, many in a row, and sees that nothing is left of them.

`python -m tests.soak_sessions --count 500`: so many in one kept worker, and a tenth of that each with a worker of its
own. Descriptors, threads and processes must be as before, and memory within 5 %, in the application and in the worker.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drm.app.byte_stream import FileByteStream
from drm.app.server import PMPServer
from drm.app.session_proxy import create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import DISCARD_SINK
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from tests.unit.app.pmp import Playback, clip, configured, kept_server

GROWTH = 0.05  # of memory, that is not taken for a leak
WARM_UP = 48  # sessions until caches are full and the allocator's arenas are there
SETTLE = 5.0  # seconds that the kernel and threads have to go


@dataclass(frozen=True)
class Footprint:
    """What a process holds. None: this user may not see it."""

    memory: int  # KiB of its own
    threads: int
    descriptors: int | None

    @classmethod
    def of(cls, pid: int) -> Footprint:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        try:
            descriptors = len(os.listdir(f"/proc/{pid}/fd")) - (pid == os.getpid())  # noqa: PTH208 - a count
        except PermissionError:
            descriptors = None
        return cls(int(status["RssAnon"].split()[0]), int(status["Threads"]), descriptors)


def bare(server: PMPServer | None) -> None:
    """Make it and shut it down."""
    create_pmp_media_session(configuration=configured(server_context=server)).shutdown()


def protected(server: PMPServer | None) -> None:
    """Have keys in it, and never start."""
    with Playback(clip(1), configured((1,), server_context=server)) as at:
        at.set_topology()
        at.until(E.SESSION_TOPOLOGY_SET)


def played(server: PMPServer | None) -> None:
    """Play to the end."""
    with Playback(clip(1), configured((1,), server_context=server)) as at:
        at.play()
        at.session.close()
        at.until(E.SESSION_CLOSED)


def left(server: PMPServer | None) -> None:
    """Shut it down in mid-play, with a topology that waits and a callback that is never called again."""
    with Playback(clip(1), configured((1,), server_context=server)) as at, FileByteStream(clip()) as stream:
        at.set_topology(at.topology(DISCARD_SINK, options={"in_time": True}))
        source = open_source(stream)
        waiting: Topology = Topology(source)
        waiting.connect(source.streams()[0], SinkActivate(DISCARD_SINK))
        at.session.set_topology(waiting)
        at.session.start()
        at.until(E.SESSION_STARTED)
        at.session.begin_get_event(lambda _result: None)


LIVES: tuple[Callable[[PMPServer | None], None], ...] = (bare, protected, played, left)


def ours() -> Footprint:
    gc.collect()
    return Footprint.of(os.getpid())


def children() -> int:
    return sum(len(task.read_text().split()) for task in Path("/proc/self/task").glob("*/children"))


def settled(pid: int, threads: int, processes: int) -> Footprint:
    """The footprint once threads and processes that are on their way out are gone, or the time for that is over."""
    end = time.monotonic() + SETTLE
    while (found := ours() if pid == os.getpid() else Footprint.of(pid)).threads > threads or children() > processes:
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    return found


def differences(name: str, before: Footprint, after: Footprint) -> list[str]:
    """What is more than it was."""
    found = []
    if after.threads > before.threads:
        found.append(f"{name}: {before.threads} threads, and then {after.threads}: {threading.enumerate()}")
    if before.descriptors is not None and (after.descriptors or 0) > before.descriptors:
        found.append(f"{name}: {before.descriptors} descriptors, and then {after.descriptors}")
    if after.memory > before.memory * (1 + GROWTH):
        found.append(f"{name}: {before.memory} KiB, and then {after.memory}")
    return found


def in_a_kept_worker(count: int, warm_up: int = WARM_UP) -> list[str]:
    """`count` sessions, one after another, in one worker."""
    with kept_server() as server:
        for number in range(warm_up):
            LIVES[number % len(LIVES)](server)
        processes, before, there = children(), ours(), settled(server.pid, 1, children())
        start = time.monotonic()
        for number in range(count):
            LIVES[number % len(LIVES)](server)
        seconds = time.monotonic() - start
        after = settled(os.getpid(), before.threads, processes)
        then = settled(server.pid, there.threads, processes)
        found = differences("the application", before, after) + differences("the kept worker", there, then)
        if children() != processes:
            found.append(f"{processes} child processes, and then {children()}")
    print(f"{count} sessions in one worker, {seconds:.1f} s: the application {before} -> {after}; "
          f"the worker {there} -> {then}")  # fmt: skip
    return found


def each_with_its_own(count: int, warm_up: int = len(LIVES)) -> list[str]:
    """`count` sessions, one after another, each in a worker that ends with it."""
    for number in range(warm_up):
        LIVES[number % len(LIVES)](None)
    processes, before = children(), ours()
    start = time.monotonic()
    for number in range(count):
        LIVES[number % len(LIVES)](None)
    seconds = time.monotonic() - start
    after = settled(os.getpid(), before.threads, processes)
    found = differences("the application", before, after)
    if children() != processes:
        found.append(f"{processes} child processes, and then {children()}")
    print(f"{count} sessions with a worker each, {seconds:.1f} s: the application {before} -> {after}")
    return found


def main() -> int:
    """Run both; say what is left over. Return 1 when something is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "--count", type=int, default=500, help="sessions in the kept worker; a tenth of them on their own"
    )
    count = parser.parse_args().count
    found = in_a_kept_worker(count) + each_with_its_own(max(4, count // 10))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
