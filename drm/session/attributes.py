"""Session attributes that name components: what their class ids come to where the session runs."""

from __future__ import annotations

import logging
from typing import Final, cast
from uuid import UUID

from drm.errors import UnknownComponentError
from drm.session.quality import DropLateFrames, QualityManager
from drm.session.topology_loader import ComponentHost, CustomLoader

__all__ = ["custom_loader", "quality_manager"]

logger = logging.getLogger(__name__)

_NIL: Final = UUID(int=0)


def quality_manager(host: ComponentHost, class_id: UUID | None) -> QualityManager | None:
    """MF_SESSION_QUALITY_MANAGER: the session's own for None, none at all for the nil UUID (GUID_NULL).

    Raises UnknownComponentError or TrustError.
    """
    if class_id is None:
        return DropLateFrames()
    return None if class_id == _NIL else cast("QualityManager", host.create(class_id))


def custom_loader(host: ComponentHost, class_id: UUID | None) -> CustomLoader | None:
    """MF_SESSION_TOPOLOADER: None stands for the session's own, which also serves when this one is not registered.

    Raises TrustError: it is registered, and not what its manifest says.
    """
    if class_id is None:
        return None
    try:
        return cast("CustomLoader", host.create(class_id))
    except UnknownComponentError as error:  # as Windows does
        logger.warning("the topology loader is not used: %s", error.what)
        return None
