"""A play-through as a picture needs it: each event in the lane of the part that it tells of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from drm.hresult import name_of
from drm.session.events import MediaEvent, MediaEventType, SessionCapability, TopologyStatus
from player.verbs.demo.pictures import FlowEvent

__all__ = ["flow_events"]

_LANES: Final = {
    MediaEventType.LICENSE_ACQUISITION_START: "ITA",
    MediaEventType.LICENSE_ACQUISITION_COMPLETED: "ITA",
    MediaEventType.INDIVIDUALIZATION_START: "ITA",
    MediaEventType.INDIVIDUALIZATION_COMPLETED: "ITA",
    MediaEventType.ENABLER_PROGRESS: "application",
    MediaEventType.ENABLER_COMPLETED: "application",
}


def flow_events(
    begin: float, ready: float, commands: Iterable[tuple[float, str]], events: Iterable[MediaEvent]
) -> list[FlowEvent]:
    """Return the flow from `begin` on; `ready` is when the worker reported its lock-down. Monotonic seconds."""
    rows = [
        FlowEvent(0.0, "application", "create_pmp_media_session"),
        FlowEvent(ready - begin, "PMP worker", "locked down, components verified"),
    ]
    for event in events:
        asks = event.type == MediaEventType.ENABLER_PROGRESS and str(event.values.get("text", "")).startswith("got ")
        lane = "license server" if asks else _LANES.get(MediaEventType(event.type), "PMP worker")
        rows.append(FlowEvent(event.time - begin, lane, event.name, _detail(event)))
    rows += [FlowEvent(moment - begin, "session proxy", name) for moment, name in commands]
    return sorted(rows, key=lambda row: row.seconds)


def _detail(event: MediaEvent) -> str:
    if event.status:
        return name_of(event.status)
    if event.type == MediaEventType.SESSION_TOPOLOGY_STATUS:
        return TopologyStatus(int(event.values["status"])).name
    if event.type == MediaEventType.SESSION_CAPABILITIES_CHANGED:
        return SessionCapability(int(event.values["capabilities"])).name or "none"
    if event.type == MediaEventType.ENABLER_PROGRESS:
        return str(event.values.get("text", ""))
    return ", ".join(f"{name} {value}" for name, value in event.values.items())
