"""The proxy of a Media Session that lives in a PMP worker (other half: drm/pmp/session_service.py).

`create_pmp_media_session` is MFCreatePMPMediaSession. The proxy takes commands and gives events; keys and clear
samples never come back over it.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import msgspec

from drm.app.bundle import pack_components
from drm.app.device_key import open_device_key
from drm.app.enabler import ContentProtectionManager, EnablerActivation
from drm.app.host_proxy import HostProxy
from drm.app.process import PMPProcess
from drm.app.source_service import SourceService
from drm.app.worker_link import WorkerLink
from drm.component import MediaSource, PMPClient
from drm.errors import DRMError, InvalidRequestError, KeyMissingError, SessionShutdownError, WireError
from drm.hresult import HResult
from drm.protection import ProtectionReport, require
from drm.rights import LicensePath
from drm.session.events import EventQueue, MediaEvent, MediaEventType
from drm.session.topology import Topology
from drm.wire import messages as wire
from drm.wire.ring import sealed_memfd

__all__ = ["MediaSessionProxy", "PMPSessionFlags", "SessionConfiguration", "create_pmp_media_session"]


class PMPSessionFlags(enum.IntFlag):
    """MFPMPSESSION_CREATION_FLAGS."""

    UNPROTECTED_PROCESS = 1  # isolated, not locked down: plays clear content only


_PROTECTED: Final = PMPSessionFlags(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfiguration:
    """How a session is made; every limit bounds what an unsound peer can cost."""

    content_protection_manager: ContentProtectionManager | None = None
    min_level: int = 1  # isolation level below which creation fails
    engine: str = "cryptography"  # cipher engine of the worker
    dialects: tuple[str, ...] = ()  # readings of Common Encryption that the worker's decrypters follow
    sealed: bool = True  # ask for sealed licenses, which needs a device key
    start_timeout: float = 20.0  # seconds until the worker is locked down
    call_timeout: float = 20.0  # seconds for one call into the worker
    stall_timeout: float = 20.0  # seconds without a sign of life after which the worker is ended


def create_pmp_media_session(
    flags: PMPSessionFlags = _PROTECTED, configuration: SessionConfiguration | None = None
) -> MediaSessionProxy:
    """Start a PMP worker with a Media Session in it and return the session's proxy (MFCreatePMPMediaSession).

    Raises:
        IsolationError: this machine does not give the level that is demanded.
        TrustError: a component is not what its manifest says.
        PMPProcessDiedError: the worker did not come up.
    """
    return MediaSessionProxy(flags, configuration or SessionConfiguration())


class MediaSessionProxy:
    """A session in another process. Use it as a context manager: leaving it shuts the worker down."""

    def __init__(self, flags: PMPSessionFlags, configuration: SessionConfiguration) -> None:
        unprotected = bool(flags & PMPSessionFlags.UNPROTECTED_PROCESS)
        self._manager = configuration.content_protection_manager
        self._queue = EventQueue()
        self._source: SourceService | None = None
        self.license_paths: list[LicensePath] = []
        process = _launch(configuration, unprotected=unprotected)
        self._link = WorkerLink(
            process, self._take, self._ended, configuration.call_timeout, configuration.stall_timeout
        )
        try:
            self._report = self._link.wait_ready(configuration.start_timeout)
            if not unprotected:
                require(self._report, configuration.min_level)
            self._report = msgspec.structs.replace(self._report, components=self._load_components())
        except BaseException:
            self.shutdown()
            raise

    # ------------------------------------------------------------------ IMFMediaSession

    def set_topology(self, topology: Topology[MediaSource]) -> None:
        """Send a partial topology to the worker: SESSION_TOPOLOGY_SET tells how it went.

        A source that is a `PMPClient` is told its host first, and makes its trust authorities inside the worker.

        Raises:
            TopologyError, InvalidArgumentError: it can be seen at once that it is not complete.
            DRMError: what the source, or an object that it made in the worker, raised.
        """
        source = topology.check()
        if self._source is not None:
            raise InvalidRequestError("this session has a topology already")
        # An unprotected worker gets no authority: it refuses protected streams before anything is asked of anybody.
        authorities = self._authorities(topology, source) if self._report.level > 0 else {}
        sinks = topology.sinks()
        branches = tuple(
            wire.BranchSpec(
                branch.stream,
                authorities.get(branch.stream.track.track_id, 0),
                tuple(sinks.index(sink) for sink in branch.outputs),
            )
            for branch in topology.branches
        )
        fds = [sink.descriptor for sink in sinks if sink.descriptor is not None]
        specs = []
        for sink in sinks:
            index = -1 if sink.descriptor is None else fds.index(sink.descriptor)
            specs.append(wire.SinkSpec(sink.class_id, sink.encoded_options(), index))
        self._source = SourceService(source, [branch.stream for branch in topology.branches], self._link.send)
        self._link.send(wire.SetTopology(wire.TopologySpec(topology.topology_id, branches, tuple(specs))), fds)
        self._source.start()

    def start(self) -> None:
        """Play: SESSION_STARTED."""
        self._link.send(wire.Start())

    def pause(self) -> None:
        """Stand still: SESSION_PAUSED."""
        self._link.send(wire.Pause())

    def stop(self) -> None:
        """Stop: SESSION_STOPPED."""
        self._link.send(wire.Stop())

    def close(self) -> None:
        """End everything: SESSION_CLOSED, the last event."""
        self._link.send(wire.Close())

    def shutdown(self) -> None:
        """End the worker and release everything. Blocks until it is gone; idempotent; raises nothing."""
        self._link.close()
        if self._source is not None:
            self._source.close()
        self._queue.shutdown()

    # ------------------------------------------------------------------ IMFMediaEventGenerator

    def get_event(self, *, wait: bool = True, timeout: float | None = None) -> MediaEvent:
        """Return the next event (drm.session.events.EventQueue.get_event)."""
        return self._queue.get_event(wait=wait, timeout=timeout)

    def events(self) -> Iterator[MediaEvent]:
        """Iterate over events until SESSION_CLOSED, or until the session is shut down."""
        return self._queue.events()

    def queue_event(self, event: MediaEvent) -> None:
        """Put an event of one's own into the queue."""
        self._queue.queue_event(event)

    # ------------------------------------------------------------------ more of the session

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._link.process.pid

    @property
    def protection_report(self) -> ProtectionReport:
        """What the worker probed, with the components that it verified and how its keys came."""
        return msgspec.structs.replace(self._report, license_path=self.license_path.value)

    @property
    def license_path(self) -> LicensePath:
        """How the keys came: the weakest way, when streams differ."""
        order = (LicensePath.LOCAL, LicensePath.CLEAR, LicensePath.SEALED)
        return next((path for path in order if path in self.license_paths), LicensePath.NONE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()

    # ------------------------------------------------------------------ parts

    def _load_components(self) -> dict[str, str]:
        bundle = pack_components()
        fd = sealed_memfd("components", bundle)
        try:
            return self._link.call(lambda call: wire.LoadComponents(call, len(bundle)), [fd]).digests
        finally:
            os.close(fd)

    def _authorities(self, topology: Topology[MediaSource], source: MediaSource) -> dict[int, int]:
        """Let the source make its trust authorities in the worker: stream id to object id."""
        if isinstance(source, PMPClient):
            source.set_pmp_host(HostProxy(self._link.call))
        made = {}
        for branch in topology.branches:
            if branch.stream.is_protected:
                stream_id = branch.stream.track.track_id
                authority = source.get_input_trust_authority(stream_id)
                if authority is not None:
                    made[stream_id] = authority.object_id
        return made

    # ------------------------------------------------------------------ on the reader's thread

    def _take(self, message: wire.FromWorker) -> None:
        match message:
            case wire.Event():
                self._event(message)
            case wire.NeedSamples() | wire.SelectStreams() if self._source is not None:
                self._source.request(message)
            case wire.BeginEnableContent():
                self._begin_enable_content(message)
            case _:
                raise WireError(f"the worker sends {type(message).__name__} when nothing of the kind is due")

    def _event(self, message: wire.Event) -> None:
        path = message.values.get("license_path")
        if message.kind == MediaEventType.LICENSE_ACQUISITION_COMPLETED and isinstance(path, str):
            with suppress(ValueError):
                self.license_paths.append(LicensePath(path))
        self._queue_quietly(MediaEvent(message.kind, message.status, message.values, message.error))

    def _ended(self, error: DRMError) -> None:
        self._queue_quietly(MediaEvent(MediaEventType.ERROR, error.hresult, {}, error.to_record()))

    def _queue_quietly(self, event: MediaEvent) -> None:
        with suppress(SessionShutdownError):
            self._queue.queue_event(event)

    def _begin_enable_content(self, message: wire.BeginEnableContent) -> None:
        manager = self._manager
        try:
            if manager is None:
                kids = ", ".join(str(kid) for kid in message.activate.key_ids)
                raise KeyMissingError(
                    f"no key for KID {kids}",
                    seen="the content is protected, and neither keys nor a license server were given",
                    remedy="--key KID:KEY, --keys-file FILE or --license-url URL",
                    kids=tuple(str(kid) for kid in message.activate.key_ids),
                    hresult=HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER,
                )

            def called_back(done: EnablerActivation) -> None:
                manager.end_enable_content(done)
                self._finish_enabling(message.ticket, done)

            with self._link.calling_back():
                manager.begin_enable_content(EnablerActivation(message.activate, self._queue_quietly), called_back)
        except DRMError as error:
            self._answer(wire.EnablerFailed(message.ticket, error.to_record()))
        except Exception as error:  # noqa: BLE001 - the application's own manager; the session must not wait for it
            fault = DRMError(f"the content protection manager failed: {type(error).__name__}: {error}")
            self._answer(wire.EnablerFailed(message.ticket, fault.to_record()))

    def _finish_enabling(self, ticket: int, activation: EnablerActivation) -> None:
        outcome = activation.activate_object().outcome
        if isinstance(outcome, DRMError):
            self._answer(wire.EnablerFailed(ticket, outcome.to_record()))
            return
        path, answer = outcome
        if len(answer) <= wire.MAX_INLINE:
            self._answer(wire.EnablerAnswer(ticket, path, answer, len(answer)))
            return
        fd = sealed_memfd("license", answer)
        try:
            self._answer(wire.EnablerAnswer(ticket, path, b"", len(answer)), [fd])
        finally:
            os.close(fd)

    def _answer(self, message: wire.FromApp, fds: list[int] | None = None) -> None:
        with suppress(DRMError):  # the worker is gone, and the reader says so
            self._link.send(message, fds or ())


def _launch(configuration: SessionConfiguration, *, unprotected: bool) -> PMPProcess:
    device_key = open_device_key() if configuration.sealed and not unprotected else None
    try:
        return PMPProcess(
            device_key_fd=device_key,
            unprotected=unprotected,
            engine=configuration.engine,
            dialects=configuration.dialects,
            demanded_level=0 if unprotected else configuration.min_level,
        )
    finally:
        if device_key is not None:
            os.close(device_key)
