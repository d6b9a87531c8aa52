"""Serves the application: the worker's control thread, its components, its sessions and its end (IMFPMPServer).

The control thread reads the channel and never decodes media, so that it answers while a long decode runs.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from drm.errors import (
    DRMError,
    InvalidRequestError,
    SessionShutdownError,
    TrustError,
    UnknownComponentError,
    WireError,
)
from drm.loader import Loader
from drm.pmp.component_trust import ComponentTrust
from drm.pmp.environment import Environment
from drm.pmp.host_service import HostService, ObjectIds
from drm.pmp.last_words import last_words
from drm.pmp.session_service import SessionService
from drm.protection import ProtectionReport, TrustReport
from drm.rights.enablers import EnablerActivate
from drm.session import progress
from drm.trust.snapshot import MAX_SNAPSHOT
from drm.wire import messages as wire
from drm.wire.channel import Channel, close_all, worker_channel
from drm.wire.ring import read_memfd
from drm.worker_memory import is_out_of_memory, memory_error

__all__ = ["WorkerOptions", "serve"]

logger = logging.getLogger(__name__)

_MAX_SESSIONS: Final = 64  # at a time
_MAX_DEVICE_KEY: Final = 4096  # bytes
_LOCKED_EXIT: Final = 3.0  # seconds that held locks delay the end

_TAKES_FDS: Final = (
    wire.DeviceKey, wire.LoadComponents, wire.LoadTrust, wire.SetTopology, wire.AttachRing, wire.EnablerAnswer,
    wire.CreateSource,
)  # fmt: skip
_CALLS: Final = (
    wire.LoadComponents
    | wire.LoadTrust
    | wire.CreateSession
    | wire.LockProcess
    | wire.CreateObject
    | wire.ActivateClass
    | wire.Query
    | wire.Shutdown
)

_Handler = Callable[[Any, Sequence[int]], None]


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What the worker was started with, and what its lock-down found."""

    report: ProtectionReport
    tracer: Callable[[], int]  # the process id of whoever traces this one now, or 0; asked before each license
    engine: str = "cryptography"
    pinned_root: bytes | None = None  # of the components, read from this package before the lock
    takes_roots: bool = True  # whether the application may hand over another one, which makes all test-signed
    device_key: bytes | None = None  # of the service's account; None: the application may send its own


def serve(channel_fd: int, options: WorkerOptions) -> None:
    """Serve sessions until the application has no need of them or is gone. Runs locked down."""
    channel = worker_channel(socket.socket(fileno=channel_fd))
    try:
        channel.send(wire.Ready(options.report))
        WorkerService(channel, options).run()
    except DRMError as error:
        # No traceback: the application broke the protocol or ended, and neither is a fault of this code.
        logger.warning("the channel to the application failed: %s", error.what)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        last_words(memory_error())
    finally:
        channel.close()


class WorkerService:
    """Turns messages into calls; those of a session go to the session's own service."""

    def __init__(self, channel: Channel[wire.FromApp, wire.FromWorker], options: WorkerOptions) -> None:
        self._channel = channel
        self._options = options
        self._device_key = options.device_key
        self._loader: Loader | None = None
        self._trust: ComponentTrust | None = None
        self._ids = ObjectIds()
        self._host: HostService | None = None  # of objects that belong to no session
        self._sessions: dict[int, SessionService] = {}
        self._last_session = 0
        self._locks = 0
        self._leaving = False
        self._on: dict[type, _Handler] = {
            wire.DeviceKey: self._take_device_key,
            wire.LoadComponents: self._load_components,
            wire.LoadTrust: self._load_trust,
            wire.CreateSession: self._create_session,
            wire.LockProcess: self._lock_process,
            wire.CreateObject: self._create_object,
            wire.ActivateClass: self._activate_class,
            wire.ReleaseObject: self._release_object,
            wire.Shutdown: self._shutdown,
            wire.Exit: self._exit,
            wire.Ping: lambda message, _fds: self._channel.send(wire.Returned(message.call, value=progress.steps)),
        }

    def run(self) -> None:
        """Read messages until it is time to go, or the application closes its end."""
        try:
            while not self._is_done() and (received := self._channel.receive()) is not None:
                message, fds = received
                if fds and not isinstance(message, _TAKES_FDS):
                    close_all(fds)
                    raise WireError(f"descriptors came beside {type(message).__name__}")
                self._handle(message, fds)
        finally:
            for session in list(self._sessions.values()):
                session.shutdown()

    def _is_done(self) -> bool:
        return self._leaving and self._locks == 0

    def _handle(self, message: wire.FromApp, fds: Sequence[int]) -> None:
        handler = self._on.get(type(message))
        try:
            if handler is not None:
                handler(message, fds)
            elif (session := self._session(message)) is not None:
                session.take(message, fds)
            else:
                close_all(fds)  # it was under way when its session ended
                if isinstance(message, _CALLS):
                    raise SessionShutdownError("the session was shut down")
        except WireError:
            raise
        except DRMError as error:
            if not isinstance(message, _CALLS):
                raise
            enabler = error.enabler_activate if isinstance(error, TrustError) else None
            enabler = enabler if isinstance(enabler, EnablerActivate) else None
            self._channel.send(wire.Raised(message.call, error.to_record(), enabler))

    def _session(self, message: wire.FromApp) -> SessionService | None:
        """The session that the message is about; None: it was shut down. Raises WireError: it never was."""
        number = getattr(message, "session", 0)
        if not 0 < number <= self._last_session:
            raise WireError(f"{type(message).__name__} is about session {number}, which never was")
        return self._sessions.get(number)

    # ------------------------------------------------------------------ components and objects

    def _take_device_key(self, _message: wire.DeviceKey, fds: Sequence[int]) -> None:
        try:
            if len(fds) != 1 or self._device_key is not None or self._loader is not None:
                raise WireError("the device key comes once, before all else, in one descriptor")
            self._device_key = os.pread(fds[0], _MAX_DEVICE_KEY, 0) or None
        except OSError as error:
            raise WireError(f"the device key cannot be read: {error.strerror}") from None
        finally:
            close_all(fds)

    def _load_components(self, message: wire.LoadComponents, fds: Sequence[int]) -> None:
        data = _received(message, fds)
        if self._options.report.level > 0:
            raise TrustError(
                "a protected worker runs signed components alone, and these are not signed",
                remedy="hand it the metadata that vouches for them",
            )
        self._refuse_loaded()
        self._take(Loader.from_bundle(data), message)

    def _load_trust(self, message: wire.LoadTrust, fds: Sequence[int]) -> None:
        data = _received(message, fds)
        if self._trust is not None:
            self._trust.renew(data)
            assert self._loader is not None
            self._channel.send(wire.Returned(message.call, digests=self._loader.digests(), trust=self._trust.report()))
            return
        self._refuse_loaded()
        trust = ComponentTrust(self._options.pinned_root, takes_roots=self._options.takes_roots)
        loaded = trust.load(data)
        loader = Loader(loaded.components, loaded.refused)
        self._trust = trust
        self._take(loader, message)

    def _refuse_loaded(self) -> None:
        if self._loader is not None:
            raise TrustError("the components of a worker are loaded once")

    def _take(self, loader: Loader, message: wire.LoadComponents | wire.LoadTrust) -> None:
        self._loader = loader
        self._host = HostService(loader, self._environment(loader, ()), self._ids)
        digests = loader.digests()
        trust = self._trust.report() if self._trust is not None else None
        self._channel.send(wire.Returned(message.call, digests=digests, trust=trust))
        if message.are_warmed:
            for name in digests:
                with suppress(DRMError):  # whoever needs it is told then
                    loader.component_class(loader.class_id(name))

    def _environment(self, loader: Loader, dialects: tuple[str, ...]) -> Environment:
        options = self._options
        return Environment(
            options.report,
            self._device_key,
            options.engine,
            dialects,
            loader.digests(),
            options.tracer,
            self._trust_report,
        )

    def _trust_report(self) -> TrustReport | None:
        return self._trust.report() if self._trust is not None else None

    def _create_object(self, message: wire.CreateObject, _fds: Sequence[int]) -> None:
        made = self._host_of(message).create_object(message.class_id, message.stream, message.interface)
        self._channel.send(wire.Returned(message.call, made))

    def _activate_class(self, message: wire.ActivateClass, _fds: Sequence[int]) -> None:
        made = self._host_of(message).activate_class(message.name, message.stream, message.interface)
        self._channel.send(wire.Returned(message.call, made))

    def _host_of(self, message: wire.CreateObject | wire.ActivateClass) -> HostService:
        if message.session:
            if (session := self._session(message)) is None:
                raise SessionShutdownError("the session was shut down")
            return session.host
        if self._host is None:
            raise UnknownComponentError("no components are loaded, and an object is asked for")
        return self._host

    def _release_object(self, message: wire.ReleaseObject, _fds: Sequence[int]) -> None:
        if message.session == 0:
            if self._host is not None:
                self._host.release(message.object_id)
        elif (session := self._session(message)) is not None:
            session.host.release(message.object_id)

    # ------------------------------------------------------------------ sessions and the process

    def _create_session(self, message: wire.CreateSession, _fds: Sequence[int]) -> None:
        if self._loader is None:
            raise UnknownComponentError("no components are loaded, and a session is asked for")
        if message.session <= self._last_session:
            raise WireError(f"session {message.session} was there before")
        if len(self._sessions) >= _MAX_SESSIONS:
            raise DRMError(f"a worker serves {_MAX_SESSIONS} sessions at once")
        self._last_session = message.session
        environment = self._environment(self._loader, message.spec.dialects)
        host = HostService(self._loader, environment, self._ids)
        self._sessions[message.session] = SessionService(
            message.session, message.spec, self._channel, host, environment.level, self._trust
        )
        self._channel.send(wire.Returned(message.call))

    def _shutdown(self, message: wire.Shutdown, _fds: Sequence[int]) -> None:
        session = self._session(message)
        if session is None:
            raise SessionShutdownError("the session was shut down")
        # On a thread of its own: the session may be in the middle of a decode, and others wait to be answered.
        ending = threading.Thread(target=self._end, args=(session, message.call), name="session-end", daemon=True)
        del self._sessions[message.session]
        ending.start()

    def _end(self, session: SessionService, call: int) -> None:
        try:
            session.shutdown()
        finally:
            try:
                self._channel.send(wire.Returned(call))
            except WireError as gone:
                logger.info("nobody waits for the end of a session: %s", gone.what)

    def _lock_process(self, message: wire.LockProcess, _fds: Sequence[int]) -> None:
        if message.unlock and self._locks == 0:
            raise InvalidRequestError("the process is not locked")
        self._locks += -1 if message.unlock else 1
        self._channel.send(wire.Returned(message.call, value=self._locks))

    def _exit(self, _message: wire.Exit, _fds: Sequence[int]) -> None:
        if self._leaving:
            return
        self._leaving = True
        if self._locks:
            for session in self._sessions.values():  # it is the process that is held, not what plays in it
                threading.Thread(target=session.shutdown, name="session-end", daemon=True).start()
            self._sessions.clear()
            timer = threading.Timer(_LOCKED_EXIT, self._channel.close)
            timer.daemon = True
            timer.start()


def _received(message: wire.LoadComponents | wire.LoadTrust, fds: Sequence[int]) -> bytes:
    """What came in the descriptor. Raises TrustError: nothing runs yet that a broken message could have harmed."""
    try:
        if len(fds) != 1:
            raise WireError("the components come in one descriptor")
        return read_memfd(fds[0], message.size, MAX_SNAPSHOT)
    except WireError as error:
        raise TrustError(error.what) from None
    finally:
        close_all(fds)
