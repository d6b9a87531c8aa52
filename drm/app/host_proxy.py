"""Stands, in the application, for the PMP host of the worker (IMFPMPHost; other half: drm/pmp/host_service.py)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from drm.errors import InvalidArgumentError, WireError
from drm.wire.messages import MAX_INLINE, CreateObject, FromApp, RemoteObject, Returned

__all__ = ["HostProxy"]


class HostProxy:
    """Creates objects inside the worker."""

    def __init__(self, call: Callable[[Callable[[int], FromApp]], Returned]) -> None:
        """`call` sends the message made for a call number and returns the answer, or raises what came instead."""
        self._call = call

    def create_object(self, class_id: UUID, stream: bytes | None = None) -> RemoteObject:
        """Make an object of `class_id` in the worker and let it load `stream`.

        Raises:
            UnknownComponentError: no component has this class id.
            TrustError: its files are not those of the manifest.
            InvalidArgumentError: `stream` is too large, or the object cannot read it.
        """
        data = stream or b""
        if len(data) > MAX_INLINE:
            raise InvalidArgumentError(f"initialization data of {len(data)} bytes is over the limit of {MAX_INLINE}")
        answer = self._call(lambda call: CreateObject(call, class_id, data))
        if answer.object is None:
            raise WireError("the worker made an object and did not name it")
        return answer.object
