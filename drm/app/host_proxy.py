"""Stands, in the application, for the PMP host of the worker (IMFPMPHost; other half: drm/pmp/host_service.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from drm.errors import DRMError, InvalidArgumentError, WireError
from drm.wire.messages import MAX_INLINE, CreateObject, FromApp, LockProcess, RemoteObject, Returned

__all__ = ["HostProxy"]


class HostProxy:
    """Creates objects inside the worker."""

    def __init__(self, call: Callable[[Callable[[int], FromApp]], Returned], session: int = 0) -> None:
        """`call` sends the message made for a call number and returns the answer, or raises what came instead.

        Objects are made in the environment of `session`; 0: of none.
        """
        self._call = call
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
        if stream is not None and len(stream) > MAX_INLINE:
            raise InvalidArgumentError(f"initialization data of {len(stream)} bytes is over the limit of {MAX_INLINE}")
        answer = self._call(lambda call: CreateObject(call, self._session, class_id, stream, interface))
        if answer.object is None:
            raise WireError("the worker made an object and did not name it")
        return answer.object

    def lock_process(self) -> None:
        """Hold the worker back from ending, for three seconds at most."""
        self._call(LockProcess)

    def unlock_process(self) -> None:
        """Take one lock back. Raises DRMError when none is held."""
        self._call(lambda call: LockProcess(call, unlock=True))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock inside a `with`."""
        self.lock_process()
        try:
            yield
        finally:
            with suppress(DRMError):
                self.unlock_process()
