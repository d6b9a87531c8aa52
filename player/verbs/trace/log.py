"""The log of a traced session: what was commanded, what came back, and what the enabler did, in order of time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from drm.app.rights.enabler import ContentProtectionManager, EnableCallback, EnablerActivation, EnableResult
from drm.component import MediaSource
from drm.hresult import name_of
from drm.session.events import MediaEvent, SessionCapability, TopologyStatus
from drm.session.events import MediaEventType as E
from drm.session.topology import Topology

__all__ = ["Entry", "TraceLog", "TracedManager"]

Side = Literal["command", "event", "enabler"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: a command of the application's, an event of the session's, or a call of its content enabler's."""

    time: float  # seconds of the monotonic clock
    side: Side
    name: str
    number: int = 0  # of the event
    status: int = 0  # its HRESULT
    values: Mapping[str, object] | None = None


class TraceLog:
    """Thread-safe: enablers work on threads of their own."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._changing = threading.Lock()

    def command(self, name: str, **values: object) -> None:
        """The application gives a command."""
        self._add(Entry(time.monotonic(), "command", name, values=values))

    def enabler(self, name: str, moment: float | None = None, **values: object) -> None:
        """The session called the application's content protection manager, just now or at `moment`."""
        self._add(Entry(time.monotonic() if moment is None else moment, "enabler", name, values=values))

    def event(self, event: MediaEvent) -> None:
        """An event came out of the session."""
        self._add(Entry(event.time, "event", event.name, int(event.type), event.status, _meaning(event)))

    def _add(self, entry: Entry) -> None:
        with self._changing:
            self._entries.append(entry)

    @property
    def entries(self) -> list[Entry]:
        """All of them, by time; what has the same time stays in the order in which it was noted."""
        with self._changing:
            return sorted(self._entries, key=lambda entry: entry.time)

    def lines(self) -> Iterator[str]:
        """For people: milliseconds, side, number, name, and what it says."""
        yield f"{'ms':>9}  {'side':7}  {'no.':>3}  {'name':32}  what it says"
        entries = self.entries
        for entry in entries:
            moment = f"{(entry.time - entries[0].time) * 1e3:9.1f}"
            number = f"{entry.number:>3}" if entry.side == "event" else "   "
            details = [name_of(entry.status)] if entry.status else []
            details += [f"{name}={_shown(value)}" for name, value in (entry.values or {}).items()]
            yield f"{moment}  {entry.side:7}  {number}  {entry.name:32}  {' '.join(details)}".rstrip()

    def rows(self) -> list[dict[str, object]]:
        """For programs: the same, as JSON values."""
        entries = self.entries
        return [
            {
                "seconds": round(entry.time - entries[0].time, 6),
                "side": entry.side,
                "number": entry.number if entry.side == "event" else None,
                "name": entry.name,
                "status": f"0x{entry.status:08X}" if entry.side == "event" else None,
                "values": {name: _plain(value) for name, value in (entry.values or {}).items()},
            }
            for entry in entries
        ]


class TracedManager:
    """A content protection manager that notes each call and passes it on."""

    def __init__(self, manager: ContentProtectionManager, log: TraceLog) -> None:
        self._manager = manager
        self._log = log

    def begin_enable_content(
        self,
        enabler_activate: EnablerActivation,
        topology: Topology[MediaSource],
        callback: EnableCallback,
        state: object = None,
    ) -> None:
        """Note it, and let the manager begin."""
        moment = time.monotonic()
        self._manager.begin_enable_content(enabler_activate, topology, callback, state)
        # Only now: the first to make the enabler says in which ways it can be obtained.
        kind = enabler_activate.activate_object().get_enable_type().name
        self._log.enabler("begin_enable_content", moment, type=kind, topology=topology.topology_id, state=state)

    def end_enable_content(self, result: EnableResult) -> None:
        """Note it, and let the manager end."""
        self._log.enabler("end_enable_content")
        self._manager.end_enable_content(result)


def _meaning(event: MediaEvent) -> dict[str, object]:
    """An event's attributes; numbers that have names get them."""
    values: dict[str, object] = dict(event.values)
    if event.type == E.SESSION_TOPOLOGY_STATUS and "status" in values:
        values["status"] = TopologyStatus(int(event.values["status"]))
    if event.type == E.SESSION_CAPABILITIES_CHANGED:
        for name in ("capabilities", "delta"):
            values[name] = SessionCapability(int(event.values.get(name, 0)))
    if event.error is not None:
        values["error"] = event.error.what
    return values


def _shown(value: object) -> str:
    if isinstance(value, TopologyStatus):
        return f"{value.name}({value.value})"
    if isinstance(value, SessionCapability):
        return value.name or "none"
    text = str(value)
    return json.dumps(text) if " " in text else text


def _plain(value: object) -> object:
    return int(value) if isinstance(value, TopologyStatus | SessionCapability) else value
