"""A key that rotates in and is not there: play halts at its sample, names the KID, and goes on when it has come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app import rights_service
from drm.errors import DRMError, KeyMissingError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from tests.conformance.mfcreatemediasession.world import Stage, eventually, kinds
from tests.conformance.pmp_media_session.rights.world import ByHand, Recorded
from tests.conformance.test_rotation import KEYS, TOLD, kids, late
from tests.interop.command import Command, write_keys

assert late is not None  # a fixture: a film whose second key is named by its samples alone

FAILURES = {E.ERROR, E.POLICY_ERROR}


def keys_file(path: Path, keys: dict[KeyId, ContentKey]) -> Path:
    return write_keys(path, [(str(kid), key.secret.hex()) for kid, key in keys.items()])


def ending(at: Stage) -> MediaEvent:
    """How play goes: the event that ends it, or halts it."""
    while (event := at.event()).type not in {E.SESSION_ENDED, *FAILURES}:
        pass
    return event


def missing(event: MediaEvent) -> KeyMissingError:
    assert event.type == E.ERROR
    with pytest.raises(KeyMissingError) as raised:
        event.raise_for_status()
    return raised.value


@pytest.fixture
def whole(session: Callable[..., Stage], late: Path) -> list[str]:
    """The frames of a play that lacks nothing."""
    at = session(ByHand(lambda asked: asked.give_keys(KEYS)), late)
    at.ready()
    at.to_the_end()
    assert len(at.lines()) == TOLD["tracks"][0]["decoded_frames"]
    return at.lines()


def test_play_goes_on_at_the_very_sample_when_the_server_has_learned_the_key(
    session: Callable[..., Stage], clearkey_servers: Callable, late: Path, whole: list[str], tmp_path: Path
) -> None:
    named, needed = kids(late)
    clearkey, store = Command(tmp_path), tmp_path / "keys.db"
    known = {kid: key for kid, key in KEYS.items() if kid in named}
    assert clearkey("keys", "import", "--store", store, keys_file(tmp_path / "known", known)).code == 0
    manager = Recorded(clearkey_servers(store=store).license_url)
    at = session(manager, late)
    at.ready()
    at.session.start()
    first = missing(ending(at))
    assert str(needed[len(named)]) in first.kids
    assert "track 1" in first.where
    stands, asked = at.time(), len(manager.asked)
    assert 0 < stands < 10
    # It is asked for again at each start, and stands where it stood.
    at.session.start()
    assert missing(ending(at)).kids == first.kids
    assert (at.time(), len(manager.asked)) == (stands, asked + 1)
    assert clearkey("keys", "import", "--store", store, keys_file(tmp_path / "all", KEYS)).code == 0
    at.session.start()
    assert ending(at).type == E.SESSION_ENDED
    assert at.lines() == whole, "every frame once, none left out"


def test_the_session_that_halted_takes_every_command(
    session: Callable[..., Stage], late: Path, whole: list[str]
) -> None:
    manager = ByHand()
    at = session(manager, late)
    at.session.set_topology(at.topology())
    first = manager.wait()
    first.give_keys({kid: KEYS[kid] for kid in first.enabler.key_ids})
    at.until(E.SESSION_TOPOLOGY_STATUS)
    for count, commands in enumerate([("pause",), ("stop",), ("pause", "stop"), ()], start=2):
        at.session.start()
        asked = manager.wait(count)
        asked.enabler.cancel()
        asked.answer()
        assert ending(at).status == HResult.MF_E_OPERATION_CANCELLED
        for command in commands:
            getattr(at.session, command)()
            assert at.event().status == HResult.S_OK
    at.session.start(0)  # a seek, out of the halt
    manager.wait(6).give_keys(KEYS)
    assert ending(at).type == E.SESSION_ENDED
    assert at.lines()[-len(whole) :] == whole
    at.session.close()
    assert at.until(E.SESSION_CLOSED)[-1].status == HResult.S_OK


def test_close_out_of_the_halt(session: Callable[..., Stage], late: Path) -> None:
    manager = ByHand()
    at = session(manager, late)
    at.session.set_topology(at.topology())
    first = manager.wait()
    first.give_keys({kid: KEYS[kid] for kid in first.enabler.key_ids})
    at.session.start()
    manager.wait(2).answer(DRMError("not now"))
    assert ending(at).status == HResult.E_FAIL
    at.session.close()
    assert kinds(at.until(E.SESSION_CLOSED))[-1] == 106
    at.no_more_events()


@pytest.mark.parametrize("calls_back", [True, False])
def test_an_enabler_that_was_called_off_is_waited_for_before_the_next(
    session: Callable[..., Stage], late: Path, monkeypatch: pytest.MonkeyPatch, calls_back: bool
) -> None:
    """Nested calls are none of the manager's duties. One that never calls back is not asked again."""
    monkeypatch.setattr(rights_service, "_GRACE", 0.5)
    manager = ByHand()
    at = session(manager, late)
    at.session.set_topology(at.topology())
    first = manager.wait()
    first.give_keys({kid: KEYS[kid] for kid in first.enabler.key_ids})
    at.until(E.SESSION_TOPOLOGY_STATUS)
    at.session.start()
    second = manager.wait(2)
    at.session.stop()
    at.until(E.SESSION_STOPPED)
    assert second.enabler.cancelled.is_set()
    at.session.start()
    at.until(E.LICENSE_ACQUISITION_START)
    assert len(manager.asked) == 2
    if calls_back:
        second.answer()
        manager.wait(3).give_keys(KEYS)
        assert ending(at).type == E.SESSION_ENDED
    else:
        assert ending(at).status == HResult.E_FAIL
        assert len(manager.asked) == 2
        second.answer()
        at.session.start()
        manager.wait(3).give_keys(KEYS)
        assert ending(at).type == E.SESSION_ENDED
    eventually(lambda: at.session._rights._at_work is None)
