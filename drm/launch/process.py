"""The PMP worker as a process: launch, watch, end. Application only.

A thread of its own starts each worker and lives as long as the worker does, because the kernel ties "dies with its
parent" to the thread that spawned it, not to the process. The worker is handed the channel, an empty environment, and
nothing else; what it writes to stderr is kept, bounded, for `exit_description`.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

import drm
from drm.errors import (
    DRMError,
    ErrorRecord,
    ExitCode,
    IsolationError,
    MemoryLimitError,
    PMPProcessDiedError,
    error_from_record,
)
from drm.launch.interpreter import worker_python
from drm.launch.worker_child import WorkerChild, start_worker
from drm.protection import ProtectionReport
from drm.readable import readable
from drm.worker_memory import DEFAULT_MEMORY

__all__ = [
    "PMPProcess",
    "ServicePeer",
    "cpu_seconds",
    "import_folders",
    "probe_worker",
    "receive_report",
    "worker_command",
]

logger = logging.getLogger(__name__)

_STDERR_KEPT: Final = 16 << 10  # bytes, the last ones
_GRACE: Final = 2.0  # seconds that a worker has to end by itself
_REAP: Final = 5.0  # seconds until a killed process must be gone
_LIBRARIES: Final = ("av", "cryptography", "joserfc", "msgspec", "securesystemslib", "tuf", "_cffi_backend")
_ENTRY: Final = Path("drm", "pmp", "__main__.py")


class ServicePeer(NamedTuple):
    """For whom the service runs a worker, and what it pins. Its worker takes no other root, and may reach level 3."""

    uid: int  # of the application
    root: Path | None  # root metadata instead of the package's own; read by the worker before its lock


class PMPProcess:
    """One PMP worker, running when the constructor returns. A context manager: leaving it ends the worker."""

    def __init__(
        self,
        *,
        unprotected: bool = False,
        engine: str = "cryptography",
        demanded_level: int = 1,
        report_only: bool = False,
        peer: ServicePeer | None = None,
        start_timeout: float = 20.0,
        memory: int = DEFAULT_MEMORY,
        on_exit: Callable[[PMPProcess], None] | None = None,
    ) -> None:
        """Start a worker; blocks until it has hidden itself, or has ended.

        Args:
            unprotected: do not lock down; such a worker refuses protected content.
            engine: name of the cipher engine.
            demanded_level: below this isolation level the worker ends instead of serving; `refusal` then says why.
            report_only: the worker sends its protection report as JSON and ends.
            peer: the application, when it is the service that starts the worker; None: we are the application.
            start_timeout: seconds until it must have hidden itself.
            memory: MiB that the worker may use.
            on_exit: called once, in the watching thread, when the worker has ended for whatever reason.

        Raises:
            IsolationError: this system has no way to isolate a worker.
            PMPProcessDiedError: it could not be started, or did not hide in time.
        """
        if sys.platform != "linux":
            raise IsolationError(
                f"the PMP worker needs Linux, and this is {sys.platform}",
                remedy="run it in a Linux machine, virtual or not; packaging and the license server work here",
            )
        self.channel_socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        """The application's end of the channel."""
        self._on_exit = on_exit
        self._child: WorkerChild | None = None
        self._exit_code: int | None = None
        self._failed = PMPProcessDiedError("the PMP worker could not be started")
        self._stderr = b""
        self._up = threading.Event()
        self._ended = threading.Event()
        command = worker_command(theirs.fileno(), unprotected, engine, demanded_level, report_only, memory, peer)
        self._watcher = threading.Thread(
            target=self._watch, args=(command, theirs, start_timeout), name="pmp-process", daemon=True
        )
        try:
            self._watcher.start()
            self._up.wait()
        finally:
            theirs.close()
        if self._child is None:
            self.channel_socket.close()
            raise self._failed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The worker's process id."""
        assert self._child is not None
        return self._child.pid

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for the worker's end; tell whether it has ended and been reaped."""
        return self._ended.wait(timeout)

    def close(self) -> None:
        """End the worker: ask by end of file, then kill. Blocks until it is gone, at most seconds; idempotent."""
        with suppress(OSError):  # closed by its user already
            self.channel_socket.shutdown(socket.SHUT_WR)
        if not self.wait(_GRACE):
            self.kill()
        self.channel_socket.close()

    def end(self) -> None:
        """End the worker at once and do not wait for it."""
        assert self._child is not None
        self._child.kill()
        with suppress(OSError):
            self.channel_socket.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End the worker at once, also when it is stopped or in a long decode."""
        assert self._child is not None
        self._child.kill()
        if not self.wait(_REAP):
            logger.warning("PMP worker %d does not go away", self.pid)

    @property
    def exit_code(self) -> int | None:
        """As subprocess has it: the exit status, or minus the signal's number; None while the worker runs."""
        return self._exit_code if self._ended.is_set() else None

    @property
    def refusal(self) -> str | None:
        """Why the worker refused to serve at the demanded level; None if it did not."""
        error = self._refusal()
        return None if error is None else f"{error.what}: {error.seen}" if error.seen else error.what

    def failure(self) -> DRMError:
        """Return why the worker ended, as the error to raise. Waits for the end of a worker that is about to end."""
        return self._refusal() or PMPProcessDiedError(
            "the PMP worker ended while it was needed",
            seen=self.exit_description(),
            remedy="play again; if it ends each time, run clearkey doctor",
        )

    def exit_description(self) -> str:
        """How the worker ended, in words for a user: the signal or status, and the last line that it wrote."""
        self.wait(_GRACE)
        code = self.exit_code
        if code is None:
            return "it still runs"
        if code == -signal.SIGSYS:
            return "killed by SIGSYS: it made a system call that its lock-down forbids"
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
            return f"killed by signal {-code}"
        return f"exit status {code}" + (f": {line}" if (line := self._last_line()) else "")

    @property
    def stderr(self) -> str:
        """The last of what the worker wrote to stderr; for logs. The worker is not trusted: it may be anything."""
        return self._stderr.decode("utf-8", "replace")

    def _refusal(self) -> DRMError | None:
        self.wait(_GRACE)
        if self.exit_code not in {ExitCode.ISOLATION, ExitCode.MALFORMED_INPUT}:
            return None
        try:
            record = msgspec.json.decode(self._stderr.rstrip().rpartition(b"\n")[2], type=ErrorRecord)
            error = error_from_record(record)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            error = DRMError("the worker refused to serve")
        if isinstance(error, MemoryLimitError if self.exit_code == ExitCode.MALFORMED_INPUT else IsolationError):
            return error
        if self.exit_code == ExitCode.ISOLATION:
            return IsolationError(error.what, remedy="clearkey doctor")
        return None  # it ended so by itself, for whatever reason

    def _last_line(self) -> str:
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return readable(lines[-1], 200) if lines else ""

    # ------------------------------------------------------------------ in the watching thread

    def _watch(self, command: list[str], theirs: socket.socket, timeout: float) -> None:
        try:
            self._child = child = start_worker(command, self.channel_socket, theirs, timeout)
        except OSError as error:
            self._failed = PMPProcessDiedError(f"the PMP worker could not be started: {error}", where=command[0])
            return
        except PMPProcessDiedError as error:
            self._failed = error
            return
        finally:
            self._up.set()
        with child.stderr:
            self._listen(child, child.stderr.fileno())
        self._exit_code = child.reap()
        if self._exit_code:
            logger.debug("PMP worker %d ended with %d: %s", child.pid, self._exit_code, readable(self.stderr))
        self._ended.set()
        if self._on_exit is not None:
            try:
                self._on_exit(self)
            except Exception:
                logger.exception("what was to be told of the end of PMP worker %d failed", child.pid)

    def _listen(self, child: WorkerChild, stderr: int) -> None:
        """Keep the last of stderr until the process ends, whoever else may hold the pipe."""
        os.set_blocking(stderr, False)
        poller = select.poll()
        poller.register(stderr, select.POLLIN)
        poller.register(child, select.POLLIN)
        while True:
            ready = dict(poller.poll())
            if ready.get(stderr) and not self._keep(stderr):
                poller.unregister(stderr)
            if ready.get(child.fileno()):
                self._keep(stderr)
                return

    def _keep(self, stderr: int) -> bool:
        try:
            data = os.read(stderr, 64 << 10)
        except BlockingIOError:
            return True
        self._stderr = (self._stderr + data)[-_STDERR_KEPT:]
        return bool(data)


def cpu_seconds(pid: int) -> float:
    """Seconds that process `pid` has computed so far, on all its threads; 0.0 once it is gone. Anybody may ask."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0.0
    fields = stat.rpartition(b")")[2].split()  # the name before may hold anything
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime, stime: proc(5)


def probe_worker(*, engine: str = "cryptography", timeout: float = 20.0) -> ProtectionReport:
    """Start a worker, return the report of its lock-down, and let it end.

    Raises:
        IsolationError: this system has no way to isolate a worker.
        PMPProcessDiedError: it ended, or said nothing for `timeout` seconds.
    """
    with PMPProcess(engine=engine, demanded_level=0, report_only=True) as process:
        return receive_report(process.channel_socket, process.failure, timeout)


def receive_report(channel: socket.socket, failure: Callable[[], DRMError], timeout: float) -> ProtectionReport:
    """Return what a worker that was started with `report_only` sends. Raises what `failure` tells, if it sends none."""
    channel.settimeout(timeout)
    try:
        return msgspec.json.decode(channel.recv(64 << 10), type=ProtectionReport)
    except (OSError, msgspec.DecodeError):
        raise failure() from None


@functools.cache
def import_folders() -> tuple[str, ...]:
    """Return where the worker imports from, after the standard library: our parent folder and its libraries'.

    Two folders in a checkout, one where all is installed side by side. Raises IsolationError if a library is missing.
    """
    folders = [str(_parent())]
    for name in _LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise IsolationError(f"the worker needs {name}, which is not installed", remedy="pip install clearkey")
        origin = Path(spec.origin)
        folders.append(str(origin.parent.parent if spec.submodule_search_locations else origin.parent))
    return tuple(dict.fromkeys(folders))


def _parent() -> Path:
    return Path(drm.__file__ or "").resolve().parent.parent


def worker_command(
    channel: int,
    unprotected: bool,
    engine: str,
    level: int,
    report_only: bool,
    memory: int = DEFAULT_MEMORY,
    peer: ServicePeer | None = None,
) -> list[str]:
    """The command line; drm/pmp/__main__.py reads it. -I: no user's folders and variables, -S: no site hooks."""
    return [
        worker_python(), "-I", "-S", "-B", "-X", "utf8", str(_parent() / _ENTRY),
        f"channel={channel}",
        f"parent={os.getpid()}",
        f"engine={engine}",
        f"level={level}",
        f"unprotected={int(unprotected)}",
        f"report_only={int(report_only)}",
        f"memory={memory}",
        *([] if peer is None else [f"peer={peer.uid}"]),
        *([] if peer is None or peer.root is None else [f"root={peer.root}"]),
        *(f"path={folder}" for folder in import_folders()),
    ]  # fmt: skip
