"""The life of a PMP worker, from birth to end. Started by drm/launch/process.py, by path and with `-I -S -B`.

Arguments, each as name=value:
    channel      descriptor of the socket to the application
    parent       process id of the application
    path         a folder to import from, after the standard library; given once for each
    engine       the cipher engine's name
    level        the isolation level below which the worker does not serve
    unprotected  1: do not lock down (MFPMPSESSION_UNPROTECTED_PROCESS)
    peer         user id of the application, when the service started this worker; else not given
    root         file of the root that vouches for components instead of the package's own; the service's alone
    memory       MiB that the worker may use (drm/lockdown/limits.py)
    report_only  1: write the protection report to the channel, as JSON, and end

First the process hides and goes on in a child, which says with one byte that it is there; the reason stands in
drm/lockdown/fresh_memory.py. Nothing else runs before that, and nothing is received before the process is locked but
the descriptor of the service's device key, from the service.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from drm.protection import ProtectionReport

__all__ = ["Arguments", "Born", "born", "main"]

_MAX_DEVICE_KEY: Final = 4096  # bytes
_MAX_ROOT: Final = 512 << 10  # bytes


class Arguments(NamedTuple):
    """What the application says on the command line. It holds no secret: anybody may read a command line."""

    channel: int
    parent: int
    path: tuple[str, ...] = ()
    engine: str = "cryptography"
    level: int = 1
    unprotected: bool = False
    report_only: bool = False
    peer: int | None = None
    root: str | None = None
    memory: int = 1024  # MiB

    @classmethod
    def parse(cls, words: list[str]) -> Arguments:
        """Read name=value words. Raises ValueError or KeyError: the application is broken, and so the worker ends."""
        pairs = [word.partition("=")[::2] for word in words]
        given = dict(pairs)
        return cls(
            channel=int(given["channel"]),
            parent=int(given["parent"]),
            path=tuple(value for name, value in pairs if name == "path"),
            engine=given.get("engine", "cryptography"),
            level=int(given.get("level", 1)),
            unprotected=given.get("unprotected") == "1",
            report_only=given.get("report_only") == "1",
            peer=int(given["peer"]) if "peer" in given else None,
            root=given.get("root"),
            memory=int(given.get("memory", 1024)),
        )


class Born(NamedTuple):
    """What a worker is when it is locked."""

    report: ProtectionReport  # what the probes found
    tracer: Callable[[], int]  # a look at who traces us now, 0: nobody
    pinned_root: bytes | None  # of the components, as this package has it
    device_key: bytes | None  # of the service's account; None: the application sends its own


def main() -> None:
    """Be born, say what we are, serve."""
    arguments = Arguments.parse(sys.argv[1:])
    sys.path += arguments.path
    alive = born(arguments)
    if arguments.report_only:
        _send_report(arguments.channel, alive.report)
        return
    _refuse_below(arguments, alive.report)

    from drm.pmp.worker_service import WorkerOptions, serve  # noqa: PLC0415 - loaded by `born`, before the lock

    options = WorkerOptions(
        alive.report,
        alive.tracer,
        arguments.engine,
        alive.pinned_root,
        takes_roots=arguments.peer is None,  # the service's workers know one root, and no application's
        device_key=alive.device_key,
    )
    serve(arguments.channel, options)


def born(arguments: Arguments) -> Born:
    """Hide, go on in a child, import and warm up, lock, probe.

    When this returns, no file can be opened, no socket made, no program run, and nothing imported but verified
    components (in an unprotected process: all of it can).
    """
    started, clock = time.time(), _Clock()
    from drm.lockdown import fresh_memory  # noqa: PLC0415 - loads next to nothing: until it hides, others may reach in

    start = fresh_memory.enter(hide=not arguments.unprotected)
    from drm.lockdown.lockdown import Lockdown  # noqa: PLC0415 - uses the standard library alone

    lockdown = Lockdown(arguments.parent)
    if arguments.unprotected:
        lockdown.tie_to_parent([arguments.channel])
    else:
        lockdown.hide([arguments.channel])
    os.write(arguments.channel, b"\0")  # the kernel tells the application whose byte it is (drm/launch/worker_child.py)
    clock.lap("hide")

    from drm.lockdown import executable_maps, start_window  # noqa: PLC0415
    from drm.pmp import platform  # noqa: PLC0415 - third-party code comes after `hide`

    platform.load(arguments.engine)
    clock.lap("import")
    platform.load_trust()
    clock.lap("import_trust")
    from drm import loader, protection  # noqa: PLC0415
    from drm.pmp import worker_service  # noqa: F401, PLC0415 - what serves must be loaded before the lock
    from drm.pmp.account import own_account  # noqa: PLC0415

    pinned_root = _read_pinned_root(arguments.root)
    versions = platform.versions()
    clock.lap("import_service")
    platform.warm_up(arguments.engine)
    clock.lap("warm_up")
    platform.warm_up_trust()
    clock.lap("warm_up_trust")
    service_key, account = -1, {}
    if arguments.peer is not None:
        service_key = _service_key(arguments.channel)
        account = own_account(arguments.peer, service_key, arguments.root)
    window = None
    code = executable_maps.look(arguments.path)
    lockdown.bound(arguments.memory)
    if not arguments.unprotected:
        window = start_window.look(arguments.parent, dumpable=start.dumpable)
        loader.seal(platform.names())
        lockdown.apply()
    clock.lap("lock")
    layers = lockdown.layers() | account | {"fresh_memory": start.layer, "code_inventory": code.layer}
    clock.lap("probe")
    report = protection.ProtectionReport(
        level=protection.level_of(layers),
        layers=layers,
        landlock_abi=lockdown.landlock_abi,
        kernel=os.uname().release,
        machine=os.uname().machine,
        filter_sha256=lockdown.filter_sha256,
        untraced=layers["untraced"] == "yes",
        start_window=window,
        userns_owner=lockdown.userns_owner,
        threads=lockdown.threads,
        started=started,
        nonce=os.urandom(16).hex(),
        versions=versions,
        startup_ms=clock.laps,
        memory=arguments.memory,
        unlisted_code=code.unlisted,
    )
    return Born(report, lambda: lockdown.status.tracer, pinned_root, _read_device_key(service_key))


class _Clock:
    """Where the time of the start goes, in milliseconds; `python` is what came before the first line ran."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self.laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round((now - self._last) * 1000, 2)
        self._last = now


def _refuse_below(arguments: Arguments, report: ProtectionReport) -> None:
    """End with the isolation exit code when the demanded level is not reached: never a silent downgrade."""
    from drm.errors import IsolationError  # noqa: PLC0415 - loaded before the lock
    from drm.protection import require  # noqa: PLC0415

    if arguments.unprotected:
        return
    try:
        require(report, arguments.level)
    except IsolationError as error:
        from drm.pmp.last_words import last_words  # noqa: PLC0415

        last_words(error)


def _send_report(channel: int, report: ProtectionReport) -> None:
    import msgspec  # noqa: PLC0415 - loaded before the lock

    os.write(channel, msgspec.json.encode(report))


def _service_key(channel: int) -> int:
    """Take the descriptor of the device key, which the service sends before the application has the other end."""
    import socket  # noqa: PLC0415 - loaded by now

    end = socket.socket(fileno=channel)
    try:
        _, fds, _, _ = socket.recv_fds(end, 1, 1)
    finally:
        end.detach()
    return fds[0] if fds else -1


def _read_device_key(descriptor: int) -> bytes | None:
    """Read it, inside the lock, and close its descriptor."""
    if descriptor < 0:
        return None
    try:
        return os.pread(descriptor, _MAX_DEVICE_KEY, 0) or None
    finally:
        os.close(descriptor)


def _read_pinned_root(other: str | None) -> bytes | None:
    """Read, while files can be opened, the root of the components: from this very package, or by the service's word."""
    from pathlib import Path  # noqa: PLC0415 - loaded by now

    try:
        own = Path(__file__).resolve().parent.parent / "trust" / "root.json"
        with (Path(other) if other is not None else own).open("rb") as file:
            return file.read(_MAX_ROOT + 1)
    except FileNotFoundError:
        return None  # a checkout: the application hands over the root of its development authority


if __name__ == "__main__":
    main()
