"""The media source for MP4: `drm.isobmff.samples` reads the container, the rest is as in every media source."""

from __future__ import annotations

from drm.component import ByteStream
from drm.isobmff.samples import open_presentation
from drm.presentation_source import PresentationSource

__all__ = ["Mp4Source"]


class Mp4Source(PresentationSource):
    """Encrypted samples of one MP4 file. Lives in the application."""

    def __init__(self, stream: ByteStream) -> None:
        """Read the movie box.

        Raises:
            MediaError: the stream is not MP4 (named, with the next step), or its movie box is broken.
        """
        super().__init__(stream, open_presentation(stream))
