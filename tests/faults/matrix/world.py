"""The application's objects with a fault in them, and a session that is driven through everything."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

from drm.app import (
    EnableResult,
    FileByteStream,
    PMPServer,
    SessionConfiguration,
    create_media_session,
    create_pmp_media_session,
    open_source,
)
from drm.errors import DRMError, MediaError, NoEventsAvailableError, PMPProcessDiedError, SessionShutdownError
from drm.hresult import succeeded
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEvent
from drm.session.topology import SinkActivate, Topology
from tests.faults.matrix.cases import HANGS, Case

__all__ = ["COMPONENTS", "KEYS", "Result", "drive"]

_FOLDER: Final = Path(__file__).parent / "components"
COMPONENTS: Final = tuple(sorted(_FOLDER.iterdir()))
KEYS: Final = {KeyId(bytes(range(16))): ContentKey(bytes(range(16, 32)))}
_SINK, _LOADER = (UUID(f"7b0c1d7e-5a34-4e0e-9d5e-3f6f0b8a2c2{number}") for number in (1, 2))
_FAULTS: Final = {
    each.__name__: each
    for each in (MediaError, SessionShutdownError, PMPProcessDiedError, OSError, MemoryError, SystemExit)
}
_ANSWER: Final = 0.4  # seconds that a session here waits for a call
_STANDING: Final = 1.0  # seconds after which playback counts as standing
_LIMIT: Final = 25.0  # seconds in which a case is over, or it hangs


class Result(NamedTuple):
    """What came of a case."""

    failures: list[object]  # each event with an error, by its number; each exception of a call, as "an exception …"
    words: list[str]  # of these
    ended: bool  # SESSION_ENDED came
    closed: bool  # SESSION_CLOSED came, with S_OK
    seconds: float  # that all of it took


def _fault(case: Case, whose: str, method: str) -> object:
    """Go wrong, if this is where: returns nonsense, or None."""
    if (case.whose, case.method) != (whose, method):
        return None
    if case.how in _FAULTS:
        raise _FAULTS[case.how]("planted")
    if case.how == "hangs":
        threading.Event().wait(HANGS)
        return None
    return "nonsense"


class _Source:
    def __init__(self, inner: Any, case: Case) -> None:
        self._inner, self._case = inner, case

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if self._case.whose == "source" and name == self._case.method and not callable(found):
            return _fault(self._case, "source", name) or found
        return found

    def _call(self, name: str, *words: Any) -> Any:
        nonsense = _fault(self._case, "source", name)
        return getattr(self._inner, name)(*words) if nonsense is None else nonsense

    def set_pmp_host(self, host: Any) -> Any:
        self._inner.set_pmp_host(host)
        return _fault(self._case, "source", "set_pmp_host")

    def get_input_trust_authority(self, stream_id: int) -> Any:
        return self._call("get_input_trust_authority", stream_id)

    def select(self, stream_ids: Any, position: int = 0) -> Any:
        self._inner.select(stream_ids, position)
        return _fault(self._case, "source", "select")

    def next_sample(self, stream_id: int) -> Any:
        return self._call("next_sample", stream_id)

    def read_into(self, sample: Any, into: memoryview) -> Any:
        return self._call("read_into", sample, into)

    def on_pause(self) -> Any:
        return _fault(self._case, "source", "on_pause")

    def on_stop(self) -> Any:
        return _fault(self._case, "source", "on_stop")

    def on_shutdown(self) -> Any:
        return _fault(self._case, "source", "on_shutdown")

    def interrupt(self) -> Any:
        return _fault(self._case, "source", "interrupt")


class _Way:
    """The enabler's automatic way: a server of the application's own."""

    def __init__(self, case: Case) -> None:
        self._case = case

    @property
    def url(self) -> Any:
        return _fault(self._case, "enabler", "url") or "http://127.0.0.1:9/license"

    def obtain(self, enabler: Any) -> Any:
        return _fault(self._case, "enabler", "obtain") or (LicensePath.LOCAL, encode_jwk_set(KEYS))


class _Manager:
    def __init__(self, case: Case) -> None:
        self._case = case

    def begin_enable_content(self, activation: Any, topology: Any, callback: Any, state: object = None) -> Any:
        if (nonsense := _fault(self._case, "manager", "begin_enable_content")) is not None:
            return nonsense
        enabler = activation.activate_object(automatic=_Way(self._case))

        def work() -> None:
            with contextlib.suppress(DRMError):  # it was cancelled meanwhile, or the session did not wait
                enabler.automatic_enable()
                enabler.wait_completed()
                callback(EnableResult(activation, state))

        threading.Thread(target=work, daemon=True).start()
        return None

    def end_enable_content(self, result: Any) -> Any:
        return _fault(self._case, "manager", "end_enable_content")


class _Driven:
    """One session, driven on a thread that nobody waits for for ever."""

    def __init__(self, case: Case, server: PMPServer, path: Path) -> None:
        self._case, self._path = case, path
        self.failures: list[object] = []
        self.words: list[str] = []
        self.ended = self.closed = False
        self._stands = case.method in ("on_pause", "on_stop")  # it is paused, and does not come to its end
        words: dict[str, Any] = {"answer_limit": _ANSWER}
        if case.whose == "loader":
            words["topology_loader"] = _LOADER
        if case.kind == "local":
            self._session: Any = create_media_session(SessionConfiguration(components=COMPONENTS, **words))
        else:
            words |= {"server_context": server, "content_protection_manager": _Manager(case)}
            self._session = create_pmp_media_session(configuration=SessionConfiguration(**words))

    def run(self) -> None:
        session = self._session
        with contextlib.ExitStack() as closing:
            stream = FileByteStream(self._path)
            closing.callback(stream.close)
            if self._called(lambda: session.set_topology(self._topology(stream))):
                self._until(101, HANGS if self._case.outcome in (3, -1) else _LIMIT)
                if not self.failures and self._case.outcome != -1:
                    self._called(session.start)
                    self._until(103, _LIMIT)
                if self._stands:
                    self._called(session.pause)
                    self._until(104, _LIMIT)
                if not self.failures and self._case.outcome != -1 and not self._stands:
                    self._until(107, _STANDING if self._case.outcome == 0 else _LIMIT)
            if self._case.outcome == 0 or (self._stands and not self.failures):
                self._called(session.stop)
                self._until(105, _LIMIT)
            self._called(session.close)
            self._until(106, _LIMIT)
            self._called(session.shutdown)

    def _topology(self, stream: FileByteStream) -> Topology[Any]:
        case, source = self._case, _Source(open_source(stream), self._case)
        options: dict[str, object] = {"in_time": self._stands}
        options |= {"at": case.method, "how": case.how} if case.whose in ("sink", "loader") else {}
        made: Topology[Any] = Topology(source)
        made.connect(source.streams()[0], SinkActivate(_SINK, options))
        return made

    def _called(self, call: Callable[[], None]) -> bool:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - whatever it is, is what is asked for
            self.failures.append("an exception of the call")
            self.words.append(f"{type(error).__name__}: {error}")
            return False
        return True

    def _until(self, kind: int, limit: float) -> None:
        """Read events up to this one, or to a failure that is none of an attempt's."""
        end = time.monotonic() + limit
        while (left := end - time.monotonic()) > 0:
            try:
                event: MediaEvent = self._session.get_event(timeout=left)
            except NoEventsAvailableError:
                return
            except DRMError as error:
                self.failures.append("no more events")
                self.words.append(str(error))
                return
            self.ended |= event.type == 107
            self.closed |= event.type == 106 and succeeded(event.status)
            if not succeeded(event.status) and event.type not in (115, 119) and not (kind == 106 and event.type == 101):
                self.failures.append(int(event.type))
                self.words.append(f"{event.name} {event.status:#x} {event.error.what if event.error else ''}")
                if kind != 106:
                    return
            if event.type == kind:
                return


def drive(case: Case, server: PMPServer, path: Path) -> Result | None:
    """Take a session through set, start, end, close and shutdown; None: it hangs."""
    begun = time.monotonic()
    driven = _Driven(case, server, path)
    thread = threading.Thread(target=driven.run, daemon=True)
    thread.start()
    thread.join(_LIMIT)
    if thread.is_alive():
        return None
    return Result(driven.failures, driven.words, driven.ended, driven.closed, time.monotonic() - begun)
