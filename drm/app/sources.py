"""Media sources of the application. They come out of verified bytes, as everything that handles media does."""

from __future__ import annotations

import threading
from typing import Final, cast

from drm.app.components.installed import collect_components
from drm.component import ByteStream, MediaSource
from drm.container import source_class
from drm.loader import Loader

__all__ = ["component_loader", "open_source"]

_lock: Final = threading.Lock()
_loaders: list[Loader] = []


def component_loader() -> Loader:
    """The loader of this process, made at the first call: verified modules are loaded once."""
    with _lock:
        if not _loaders:
            _loaders.append(Loader(collect_components()))
        return _loaders[0]


def open_source(stream: ByteStream) -> MediaSource:
    """Open the media in `stream`, with the source for what it begins with.

    Raises:
        MediaError: it is neither MP4 nor WebM, or not sound. The message names what it is.
        TrustError: the source component is not what its manifest says.
    """
    make = component_loader().component_class(source_class(stream))
    return cast("MediaSource", make(stream))
