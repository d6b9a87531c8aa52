"""A transform that fails at its first frame, and that loads nothing but an empty object."""

from collections.abc import Sequence

from drm.component import Frame
from drm.media import TrackInfo


class Failing:
    def load(self, stream: bytes) -> None:
        if stream != b"{}":
            raise ValueError("planted: not an empty object")

    def process(self, track: TrackInfo, frame: Frame) -> Sequence[Frame]:
        raise RuntimeError("planted")

    def flush(self) -> None:
        pass
