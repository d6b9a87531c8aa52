"""Serves PMPHost.create_object: objects by class id, made out of verified bytes, named by ids that are never reused."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from drm.component import InputTrustAuthority, ProtectedEnvironment
from drm.errors import DRMError
from drm.hresult import HResult
from drm.loader import Loader
from drm.pmp.object_ids import ObjectIds
from drm.wire.messages import MAX_INLINE, RemoteObject

__all__ = ["INTERFACES", "HostService"]

_MAX_OBJECTS: Final = 256  # that an application may hold at once

INTERFACES: Final[dict[str, tuple[str, ...]]] = {
    "InputTrustAuthority": ("request_access", "get_decrypter", "bind_access"),
    "Sink": ("open", "write", "finish"),
    "Transform": ("process", "flush"),
    "Decoder": ("open", "decode", "drain"),
}
"""What an object has that keeps the protocol of this name: the interface ids of `create_object`."""


class HostService:
    """One session's table of objects, and its way to make them. Also the session's `ComponentHost`."""

    def __init__(self, loader: Loader, environment: ProtectedEnvironment, ids: ObjectIds) -> None:
        self._loader = loader
        self._environment = environment
        self._ids = ids
        self._objects: dict[int, object] = {}

    def create(self, class_id: UUID) -> object:
        """Return a new instance of the component. Raises UnknownComponentError or TrustError."""
        made: object = self._loader.create(class_id)
        set_environment = getattr(made, "set_environment", None)
        if set_environment is not None:
            set_environment(self._environment)
        return made

    def create_object(self, class_id: UUID, stream: bytes | None, interface: str) -> RemoteObject:
        """Make an object for the application and let it load `stream` before it is returned.

        Raises:
            UnknownComponentError, TrustError: as `create`.
            DRMError: there are too many, or it has no `load`, or its load failed, or it does not keep `interface`
                (E_NOINTERFACE).
        """
        if len(self._objects) >= _MAX_OBJECTS:
            raise DRMError(f"an application holds {_MAX_OBJECTS} objects at most")
        if stream is not None and len(stream) > MAX_INLINE:
            raise DRMError(f"initialization data of {len(stream)} bytes is over the limit of {MAX_INLINE}")
        made = self.create(class_id)
        wanted = INTERFACES.get(interface, (interface,)) if interface else ()
        if not all(hasattr(made, member) for member in wanted):
            raise DRMError(f"{class_id} does not keep {interface}", hresult=HResult.E_NOINTERFACE)
        if stream is not None:
            load = getattr(made, "load", None)
            if load is None:
                raise DRMError(f"{class_id} cannot load a stream", hresult=HResult.E_NOINTERFACE)
            load(stream)
        object_id = self._ids.take()
        self._objects[object_id] = made
        return RemoteObject(object_id, class_id)

    def release(self, object_id: int) -> None:
        """The application holds it no more; whoever uses it keeps it alive."""
        self._objects.pop(object_id, None)

    def authority(self, object_id: int) -> InputTrustAuthority:
        """Return the input trust authority with this id. Raises DRMError when the id names none."""
        found = self._objects.get(object_id)
        if found is None or not hasattr(found, "request_access"):
            raise DRMError(f"object {object_id} is no input trust authority", hresult=HResult.E_NOINTERFACE)
        return found  # type: ignore[return-value]  # components come from bytes: their class is not known here
