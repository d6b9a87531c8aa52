"""Serves PMPHost.create_object: objects by class id, made out of verified bytes, named by ids that are never reused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Final
from uuid import UUID

from drm.component import InputTrustAuthority, ProtectedEnvironment
from drm.errors import DRMError, InterfaceError, InvalidArgumentError
from drm.loader import Loader
from drm.rights.initialization_stream import CLEAR_KEY_SYSTEM, InitializationStream
from drm.session.pipeline import component_failed
from drm.wire.messages import MAX_INLINE, RemoteObject

__all__ = ["INTERFACES", "HostService", "ObjectIds"]

_MAX_OBJECTS: Final = 256  # that an application may hold at once

INTERFACES: Final[dict[str, tuple[str, ...]]] = {
    "InputTrustAuthority": ("request_access", "get_decrypter", "bind_access"),
    "Sink": ("open", "write", "finish"),
    "Transform": ("process", "flush"),
    "Decoder": ("open", "decode", "drain"),
    "QualityManager": ("is_dropped",),
    "CustomLoader": ("load_topology",),
}
"""What an object has that keeps the protocol of this name: the interface ids of `create_object`."""


class ObjectIds:
    """Ids of objects that an application may name: one series for a worker, none used twice. For the control thread."""

    def __init__(self) -> None:
        self._next = itertools.count(1)

    def take(self) -> int:
        """A new one."""
        return next(self._next)


class HostService:
    """One session's table of objects, and its way to make them. Also the session's `ComponentHost`."""

    def __init__(self, loader: Loader, environment: ProtectedEnvironment, ids: ObjectIds) -> None:
        self._loader = loader
        self._environment = environment
        self._ids = ids
        self._objects: dict[int, object] = {}
        self._own: dict[UUID, Callable[[], object]] = {}

    def serve(self, class_id: UUID, make: Callable[[], object]) -> None:
        """Let `make` make what has this class id: a part of the worker itself, and no component."""
        self._own[class_id] = make

    def component_class(self, class_id: UUID) -> type:
        """Return the class of a component. Raises UnknownComponentError or TrustError."""
        return self._loader.component_class(class_id)

    def find(self, object_id: int) -> object | None:
        """Return the object with this id, or None."""
        return self._objects.get(object_id)

    def create(self, class_id: UUID) -> object:
        """Return a new instance of the component.

        Raises UnknownComponentError, TrustError, or DRMError for a fault of the component's own.
        """
        if class_id in self._own:
            return self._own[class_id]()
        try:
            made: object = self._loader.create(class_id)
            set_environment = getattr(made, "set_environment", None)
            if set_environment is not None:
                set_environment(self._environment)
        except Exception as error:  # noqa: BLE001 - a component's own fault is the call's failure, not the worker's end
            raise component_failed(error) from None
        return made

    def create_of(self, class_id: UUID, interface: str) -> object:
        """As `create`, for an object that keeps a protocol. Raises InterfaceError (E_NOINTERFACE) as well."""
        made = self.create(class_id)
        wanted = INTERFACES.get(interface)
        if wanted is None or not all(hasattr(made, member) for member in wanted):
            raise InterfaceError(f"{class_id} does not keep {interface[:100]!r}")
        return made

    def create_object(self, class_id: UUID, stream: bytes | None, interface: str) -> RemoteObject:
        """Make an object for the application and let it load `stream` before it is returned.

        Raises:
            UnknownComponentError, TrustError: as `create`.
            InterfaceError: it has no `load`, or does not keep `interface` (E_NOINTERFACE).
            DRMError: there are too many, or its load failed.
        """
        if len(self._objects) >= _MAX_OBJECTS:
            raise DRMError(f"an application holds {_MAX_OBJECTS} objects at most")
        if stream is not None and len(stream) > MAX_INLINE:
            raise DRMError(f"initialization data of {len(stream)} bytes is over the limit of {MAX_INLINE}")
        made = self.create_of(class_id, interface) if interface else self.create(class_id)
        if stream is not None:
            load = getattr(made, "load", None)
            if load is None:
                raise InterfaceError(f"{class_id} cannot load a stream")
            try:
                load(stream)
            except Exception as error:  # noqa: BLE001 - as in `create`
                raise component_failed(error) from None
        return self.hold(made, class_id)

    def activate_class(self, name: str, stream: bytes, interface: str) -> RemoteObject:
        """Make an object by the name of its class, and let it load its record of an initialization stream.

        Raises:
            InvalidArgumentError: the stream is not sound, is of another protection system, or has several records: an
                authority is one stream's.
            DRMError: as `create_object`.
        """
        try:
            class_id = UUID(name)
        except ValueError:
            class_id = self._loader.class_id(name)
        found = InitializationStream.parse(stream)
        if found.system_id != CLEAR_KEY_SYSTEM:
            raise InvalidArgumentError(f"the initialization stream is for the protection system {found.system_id}")
        if len(found.records) != 1:
            raise InvalidArgumentError(f"an object loads one record of such a stream, not {len(found.records)}")
        return self.create_object(class_id, found.records[0][1], interface)

    def hold(self, made: object, class_id: UUID) -> RemoteObject:
        """Give an object an id of its own, by which the application may name it."""
        object_id = self._ids.take()
        self._objects[object_id] = made
        return RemoteObject(object_id, class_id)

    def release(self, object_id: int) -> None:
        """The application holds it no more; whoever uses it keeps it alive."""
        self._objects.pop(object_id, None)

    def authority(self, object_id: int) -> InputTrustAuthority:
        """Return the input trust authority with this id. Raises InterfaceError: the id names none of this host's."""
        found = self._objects.get(object_id)
        if found is None or not hasattr(found, "request_access"):
            raise InterfaceError(f"object {object_id} is no input trust authority of this session")
        return found  # type: ignore[return-value]  # components come from bytes: their class is not known here
