"""A PMP worker as the application sees it (IMFPMPServer): its process, its components, and the sessions in it.

A session makes one for itself unless it is given one (MF_SESSION_SERVER_CONTEXT). The worker ends with its last
session; locks that are held delay that by three seconds at most.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Protocol, Self
from uuid import UUID

import msgspec

from drm.app.components.installed import pack_components
from drm.app.components.renewal import RENEWING, renewal_activation
from drm.app.components.supply import ComponentSupply
from drm.app.host_proxy import HostProxy
from drm.app.worker_configuration import WorkerConfiguration, launch_worker, open_device_key_of
from drm.app.worker_link import WorkerLink
from drm.errors import DRMError, InvalidArgumentError, SessionShutdownError, TrustError, WireError
from drm.protection import ProtectionReport, require
from drm.rights.enablers import EnablerActivate
from drm.trust.snapshot import pack_snapshot
from drm.wire import messages as wire
from drm.wire.messages import RemoteObject
from drm.wire.ring import sealed_memfd

__all__ = ["PMPServer", "create_pmp_server", "require_context"]

logger = logging.getLogger(__name__)

_LOCKED_EXIT: Final = 4.0  # seconds; the worker itself goes after three


class Attached(Protocol):
    """A session's proxy, as the server needs it."""

    def take(self, message: wire.FromWorker) -> None:
        """A message of this session, on the reader's thread: must not block."""

    def worker_ended(self, error: DRMError) -> None:
        """The worker is gone, and this session did not ask for that."""


def create_pmp_server(configuration: WorkerConfiguration | None = None) -> PMPServer:
    """Start a worker without a session (MFCreatePMPServer): it stays, warm, until it is shut down.

    Raises:
        IsolationError: this machine does not give the level that is demanded.
        TrustError: a component must not run; `enabler_activate` says how that is put right.
        PMPProcessDiedError: the worker did not come up.
    """
    return PMPServer(configuration or WorkerConfiguration(), is_kept=True)


class PMPServer:
    """One worker. A context manager: leaving it shuts the worker down."""

    def __init__(self, configuration: WorkerConfiguration, *, is_kept: bool) -> None:
        """`is_kept`: the worker stays when its last session ends."""
        self.configuration = configuration
        self._is_kept = is_kept
        # Not kept alive from here: one that is forgotten is to be found out, not to live as long as the worker.
        self._sessions: weakref.WeakValueDictionary[int, Attached] = weakref.WeakValueDictionary()
        self._attached: set[int] = set()
        self._numbers = 0
        self._changing = threading.Lock()
        self._creating = threading.Lock()  # the worker wants numbers that rise
        self._is_shut = False
        self._handed = b""  # what the worker verified last
        with _enough(), open_device_key_of(configuration) as device_key:
            self.supply = (
                None if configuration.unprotected else ComponentSupply(configuration.trust, configuration.components)
            )
            process = launch_worker(configuration)
            self.link = WorkerLink(
                process,
                self._take,
                self._ended,
                configuration.call_timeout,
                configuration.stall_timeout,
                configuration.cpu_limit,
            )
            try:
                report = self.link.wait_ready(configuration.start_timeout)
                if not configuration.unprotected:
                    require(report, configuration.min_level)
                if device_key is not None:
                    self.link.send(wire.DeviceKey(), [device_key])
                self._report = report
                self._load_components()
            except BaseException:
                self.shutdown()
                raise

    # ------------------------------------------------------------------ IMFPMPServer

    def create_object(self, class_id: UUID, interface: str = "") -> RemoteObject:
        """Make an object in the worker that belongs to no session. Raises as `PMPHost.create_object`."""
        return HostProxy(self.link).create_object(class_id, None, interface)

    def release_object(self, made: RemoteObject) -> None:
        """The object is needed no more."""
        HostProxy(self.link).release_object(made)

    def lock_process(self) -> None:
        """Hold the worker back from ending, for three seconds at most."""
        self.link.lock_process()

    def unlock_process(self) -> None:
        """Take one lock back. Raises InvalidRequestError when none is held."""
        self.link.lock_process(unlock=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock inside a `with`."""
        self.lock_process()
        try:
            yield
        finally:
            with suppress(DRMError):  # the worker may have gone meanwhile
                self.unlock_process()

    # ------------------------------------------------------------------ the process

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.link.process.pid

    @property
    def protection_report(self) -> ProtectionReport:
        """What the worker probed, with the components that it verified."""
        return self._report

    def shutdown(self) -> None:
        """End every session and the worker. Blocks until it is gone, unless a lock holds it; idempotent.

        Sessions that were not shut down before get an event of type ERROR.

        Raises InvalidRequestError from inside a callback of this worker.
        """
        self.link.check_thread()
        with self._changing:
            if self._is_shut:
                return
            self._is_shut = True
        if self.link.locks:
            self._end_when_unlocked()
        else:
            self.link.close()
        self._ended(SessionShutdownError("the PMP server was shut down, and the session with it"))

    def __del__(self) -> None:
        """Say so when it was forgotten, and let the worker go all the same."""
        if getattr(self, "link", None) is not None and not self._is_shut:
            warnings.warn(f"PMP worker {self.pid} was never shut down", ResourceWarning, source=self, stacklevel=2)
            self._is_shut = True
            self.link.abandon()

    def _end_when_unlocked(self) -> None:
        with suppress(DRMError):
            self.link.send(wire.Exit())
        threading.Thread(target=self._end_late, name="pmp-server-end", daemon=True).start()

    def _end_late(self) -> None:
        self.link.process.wait(_LOCKED_EXIT)
        self.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    # ------------------------------------------------------------------ for the sessions

    def attach(self, session: Attached, spec: wire.SessionSpec, begin: Callable[[int], None]) -> int:
        """Make a session in the worker for this proxy; return its number.

        `begin` is told the number before the worker can send anything. Raises what the worker raises.
        """
        self.link.check_thread()
        with self._creating:
            if self._is_shut:
                raise SessionShutdownError("the PMP server was shut down")
            if self.supply is not None:
                self._hand_over(self.supply)
            with self._changing:
                if self._is_shut:
                    raise SessionShutdownError("the PMP server was shut down")
                self._numbers = number = self._numbers + 1
                begin(number)
                self._sessions[number] = session
                self._attached.add(number)
            try:
                self.link.call(lambda call: wire.CreateSession(call, number, spec))
            except BaseException:
                with self._changing:
                    self._drop(number)
                raise
        return number

    def keep(self, number: int, session: Attached) -> None:
        """Keep the session alive until it is detached: somebody waits for what it says, and holds nothing of it."""
        with self._changing:
            if number in self._attached:
                self.link.kept[number] = session

    def detach(self, number: int) -> None:
        """End a session in the worker, and the worker with the last one. Raises nothing."""
        with self._changing:
            self._drop(number)
            is_last = not self._attached and not self._is_kept
        if not is_last or self.link.locks:
            try:
                self.link.call(lambda call: wire.Shutdown(call, number))
            except DRMError as error:  # the worker is gone, and the session with it
                logger.info("the end of session %d: %s", number, error.what)
        if is_last:
            self.shutdown()

    def abandon(self, number: int) -> None:
        """End a session that nobody holds any more, and wait for nothing."""
        with self._changing:
            self._drop(number)
            is_last = not self._attached and not self._is_kept
        if is_last and self.link.locks:  # it is the process that is held, whoever let go of what played in it
            self._is_shut = True
            self._end_when_unlocked()
        elif is_last:
            self._is_shut = True
            self.link.abandon()
        else:
            self.link.end_session(number)

    def _drop(self, number: int) -> None:
        self._sessions.pop(number, None)
        self._attached.discard(number)
        self.link.kept.pop(number, None)

    def _take(self, message: wire.FromWorker) -> None:
        if isinstance(message, wire.TrustChanged):
            self._report = msgspec.structs.replace(self._report, trust=message.trust)
            return
        number = getattr(message, "session", 0)
        session = self._sessions.get(number)
        if session is not None:
            session.take(message)
        elif not 0 < number <= self._numbers:
            raise WireError(f"the worker sends {type(message).__name__} of session {number}, which never was")

    def _ended(self, error: DRMError) -> None:
        for session in list(self._sessions.values()):
            session.worker_ended(error)

    def _load_components(self) -> None:
        if self.supply is not None:
            self._hand_over(self.supply)
            return
        bundle = pack_components(self.configuration.components)
        with _memfd(bundle) as fd:
            answer = self.link.call(lambda call: wire.LoadComponents(call, len(bundle), self._is_kept), [fd])
        self._report = msgspec.structs.replace(self._report, components=answer.digests)

    def _hand_over(self, supply: ComponentSupply) -> None:
        """Have the worker verify what is at hand now, unless it has verified that very thing.

        Raises TrustError, with the enabler that puts it right where there is one.
        """
        data = pack_snapshot(supply.snapshot())
        digest = hashlib.sha256(data).digest()
        if digest == self._handed:
            return
        try:
            with _memfd(data) as fd:
                answer = self.link.call(lambda call: wire.LoadTrust(call, len(data), self._is_kept), [fd])
        except TrustError as error:
            activate = error.enabler_activate
            error.enabler_activate = None
            if isinstance(activate, EnablerActivate) and activate.type in RENEWING:
                error.enabler_activate = renewal_activation(activate, supply)
            raise
        self._handed = digest
        self._report = msgspec.structs.replace(self._report, components=answer.digests, trust=answer.trust)


@contextmanager
def _memfd(data: bytes) -> Iterator[int]:
    fd = sealed_memfd("components", data)
    try:
        yield fd
    finally:
        os.close(fd)


def require_context(context: object, min_level: int, *, unprotected: bool) -> None:
    """Return when `context` is a server whose worker is what is asked for.

    Raises:
        InvalidArgumentError: it is no server, or its worker is protected and an unprotected one is wanted.
        IsolationError: its worker does not reach `min_level`.
    """
    if not isinstance(context, PMPServer):
        raise InvalidArgumentError("the server context is no PMP server", seen=type(context).__name__)
    if not unprotected:
        require(context.protection_report, min_level)
    elif not context.configuration.unprotected:
        raise InvalidArgumentError(
            "an unprotected process is asked for, and the server context's worker is a protected one",
            remedy="leave the flag or the server context out",
        )


@contextmanager
def _enough() -> Iterator[None]:
    """Say in one error that this process has run out of descriptors or memory; any other OSError is what it is."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
            raise
        raise DRMError(
            f"a worker cannot be made ready: {error.strerror}",
            remedy="close files and sockets that are not needed, or allow more of them (ulimit -n)",
        ) from None
