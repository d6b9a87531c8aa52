"""Takes frames as fast as they come; `at` names the method that goes wrong, `how` the way."""

from __future__ import annotations

import threading

import msgspec

from drm.errors import MediaError, PMPProcessDiedError, SessionShutdownError
from drm.rights.output_schema import Connector, OutputAttribute
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action

__all__ = ["FaultySink"]

FAULTS = {each.__name__: each for each in (MediaError, SessionShutdownError, PMPProcessDiedError, OSError, MemoryError,
                                           SystemExit)}  # fmt: skip
HANGS = 8.0  # seconds


class FaultySink:
    def __init__(self) -> None:
        self._at = self._how = ""

    def _fail(self, method: str) -> object:
        if method != self._at:
            return None
        if self._how in FAULTS:
            raise FAULTS[self._how]("planted")
        if self._how == "hangs":
            threading.Event().wait(HANGS)
            return None
        return "nonsense"

    @property
    def is_rateless(self) -> object:
        return self._fail("is_rateless") or not self._in_time

    def load(self, stream: bytes) -> object:
        options = msgspec.json.decode(stream)
        self._at, self._how = options.get("at", ""), options.get("how", "")
        self._in_time = options.get("in_time", False)
        return self._fail("load")

    def output_trust_authorities(self) -> object:
        made = OutputTrust(Action.PLAY, OutputAttribute.DIGITAL | OutputAttribute.VIDEO, Connector.HDMI, [])
        return self._fail("output_trust_authorities") or [made]

    def open(self, tracks: object, descriptor: object) -> object:
        return self._fail("open")

    def write(self, track_id: int, frame: object) -> object:
        return self._fail("write")

    def finish(self) -> object:
        return self._fail("finish") or {}

    def close(self) -> object:
        return self._fail("close")
