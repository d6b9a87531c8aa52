"""How a session tells what happened: its events, the capabilities that it had last, and the status of topologies."""

from __future__ import annotations

import logging
from collections.abc import Callable

from drm.component import SourceCharacteristic
from drm.errors import DRMError
from drm.hresult import HResult
from drm.session.events import MediaEvent, SessionCapability, TopologyStatus
from drm.session.events import MediaEventType as E
from drm.session.segments import Segment

__all__ = ["Announcer"]

logger = logging.getLogger(__name__)


class Announcer:
    """Used by the session's own thread."""

    def __init__(self, emit: Callable[[MediaEvent], None]) -> None:
        """`emit` takes each event."""
        self.emit = emit
        self.capabilities = SessionCapability(0)

    def say(self, kind: E, **values: float | str) -> None:
        """It went well."""
        self.emit(MediaEvent(kind, HResult.S_OK, values))

    def fail(self, kind: E, error: DRMError) -> None:
        """It did not."""
        logger.info("%s: %s", kind.name, error.what)
        self.emit(MediaEvent(kind, error.hresult, {}, error.to_record()))

    def status(self, segment: Segment, status: TopologyStatus, **values: float | str) -> None:
        """SESSION_TOPOLOGY_STATUS."""
        segment.status = status
        self.say(E.SESSION_TOPOLOGY_STATUS, status=int(status), topology=segment.topology_id, **values)

    def can(self, segment: Segment | None, *, running: bool) -> None:
        """SESSION_CAPABILITIES_CHANGED, if they did: what can be done with the current topology."""
        now = SessionCapability(0)
        if segment is not None:
            able = segment.source.characteristics
            now = SessionCapability.START | SessionCapability.RATE_FORWARD
            if able & SourceCharacteristic.CAN_SEEK:
                now |= SessionCapability.SEEK
            if able & SourceCharacteristic.DOES_NOT_USE_NETWORK:
                now |= SessionCapability.DOES_NOT_USE_NETWORK
            if running and able & SourceCharacteristic.CAN_PAUSE:
                now |= SessionCapability.PAUSE
        if now != self.capabilities:
            delta = now ^ self.capabilities
            self.capabilities = now
            self.say(E.SESSION_CAPABILITIES_CHANGED, capabilities=int(now), delta=int(delta))
