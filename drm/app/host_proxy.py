"""Stands, in the application, for the PMP host of the worker (IMFPMPHost; other half: drm/pmp/host_service.py).

And for what gives it: the remote proxy of a session (IMFRemoteProxy), which names the session in the worker and the
host beside it. In remote source mode the host's source resolver is more than a reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final
from uuid import UUID

from drm.app.remote_mode.sources import RemoteSources
from drm.app.source_resolver import SourceResolver
from drm.app.worker_link import WorkerLink
from drm.class_ids import SOURCE_RESOLVER
from drm.errors import DRMError, InterfaceError, InvalidArgumentError, WireError
from drm.wire import messages as wire
from drm.wire.messages import MAX_INLINE, RemoteObject

__all__ = ["HostProxy", "RemoteProxy", "RemoteSourceHost"]

_SESSION: Final = frozenset({"MediaSession", "MediaEventGenerator"})  # protocols of the session in the worker


class HostProxy:
    """Creates objects inside the worker. Each call blocks; from inside a callback it raises InvalidRequestError."""

    def __init__(self, link: WorkerLink, session: int = 0) -> None:
        """Objects are made in the environment of `session`, and are its own; 0: of none."""
        self._link = link
        self._session = session

    def create_object(self, class_id: UUID, stream: bytes | None = None, interface: str = "") -> RemoteObject:
        """Make an object of `class_id` in the worker and let it load `stream`, if one is given.

        `interface` is the protocol that it must keep, by name (IMFPMPHost's riid): "InputTrustAuthority", "Sink",
        "Transform", "Decoder".

        Raises:
            UnknownComponentError: no component has this class id.
            TrustError: its files are not those of the manifest.
            DRMError: it does not keep `interface` (E_NOINTERFACE).
            InvalidArgumentError: `stream` is too large, or the object cannot read it.
        """
        if stream is not None:
            _refuse_large(stream)
        return _made(self._link.call(lambda call: wire.CreateObject(call, self._session, class_id, stream, interface)))

    def activate_class(self, name: str, stream: bytes, interface: str = "") -> RemoteObject:
        """Make an object by the name of its class, and let it load what `stream` says (IMFPMPHostApp).

        `name` is that of a component ("clearkey-ita"), or a class id as text; `stream` an encoded
        `drm.rights.initialization_stream.InitializationStream` with one record, which is what the object loads.

        Raises:
            InvalidArgumentError: the stream is not sound, of another protection system, or has several records.
            DRMError: as `create_object`.
        """
        _refuse_large(stream)
        return _made(self._link.call(lambda call: wire.ActivateClass(call, self._session, name, stream, interface)))

    def release_object(self, made: RemoteObject) -> None:
        """The object is needed no more; a topology that uses it keeps it."""
        self._link.send(wire.ReleaseObject(self._session, made.object_id))

    def lock_process(self) -> None:
        """Hold the worker back from ending, for three seconds at most."""
        self._link.lock_process()

    def unlock_process(self) -> None:
        """Take one lock back. Raises InvalidRequestError when none is held."""
        self._link.lock_process(unlock=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock inside a `with`."""
        self.lock_process()
        try:
            yield
        finally:
            with suppress(DRMError):
                self.unlock_process()


class RemoteSourceHost:
    """A `HostProxy` whose `create_object(SOURCE_RESOLVER)` returns a `SourceResolver`."""

    def __init__(self, host: HostProxy, remote: RemoteSources) -> None:
        self._host = host
        self._remote = remote
        self.activate_class = host.activate_class
        self.release_object = host.release_object
        self.lock_process = host.lock_process
        self.unlock_process = host.unlock_process
        self.locked = host.locked

    def create_object(
        self, class_id: UUID, stream: bytes | None = None, interface: str = ""
    ) -> RemoteObject | SourceResolver:
        """Make an object in the worker (HostProxy.create_object); of CLSID_MFSourceResolver, return its proxy."""
        made = self._host.create_object(class_id, stream, interface)
        return SourceResolver(made, self._remote) if class_id == SOURCE_RESOLVER else made


class RemoteProxy:
    """What a session's `get_service(REMOTE_PROXY)` gives. Each call blocks."""

    def __init__(self, link: WorkerLink, session: int) -> None:
        self._link = link
        self._session = session

    def get_remote_object(self, interface: str = "MediaSession") -> RemoteObject:
        """Return a reference to the session in the worker: the same one each time.

        It says which object this is the proxy of, and nothing can be done with it here: what the session does, it does
        for its proxy alone. Raises InterfaceError (E_NOINTERFACE) for a protocol that a session does not keep.
        """
        if interface not in _SESSION:
            raise InterfaceError(f"a session in a worker does not keep {interface}")
        answer = self._link.call(lambda call: wire.Query(call, self._session, "remote-object"))
        if answer.object is None:
            raise WireError("the worker does not name the session")
        return answer.object

    def get_remote_host(self, interface: str = "PMPHost") -> HostProxy:
        """Return the PMP host of the session. Raises InterfaceError (E_NOINTERFACE)."""
        if interface != "PMPHost":
            raise InterfaceError(f"the host of a session does not keep {interface}")
        return HostProxy(self._link, self._session)


def _refuse_large(stream: bytes) -> None:
    if len(stream) > MAX_INLINE:
        raise InvalidArgumentError(f"initialization data of {len(stream)} bytes is over the limit of {MAX_INLINE}")


def _made(answer: wire.Returned) -> RemoteObject:
    if answer.object is None:
        raise WireError("the worker made an object and did not name it")
    return answer.object
