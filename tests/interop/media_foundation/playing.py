"""Plays a scenario on one of the product's sessions, and writes the log that mf_oracle.c writes of a real one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from drm.errors import DRMError, NoEventsAvailableError
from drm.session.event_queue import BeginResult, GetEventResult
from drm.session.events import MediaEvent
from drm.session.services import Service
from drm.session.topology import SetTopologyFlags
from tests.interop.media_foundation.presentation import MS, Presentation, options
from tests.interop.media_foundation.scenarios import Scenario

__all__ = ["Play"]

_NAMES: Final = {
    1: "Error", 101: "TopologySet", 102: "TopologiesCleared", 103: "Started", 104: "Paused", 105: "Stopped",
    106: "Closed", 107: "Ended", 108: "RateChanged", 109: "ScrubSampleComplete", 110: "CapabilitiesChanged",
    111: "TopologyStatus", 112: "NotifyPresentationTime", 113: "NewPresentation", 211: "EndOfPresentation",
}  # fmt: skip
_FLAGS: Final = {"immediate": 1, "nores": 2, "clear": 4}


def _code(error: BaseException) -> str:
    """The HRESULT, or what Python itself raised."""
    return f"{int(error.hresult):08x}" if isinstance(error, DRMError) else f"({type(error).__name__}: {error})"


class Play:
    """One session, and what is done to it."""

    def __init__(self, scenario: Scenario, create: Callable[..., Any], clips: Path) -> None:
        """`create` makes the session, from keywords for its attributes."""
        self._scenario = scenario
        self._clips = clips
        self._closing = ExitStack()
        self._presentations: dict[str, Presentation] = {}
        self._called = {1: threading.Event(), 2: threading.Event()}
        self._results: dict[int, GetEventResult] = {}
        self._callbacks = {which: self._callback(which) for which in (1, 2)}
        self._saying = threading.Lock()
        self._lines: list[str] = []
        self._session = create(global_time="global_time" in scenario.session)
        self._clock = self._session.get_clock()
        self._zero = time.monotonic()

    def run(self) -> str:
        """Do all steps; return the log. The session is shut down after it."""
        with self._closing:
            try:
                for step in self._scenario.steps:
                    self._step(step)
            finally:
                log = self.log()
                with suppress(DRMError):
                    self._session.shutdown()
        return log

    def log(self) -> str:
        """What was said so far."""
        with self._saying:
            return "".join(f"{line}\n" for line in self._lines)

    def _say(self, text: str) -> None:
        """A line of the log, whole, whichever thread tells it."""
        with self._saying:
            self._lines.append(f"{(time.monotonic() - self._zero) * 1000:7.0f} {text}")

    def _call(self, text: str, run: Callable[[], Any], show: Callable[[Any], object] | None = None) -> None:
        try:
            result = run()
        except Exception as error:  # noqa: BLE001 - whatever it is, is what is asked for
            self._say(f"> {text} -> {_code(error)}")
        else:
            self._say(f"> {text} -> 00000000{' ' + str(show(result)) if show else ''}")

    # ------------------------------------------------------------------ steps

    def _step(self, line: str) -> None:
        verb, *words = line.split()
        one = words[0] if words else ""
        session = self._session
        match verb:
            case "topo":
                self._topology(one, words[1:])
            case "set":
                flags = SetTopologyFlags(sum(_FLAGS[word] for word in words[1:]))
                given = self._presentations[one].topology if one in self._presentations else None
                self._call(f"SetTopology({' '.join(words)})", lambda: session.set_topology(given, flags))
            case "start":
                self._call(f"Start({one})", lambda: session.start(int(one) * MS) if one else session.start())
            case "startbad":
                self._call(f"Start with a bad {one}", _bad_starts(session)[one])
            case "pause" | "stop" | "close" | "shutdown":
                self._call(verb.capitalize(), getattr(session, verb))
            case "cleartopologies":
                self._call("ClearTopologies", session.clear_topologies)
            case "wait":
                self._drain(float(words[1]) if len(words) > 1 else 5000, one)
            case "sleep":
                self._drain(float(one))
            case "killsource":
                self._presentations[one].source.is_dead = True
                self._say(f"> source {one} Shutdown -> 00000000")
            case "forget":
                self._presentations[one].forget()
            case "rate" | "getrate" | "ratesupport":
                self._rate(verb, float(one or 0), thin="thin" in words)
            case "queue" | "getevent" | "begin" | "end":
                self._of_events(verb, words)
            case _:
                self._ask(verb, one)

    def _ask(self, verb: str, one: str) -> None:
        session = self._session
        match verb:
            case "clock":
                self._read_clock()
            case "getclock":
                self._call("GetClock", session.get_clock)
            case "clockshutdown":
                self._say(f"> clock shutdown status -> {self._shutdown_status()}")
            case "caps":
                self._call("GetSessionCapabilities", session.get_session_capabilities, int)
            case "capsnull":
                self._say("> GetSessionCapabilities(NULL) -> not applicable")
            case "fulltopo":
                identity = self._presentations[one].topology.topology_id if one in self._presentations else None
                self._call(
                    f"GetFullTopology({one})",
                    lambda: session.get_full_topology(identity),
                    lambda full: self._topology_name(full.topology_id),
                )
            case "frames":
                times = self._presentations[one].times()
                first, last = (times[0], times[-1]) if times else (0, 0)
                self._say(f"frames {one}: {len(times)} at the sink, from {first}ms to {last}ms")
            case _:
                raise ValueError(f"there is no step {verb!r}")

    def _topology(self, name: str, words: list[str]) -> None:
        told = lambda text: self._say(f"  ~ {text}")  # noqa: E731
        try:
            made = Presentation(name, options(words), self._clips, told)
        except DRMError as error:
            self._say(f"! topology {name} {' '.join(words)} -> {_code(error)}")
        else:
            self._presentations[name] = made
            self._closing.callback(made.close)

    def _shutdown_status(self) -> str:
        try:
            return f"00000000 {self._clock.get_shutdown_status()}"
        except Exception as error:  # noqa: BLE001 - as in _call
            return _code(error)

    def _read_clock(self) -> None:
        try:
            at, moment = "00000000", self._clock.get_time() // MS
        except DRMError as error:
            at, moment = _code(error), 0
        try:
            state = self._clock.get_state().name.lower()
        except DRMError as error:
            state = f"GetState {_code(error)}"
        self._say(f"clock: GetTime {at} {moment}ms, {state}")

    def _rate(self, verb: str, rate: float, *, thin: bool) -> None:
        try:
            control = self._session.get_service(Service.RATE_CONTROL_SERVICE)
        except DRMError as error:
            self._say(f"> IMFRateControl -> {_code(error)}")
            return
        thinned = "thin, " if thin else ""
        match verb:
            case "rate":
                self._call(f"SetRate({thinned}{rate:g})", lambda: control.set_rate(rate, thin=thin))
            case "getrate":
                self._call("GetRate", control.get_rate, lambda value: f"{value:g}")
            case _:
                text = f"IsRateSupported({thinned}{rate:g})"
                self._call(text, lambda: control.is_rate_supported(rate, thin=thin), lambda value: value)

    # ------------------------------------------------------------------ events

    def _of_events(self, verb: str, words: list[str]) -> None:
        session, one = self._session, words[0] if words else ""
        match verb:
            case "queue":
                self._call(f"QueueEvent({one})", lambda: session.queue_event(MediaEvent(int(one))))
            case "getevent":
                self._call("GetEvent(no wait)", lambda: session.get_event(wait=False))
            case "begin":
                self._begin(words)
            case "end":
                result = GetEventResult(None, MediaEvent(1))
                if one != "foreign":
                    if not self._called[int(one)].wait(1):
                        self._say(f"! callback {one} was not called")
                        return
                    result = self._results[int(one)]
                got: list[MediaEvent] = []
                self._call(f"EndGetEvent({one})", lambda: got.append(session.end_get_event(result)))
                for event in got:
                    self._tell(event)

    def _begin(self, words: list[str]) -> None:
        callback = None if words[0] == "null" else self._callbacks[int(words[0])]
        state = words[1] if len(words) > 1 else None
        try:
            pending = self._session.begin_get_event(callback, state) is BeginResult.ALREADY_PENDING
            self._say(f"> BeginGetEvent({' '.join(words)}) -> {'000d36d8' if pending else '00000000'}")
        except DRMError as error:
            self._say(f"> BeginGetEvent({' '.join(words)}) -> {_code(error)}")

    def _callback(self, which: int) -> Callable[[GetEventResult], None]:
        def call(result: GetEventResult) -> None:
            self._results[which] = result
            self._called[which].set()

        return call

    def _drain(self, ms: float, until: str | None = None) -> None:
        """Tell events as they come, up to one (`111/100`: with this status), or for so long."""
        end = time.monotonic() + ms / 1000
        while True:
            try:
                event = self._session.get_event(timeout=max(0.0, end - time.monotonic()))
            except NoEventsAvailableError:
                if until:
                    self._say(f"! {until} did not come within {ms:.0f} ms")
                return
            except DRMError as error:
                if until:
                    self._say(f"! GetEvent -> {_code(error)}")
                return
            if self._tell(event) == until:
                return

    def _topology_name(self, identity: object, value: object = None) -> str:
        for each in self._presentations.values():
            if each.topology.topology_id == identity:
                return each.name + (" (same object)" if value is each.topology else "")
        return f"unknown {identity}"

    def _tell(self, event: MediaEvent) -> str:
        values, text, key = dict(event.values), "", str(int(event.type))
        match int(event.type):
            case 111:
                text = f" {values['status']} topology={self._topology_name(values['topology'])}"
                key = f"111/{values['status']}"
            case 112:
                start, offset, output = (
                    int(values[name]) // MS for name in ("start_time", "offset", "start_time_at_output")
                )
                text = f" start={start}ms offset={offset}ms at_output={output}ms"
            case 101 if "topology" in values:
                text = f" topology={self._topology_name(values['topology'], event.value)}"
            case 101 if event.value is not None:
                text = f" topology={self._topology_name(getattr(event.value, 'topology_id', None), event.value)}"
            case 110:
                text = f" caps={values['capabilities']} delta={values['delta']}"
            case 103:
                text = "".join(f" offset={int(value) // MS}ms" for value in values.values())
            case _:
                text = "".join(f" {name}={value}" for name, value in values.items())
        self._say(f"{int(event.type)} {_NAMES.get(int(event.type), '-')} {int(event.status):08x}{text}")
        return key


def _bad_starts(session: Any) -> dict[str, Callable[[], None]]:
    """Calls that a type checker would refuse."""
    return {
        "type": lambda: session.start(1.5),
        "null": lambda: session.start("null"),
        "format": lambda: session.start(0, UUID(int=1)),
    }
