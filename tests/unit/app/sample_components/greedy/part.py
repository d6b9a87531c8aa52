"""A transform that wants more than it may have, at its first frame: memory, or time."""

from collections.abc import Sequence

from drm.component import Frame
from drm.media import TrackInfo


class Greedy:
    def load(self, stream: bytes) -> None:
        self._wants_time = b"time" in stream

    def process(self, track: TrackInfo, frame: Frame) -> Sequence[Frame]:
        while self._wants_time:
            pass
        return [frame] * len(bytearray(8 << 30))

    def flush(self) -> None:
        pass
