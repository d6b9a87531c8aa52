"""A session in a real locked worker, as the application drives it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.rights.content_enabler import ContentEnabler
from drm.app.rights.enabler import EnableCallback, EnablerActivation, EnableResult
from drm.app.session_proxy import MediaSessionProxy, PMPSessionFlags, SessionConfiguration, create_pmp_media_session
from drm.app.sources import open_source
from drm.class_ids import HASH_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import DRMError, InvalidRequestError, IsolationError, KeyMissingError, SessionShutdownError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.media import Scheme, TrackType
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, Topology
from sample_content.clip import Clip, make_clip
from tests.outputs import for_writing

LIMIT = 20.0  # seconds
KEY_ID, KEY = KeyId(b"the key id, here"), ContentKey(b"and the key for.")
FRAMES = 90


class Manager:
    """A content protection manager that does `enable` on a thread of its own and then calls back."""

    def __init__(self, enable: Callable[[ContentEnabler], None] | None) -> None:
        self._enable = enable
        self.asked = threading.Event()

    def begin_enable_content(
        self, enabler_activate: EnablerActivation, topology: Topology, callback: EnableCallback, state: object = None
    ) -> None:
        self.asked.set()
        if self._enable is not None:
            result = EnableResult(enabler_activate, state)
            threading.Thread(target=self._work, args=(result, callback, self._enable)).start()

    def end_enable_content(self, result: EnableResult) -> None:
        result.raise_for_status()

    def _work(self, result: EnableResult, callback: EnableCallback, enable: Callable) -> None:
        enable(result.enabler_activate.activate_object())
        callback(result)


def keys(enabler: ContentEnabler) -> None:
    enabler.complete(encode_jwk_set({KEY_ID: KEY}), LicensePath.LOCAL)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "cenc.mp4"
    make_clip(path, Clip(width=160, height=90, frames=FRAMES, sound=True))
    told = TrackEncryption(KEY_ID, KEY)
    encrypt_file(path, path, scheme=Scheme.CENC, tracks={TrackType.VIDEO: told, TrackType.AUDIO: told}, in_place=True)
    return path


class Player:
    """A session, a source on the clip, and the hashes that came out."""

    def __init__(self, clip: Path, manager: Manager | None, flags: int = 0, stall_timeout: float = 20.0) -> None:
        self.stream = FileByteStream(clip)
        configuration = SessionConfiguration(
            content_protection_manager=manager, sealed=False, stall_timeout=stall_timeout
        )
        self.session: MediaSessionProxy = create_pmp_media_session(PMPSessionFlags(flags), configuration)
        self.output = os.memfd_create("framemd5")
        self.handed = for_writing(self.output)
        self.source = open_source(self.stream)

    def set_topology(self) -> None:
        topology: Topology = Topology(self.source)
        sink = SinkActivate(HASH_SINK, {}, self.handed)
        for each in self.source.streams():
            topology.connect(each, sink)
        self.session.set_topology(topology)

    def until(self, kind: E) -> list[MediaEvent]:
        found = [self.session.get_event(timeout=LIMIT)]
        while found[-1].type != kind:
            assert found[-1].type != E.ERROR, found[-1]
            found.append(self.session.get_event(timeout=LIMIT))
        return found

    def lines(self) -> list[str]:
        text = os.pread(self.output, os.fstat(self.output).st_size, 0).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]

    def close(self) -> None:
        with contextlib.suppress(SessionShutdownError):
            self.session.shutdown()
        self.stream.close()
        os.close(self.output)
        os.close(self.handed)
        assert not Path(f"/proc/{self.session.pid}").exists()


@pytest.fixture
def player(clip: Path) -> Iterator[Callable[..., Player]]:
    made: list[Player] = []

    def make(manager: Manager | None, *flags: int, **limits: float) -> Player:
        made.append(Player(clip, manager, *flags, **limits))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_play_through_with_pauses_gives_every_frame_once(player: Callable[..., Player]) -> None:
    whole, broken = player(Manager(keys)), player(Manager(keys))
    for each in (whole, broken):
        each.set_topology()
        events = each.until(E.SESSION_TOPOLOGY_STATUS)
        assert [event.type for event in events] == [114, 119, 115, 101, 112, 110, 111]
        each.session.start()
    for _ in range(15):
        broken.session.pause()
        broken.session.start()
    for each in (whole, broken):
        each.until(E.SESSION_ENDED)
        assert each.session.license_path is LicensePath.LOCAL
        assert each.session.protection_report.license_path == "local"
        each.session.close()
        each.until(E.SESSION_CLOSED)
    assert sum(line.startswith("0,") for line in whole.lines()) == FRAMES
    assert sorted(whole.lines()) == sorted(broken.lines())


def test_stop_and_close_in_mid_play(player: Callable[..., Player]) -> None:
    for command, event in (("stop", E.SESSION_STOPPED), ("close", E.SESSION_CLOSED)):
        p = player(Manager(keys))
        p.set_topology()
        p.session.start()
        p.until(E.SESSION_STARTED)
        getattr(p.session, command)()
        assert p.until(event)[-1].status == HResult.S_OK


def test_close_while_rights_acquisition_never_calls_back_is_prompt(player: Callable[..., Player]) -> None:
    manager = Manager(None)
    p = player(manager)
    p.set_topology()
    assert manager.asked.wait(LIMIT)
    start = time.monotonic()
    p.session.close()
    assert p.until(E.SESSION_CLOSED)[-1].status == HResult.S_OK
    assert time.monotonic() - start < 2


def test_shutdown_while_rights_acquisition_never_calls_back_is_prompt(player: Callable[..., Player]) -> None:
    manager = Manager(None)
    p = player(manager)
    p.set_topology()
    assert manager.asked.wait(LIMIT)
    start = time.monotonic()
    p.session.shutdown()
    assert time.monotonic() - start < 2


def test_a_license_of_many_keys_travels_in_shared_memory(player: Callable[..., Player]) -> None:
    many = {KeyId(n.to_bytes(16)): ContentKey(bytes(16)) for n in range(600)} | {KEY_ID: KEY}
    answer = encode_jwk_set(many)
    assert len(answer) > 40_000
    p = player(Manager(lambda enabler: enabler.complete(answer, LicensePath.CLEAR)))
    p.set_topology()
    p.until(E.SESSION_TOPOLOGY_STATUS)
    assert p.session.license_path is LicensePath.CLEAR


def test_a_cancelled_enabler_ends_the_topology(player: Callable[..., Player]) -> None:
    p = player(Manager(lambda enabler: (enabler.cancel(), enabler.cancel())))
    p.set_topology()
    events = p.until(E.SESSION_TOPOLOGY_SET)
    assert [event.type for event in events] == [114, 119, 115, 101]
    assert {event.status for event in events[1:]} == {HResult.MF_E_OPERATION_CANCELLED}


def test_an_enabler_completes_once_and_then_says_nothing(player: Callable[..., Player]) -> None:
    raised: list[Exception] = []

    def twice(enabler: ContentEnabler) -> None:
        enabler.progress("half way")
        keys(enabler)
        enabler.progress("unheard")
        for call in (lambda: keys(enabler), lambda: enabler.fail(DRMError("late"))):
            try:
                call()
            except InvalidRequestError as error:
                raised.append(error)

    p = player(Manager(twice))
    p.set_topology()
    assert [event.type for event in p.until(E.SESSION_TOPOLOGY_SET)] == [114, 118, 119, 115, 101]
    assert len(raised) == 2


def test_a_callback_before_completion_is_the_managers_error(player: Callable[..., Player]) -> None:
    p = player(Manager(lambda _enabler: None))
    p.set_topology()
    failed = p.until(E.SESSION_TOPOLOGY_SET)[-1]
    with pytest.raises(DRMError, match="called back before"):
        failed.raise_for_status()


class FailingManager(Manager):
    """One with a fault of its own."""

    def begin_enable_content(self, *_arguments: object) -> None:
        raise ValueError("planted")


def test_a_manager_that_fails_ends_the_acquisition_and_not_the_session(player: Callable[..., Player]) -> None:
    made = player(FailingManager(None))
    made.set_topology()
    failed = made.until(E.SESSION_TOPOLOGY_SET)[-1]
    with pytest.raises(DRMError, match="ValueError: planted"):
        failed.raise_for_status()
    made.session.close()
    assert made.until(E.SESSION_CLOSED)[-1].status == HResult.S_OK


def test_without_a_manager_protected_content_is_refused(player: Callable[..., Player]) -> None:
    p = player(None)
    p.set_topology()
    failed = p.until(E.SESSION_TOPOLOGY_SET)[-1]
    assert failed.status == HResult.MF_E_NO_CONTENT_PROTECTION_MANAGER
    with pytest.raises(KeyMissingError):
        failed.raise_for_status()


def test_an_unprotected_worker_refuses_protected_content_and_asks_nobody(player: Callable[..., Player]) -> None:
    manager = Manager(keys)
    p = player(manager, PMPSessionFlags.UNPROTECTED_PROCESS)
    p.set_topology()
    failed = p.session.get_event(timeout=LIMIT)
    assert (failed.type, failed.status) == (E.SESSION_TOPOLOGY_SET, HResult.MF_E_NON_PE_PROCESS)
    with pytest.raises(IsolationError):
        failed.raise_for_status()
    assert not manager.asked.is_set()


def test_a_blocking_call_from_a_callback_is_refused(player: Callable[..., Player]) -> None:
    """MFCreatePMPMediaSession: no synchronous call from a thread that is in one of the worker's messages."""
    raised: list[Exception] = []

    class Nested(Manager):
        def begin_enable_content(self, *arguments: object) -> None:
            try:
                p.session.get_session_capabilities()
            except InvalidRequestError as error:
                raised.append(error)
            super().begin_enable_content(*arguments)

    p = player(Nested(keys))
    p.set_topology()
    p.until(E.SESSION_TOPOLOGY_STATUS)
    assert "callback" in str(raised[0])


def test_after_shutdown_every_command_raises(player: Callable[..., Player]) -> None:
    p = player(Manager(keys))
    p.session.shutdown()
    with pytest.raises(SessionShutdownError):
        p.session.shutdown()
    for command in ("start", "pause", "stop", "close", "get_event"):
        with pytest.raises(SessionShutdownError) as raised:
            getattr(p.session, command)()
        assert raised.value.hresult == HResult.MF_E_SHUTDOWN
    with pytest.raises(SessionShutdownError):
        p.set_topology()


def test_the_session_is_in_another_process(player: Callable[..., Player]) -> None:
    p = player(None)
    assert p.session.pid != os.getpid()
    assert Path(f"/proc/{p.session.pid}").exists()


def test_a_worker_that_stands_still_is_ended_and_said_to_be_stuck(player: Callable[..., Player]) -> None:
    p = player(Manager(keys), stall_timeout=1.0)
    p.set_topology()
    p.until(E.SESSION_TOPOLOGY_STATUS)
    time.sleep(2.0)  # an idle worker answers: it is not ended for having nothing to do
    os.kill(p.session.pid, signal.SIGSTOP)
    stopped = time.monotonic()
    event = p.session.get_event(timeout=LIMIT)
    assert event.type == E.ERROR
    assert event.status == HResult.RPC_E_SERVER_DIED
    assert time.monotonic() - stopped < 5
    with pytest.raises(DRMError, match="no answer within 1 second"):
        event.raise_for_status()


def test_the_report_does_not_believe_that_a_plain_license_was_sealed(player: Callable[..., Player]) -> None:
    p = player(Manager(lambda enabler: enabler.complete(encode_jwk_set({KEY_ID: KEY}), LicensePath.SEALED)))
    p.set_topology()
    p.until(E.SESSION_TOPOLOGY_STATUS)
    assert p.session.license_path is LicensePath.CLEAR
