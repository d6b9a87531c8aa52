"""Protected streams: who is asked, in which order, and what is refused before anything flows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from drm.class_ids import DISCARD_SINK
from drm.errors import (
    DRMError,
    InvalidRequestError,
    IsolationError,
    KeyMissingError,
    KeyWrongError,
    LicenseError,
    LicenseExpiredError,
    LicenseRefusedError,
    OutputNotAllowedError,
    SessionShutdownError,
)
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.license.sealed import seal, verify_request
from drm.pmp.rights_proxy import RightsProxy
from drm.rights.enablers import EnableType, LicensePath
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.session.topology import SetTopologyFlags, SinkActivate
from drm.wire.messages import BeginEnableContent, EnablerFailed
from tests.unit.session.conftest import AUDIO, KEYS, VIDEO
from tests.unit.session.home import Environment, Home, eventually, kinds
from tests.unit.session.test_play_through import FAULTY, FaultySink

DEVICE_KEY = bytes(range(32))


def with_keys(keys: dict[KeyId, ContentKey], path: LicensePath = LicensePath.LOCAL) -> Callable[..., None]:
    """A content protection manager that hands in these keys."""

    def answer(rights: RightsProxy, message: BeginEnableContent) -> None:
        rights.answered(message.ticket, path, encode_jwk_set(keys))

    return answer


def sealed(policy: Policy) -> Callable[..., None]:
    """A license server of the sealed form."""
    import msgspec

    def answer(rights: RightsProxy, message: BeginEnableContent) -> None:
        request = verify_request(msgspec.json.decode(message.activate.data)["pmp"])
        rights.answered(message.ticket, LicensePath.SEALED, seal(request, {k: KEYS[k] for k in request.kids}, policy))

    return answer


def failure(home: Home) -> DRMError:
    """What setting the topology came to."""
    event = home.until(E.SESSION_TOPOLOGY_SET)[-1]
    with pytest.raises(DRMError) as raised:
        event.raise_for_status()
    return raised.value


def test_a_protected_play_through(encrypted: Path, clear: Path, home: Callable[..., Home]) -> None:
    at, plain = home(encrypted, answer=with_keys(KEYS)), home(clear)
    at.session.set_topology(at.topology())
    events = at.until(E.SESSION_TOPOLOGY_STATUS)
    # Asked once: a license that names the keys of sound and picture serves both streams.
    assert kinds(events) == [114, 115, 101, 112, 110, (111, 100)]
    assert [event.values.get("license_path") for event in events[:2]] == [None, "local"]
    plain.ready()
    for each in (at, plain):
        each.session.start()
        each.until(E.SESSION_ENDED)
    assert at.lines() == plain.lines()


def test_protected_content_at_level_0_is_refused_before_anybody_is_asked(
    encrypted: Path, home: Callable[..., Home]
) -> None:
    at = home(encrypted, environment=Environment(level=0))
    at.session.set_topology(at.topology())
    event = at.event()
    assert (event.type, event.status) == (E.SESSION_TOPOLOGY_SET, HResult.MF_E_NON_PE_PROCESS)
    with pytest.raises(IsolationError):
        event.raise_for_status()
    assert (at.asked, at.source.log, at.host.made) == ([], [], [])


def test_clear_content_at_level_0_plays(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear, environment=Environment(level=0))
    at.ready()
    at.session.start()
    at.until(E.SESSION_ENDED)


def test_an_untrusted_sink_is_refused_before_a_sample_flows_and_before_a_license_is_asked_for(
    encrypted: Path, home: Callable[..., Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaultySink, "place", "open")
    monkeypatch.setattr(FaultySink, "failure", AssertionError("the sink was opened"))
    at = home(encrypted, components={FAULTY: FaultySink}, answer=with_keys(KEYS))
    at.session.set_topology(at.topology(SinkActivate(FAULTY)))
    assert isinstance(failure(at), OutputNotAllowedError)
    assert at.asked == []
    assert not [entry for entry in at.source.log if entry.startswith("select")]


def test_a_trusted_sink_does_not_open_the_way_to_an_untrusted_one(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, components={FAULTY: FaultySink}, answer=with_keys(KEYS))
    at.session.set_topology(at.topology(SinkActivate(DISCARD_SINK), SinkActivate(FAULTY)))
    assert isinstance(failure(at), OutputNotAllowedError)


def test_a_server_that_never_gives_the_right_ones_is_asked_four_times_at_most(
    encrypted: Path, home: Callable[..., Home]
) -> None:
    """It says each time that the device is not known, and takes each registration."""

    def answer(rights: RightsProxy, message: BeginEnableContent) -> None:
        if message.activate.type is EnableType.INDIVIDUALIZATION:
            rights.answered(message.ticket, LicensePath.NONE, b"")
        else:
            unknown = LicenseError("who is that", hresult=HResult.NS_E_DRM_NEEDS_INDIVIDUALIZATION)
            rights.failed(EnablerFailed(1, message.ticket, unknown.to_record()))

    at = home(encrypted, environment=Environment(device_key=DEVICE_KEY), answer=answer)
    at.session.set_topology(at.topology())
    assert isinstance(failure(at), LicenseRefusedError)
    assert [m.activate.type for m in at.asked] == [EnableType.LICENSE_ACQUISITION, EnableType.INDIVIDUALIZATION] * 2


@pytest.mark.parametrize(
    ("keys", "kind", "words"),
    [
        ({}, KeyMissingError, str(VIDEO)),
        ({AUDIO: KEYS[AUDIO]}, KeyMissingError, str(VIDEO)),
        ({VIDEO: KEYS[VIDEO]}, KeyMissingError, str(AUDIO)),
        ({VIDEO: KEYS[AUDIO], AUDIO: KEYS[VIDEO]}, KeyWrongError, str(VIDEO)),
        ({**KEYS, AUDIO: ContentKey(bytes(16))}, KeyWrongError, str(AUDIO)),
    ],
)
def test_keys_that_do_not_do_are_told_before_a_frame_is_shown(
    encrypted: Path, home: Callable[..., Home], keys: dict, kind: type, words: str
) -> None:
    at = home(encrypted, answer=with_keys(keys))
    at.session.set_topology(at.topology())
    error = failure(at)
    assert type(error) is kind
    assert words in error.kids
    assert at.lines() == []
    at.session.start()
    assert at.event().status == HResult.MF_E_INVALIDREQUEST


def test_swapped_keys_are_named(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, answer=with_keys({VIDEO: KEYS[AUDIO], AUDIO: KEYS[VIDEO]}))
    at.session.set_topology(at.topology())
    assert "swapped" in failure(at).maybe


def test_close_while_a_license_never_comes_is_prompt(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted)  # nobody answers
    at.session.set_topology(at.topology())
    eventually(lambda: at.asked)
    start = time.monotonic()
    at.session.close()
    events = at.until(E.SESSION_CLOSED)
    assert time.monotonic() - start < 1
    assert kinds(events) == [114, 115, 101, 106]
    assert [event.status for event in events[1:3]] == [HResult.MF_E_OPERATION_CANCELLED] * 2
    at.no_more_events()


def test_shutdown_while_a_license_never_comes_is_prompt(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted)
    at.session.set_topology(at.topology())
    eventually(lambda: at.asked)
    start = time.monotonic()
    at.session.shutdown()
    assert time.monotonic() - start < 1


def test_a_license_that_comes_late_or_twice_changes_nothing(encrypted: Path, home: Callable[..., Home]) -> None:
    twice = with_keys(KEYS)

    def answer(rights: RightsProxy, message: BeginEnableContent) -> None:
        twice(rights, message)
        twice(rights, message)
        rights.failed(EnablerFailed(1, message.ticket, LicenseError("and now not").to_record()))

    at = home(encrypted, answer=answer)
    at.ready()
    with pytest.raises(DRMError, match="never given out"):
        at.rights.answered(99, LicensePath.LOCAL, b"{}")


def test_a_license_that_ends_in_mid_play_ends_the_play(encrypted: Path, home: Callable[..., Home]) -> None:
    policy = Policy(actions=(Action.PLAY, Action.HASH), expires=int(time.time()) + 2)
    at = home(encrypted, environment=Environment(device_key=DEVICE_KEY), answer=sealed(policy))
    at.source.allow(10_000)
    at.ready()
    stop = threading.Event()

    def drip() -> None:  # a sample every now and then: play is still going on when the license ends
        allowed = at.source._read
        while not stop.wait(0.05):
            allowed += 1
            at.source.allow(allowed)

    at.source.allow(at.source._read)
    dripping = threading.Thread(target=drip)
    dripping.start()
    at.session.start()
    events = at.until(E.POLICY_ERROR)
    late = time.time() - policy.expires
    stop.set()
    dripping.join()
    with pytest.raises(LicenseExpiredError):
        events[-1].raise_for_status()
    assert -0.1 < late < 1.5


def test_a_sealed_license_without_the_action_is_refused(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(
        encrypted, environment=Environment(device_key=DEVICE_KEY), answer=sealed(Policy(actions=(Action.EXPORT,)))
    )
    at.session.set_topology(at.topology())
    assert isinstance(failure(at), OutputNotAllowedError)


def test_a_license_above_the_level_is_refused(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, environment=Environment(1, DEVICE_KEY), answer=sealed(Policy(min_level=2)))
    at.session.set_topology(at.topology())
    assert "isolation level 2" in failure(at).what


@pytest.mark.parametrize("end", ["close", "stop", "natural", "failure"])
def test_keys_and_decrypters_end_with_the_topology(encrypted: Path, home: Callable[..., Home], end: str) -> None:
    at = home(encrypted, answer=with_keys(KEYS))
    at.ready()
    decrypter = at.source.authorities[1].get_decrypter()
    at.source.allow(at.source._read + (10**6 if end == "natural" else 5))
    at.session.start()
    at.until(E.SESSION_STARTED)
    if end == "failure":
        at.source.fails_after = (0, ValueError("planted"))
        at.source.allow(None)
        at.until(E.ERROR)
    elif end == "natural":
        at.until(E.SESSION_ENDED)
    else:
        getattr(at.session, end)()
        at.until(E.SESSION_CLOSED if end == "close" else E.SESSION_STOPPED)
    if end != "close":  # until then it may be started again
        assert all(authority.key_ids for authority in at.source.authorities.values())
        at.session.set_topology(None, SetTopologyFlags.CLEAR_CURRENT)
        at.until(E.SESSION_TOPOLOGY_SET)
    assert [authority.key_ids for authority in at.source.authorities.values()] == [(), ()]
    for authority in at.source.authorities.values():
        with pytest.raises(SessionShutdownError):
            authority.get_decrypter()
    with pytest.raises(InvalidRequestError) as dead:
        decrypter.decrypt_into(memoryview(b""), None, memoryview(bytearray()))
    assert dead.value.hresult == HResult.MF_E_UNRECOVERABLE_ERROR_OCCURRED


def test_a_protected_stream_without_authority_is_refused(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, answer=with_keys(KEYS))
    at.source.authorities.clear()
    at.session.set_topology(at.topology())
    assert failure(at).hresult == HResult.MF_E_TOPO_CANNOT_FIND_DECRYPTOR


def test_an_unknown_class_is_refused(clear: Path, home: Callable[..., Home]) -> None:
    at = home(clear)
    at.session.set_topology(at.topology(SinkActivate(UUID(int=5))))
    assert failure(at).hresult == HResult.REGDB_E_CLASSNOTREG
