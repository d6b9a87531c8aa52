"""Serves PMPHost.create_object: objects by class id, made out of verified bytes, named by ids that are never reused."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from drm.component import InputTrustAuthority, ProtectedEnvironment
from drm.errors import DRMError, TrustError, UnknownComponentError
from drm.hresult import HResult
from drm.loader import Loader
from drm.wire.messages import MAX_INLINE, RemoteObject

__all__ = ["HostService"]

_MAX_OBJECTS: Final = 256  # that an application may hold at once


class HostService:
    """The worker's table of objects, and its way to make them. Also the session's `ComponentHost`."""

    def __init__(self, environment: ProtectedEnvironment) -> None:
        self._environment = environment
        self._loader: Loader | None = None
        self._objects: dict[int, object] = {}
        self._next_id = 1

    def load(self, loader: Loader) -> None:
        """Take the components of this worker, once. Raises TrustError the second time."""
        if self._loader is not None:
            raise TrustError("the components of a worker are loaded once")
        self._loader = loader

    def create(self, class_id: UUID) -> object:
        """Return a new instance of the component. Raises UnknownComponentError or TrustError."""
        if self._loader is None:
            raise UnknownComponentError(f"no components are loaded, and {class_id} is asked for")
        made: object = self._loader.create(class_id)
        set_environment = getattr(made, "set_environment", None)
        if set_environment is not None:
            set_environment(self._environment)
        return made

    def create_object(self, class_id: UUID, stream: bytes) -> RemoteObject:
        """Make an object for the application and let it load `stream` before it is returned.

        Raises:
            UnknownComponentError, TrustError: as `create`.
            DRMError: there are too many, or it has no `load`, or its load failed.
        """
        if len(self._objects) >= _MAX_OBJECTS:
            raise DRMError(f"an application holds {_MAX_OBJECTS} objects at most")
        if len(stream) > MAX_INLINE:
            raise DRMError(f"initialization data of {len(stream)} bytes is over the limit of {MAX_INLINE}")
        made = self.create(class_id)
        load = getattr(made, "load", None)
        if load is None:
            raise DRMError(f"{class_id} cannot load a stream", hresult=HResult.E_NOINTERFACE)
        load(stream)
        object_id, self._next_id = self._next_id, self._next_id + 1
        self._objects[object_id] = made
        return RemoteObject(object_id, class_id)

    def authority(self, object_id: int) -> InputTrustAuthority:
        """Return the input trust authority with this id. Raises DRMError when the id names none."""
        found = self._objects.get(object_id)
        if found is None or not hasattr(found, "request_access"):
            raise DRMError(f"object {object_id} is no input trust authority", hresult=HResult.E_NOINTERFACE)
        return found  # type: ignore[return-value]  # components come from bytes: their class is not known here
