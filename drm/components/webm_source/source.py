"""The media source for WebM: `drm.webm.presentation` reads the container, the rest is as in every media source."""

from __future__ import annotations

from drm.component import ByteStream
from drm.presentation_source import PresentationSource
from drm.webm.presentation import open_webm

__all__ = ["WebmSource"]


class WebmSource(PresentationSource):
    """Encrypted samples of one WebM file. Lives in the application."""

    def __init__(self, stream: ByteStream) -> None:
        """Read the header.

        Raises:
            MediaError: the stream is not WebM (named, with the next step), or its header is broken.
        """
        super().__init__(stream, open_webm(stream))
