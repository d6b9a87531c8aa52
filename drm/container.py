"""Which container a file is, asked once for everybody: what opens it, and which media source reads it.

No I/O of its own, in the application and in the worker. The file is not trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drm.class_ids import MP4_SOURCE, WEBM_SOURCE
from drm.isobmff.samples import open_presentation
from drm.webm.container import begins_as_ebml
from drm.webm.presentation import open_webm

if TYPE_CHECKING:
    from uuid import UUID

    from drm.media import ByteSource, Presentation

__all__ = ["open_container", "source_class"]


def open_container(stream: ByteSource) -> Presentation:
    """Read what the file in `stream` says about itself; of its media nothing is read yet.

    Raises:
        MediaError: it is neither MP4 nor WebM (named, with the next step), or its head is broken.
    """
    return open_webm(stream) if begins_as_ebml(stream) else open_presentation(stream)


def source_class(stream: ByteSource) -> UUID:
    """The class id of the media source that reads such a file; MP4's for what is neither, because it names that."""
    return WEBM_SOURCE if begins_as_ebml(stream) else MP4_SOURCE
