"""Takes each frame at its time; says what its options tell it to say, at the frame that they name."""

import msgspec

from drm.component import SinkEvents
from drm.errors import MediaError

__all__ = ["SpeakingSink"]


class SpeakingSink:
    is_rateless = False

    def load(self, stream: bytes) -> None:
        self._options = msgspec.json.decode(stream)
        self._frames = 0

    def set_events(self, events: SinkEvents) -> None:
        self._events = events
        self._speak("made")

    def output_trust_authorities(self) -> list[object]:
        return []

    def open(self, tracks: object, descriptor: int | None) -> None:
        pass

    def write(self, track_id: int, frame: object) -> None:
        self._frames += 1
        self._speak(self._frames)

    def _speak(self, moment: object) -> None:
        if self._options.get("at") != moment:
            return
        if self._options["says"] == "invalid":
            self._events.invalidate(MediaError("the screen is gone") if self._options.get("fails") else None)
        else:
            self._events.renderer_event(self._options["says"])

    def finish(self) -> dict[str, int]:
        return {"frames": self._frames}

    def close(self) -> None:
        pass
