"""Every message between the application and the PMP worker: a closed, typed set for each direction."""

from __future__ import annotations

from uuid import UUID

import msgspec

__all__ = ["RemoteObject"]


class RemoteObject(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A reference to an object in the worker. Ids are handed out by the worker and never used again."""

    object_id: int
    class_id: UUID
