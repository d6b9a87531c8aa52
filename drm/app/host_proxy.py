"""Stands, in the application, for the PMP host of the worker (IMFPMPHost; other half: drm/pmp/host_service.py)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from drm.app.worker_link import WorkerLink
from drm.errors import DRMError, InvalidArgumentError, WireError
from drm.wire import messages as wire
from drm.wire.messages import MAX_INLINE, RemoteObject

__all__ = ["HostProxy"]


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


def _refuse_large(stream: bytes) -> None:
    if len(stream) > MAX_INLINE:
        raise InvalidArgumentError(f"initialization data of {len(stream)} bytes is over the limit of {MAX_INLINE}")


def _made(answer: wire.Returned) -> RemoteObject:
    if answer.object is None:
        raise WireError("the worker made an object and did not name it")
    return answer.object
