"""Outputs and policies in a real locked worker: what a license asks of outputs holds there, also in mid-play."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from drm.app.rights.managers import LicenseManager, LocalKeysManager
from drm.class_ids import CLEARKEY_ITA, DISCARD_SINK, VIDEO_CONSTRICTOR
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import InvalidArgumentError, LicenseExpiredError, MalformedMediaError, OutputNotAllowedError
from drm.hresult import HResult
from drm.keys import ContentKey, KeyId
from drm.media import Sample, Scheme
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate
from drm.wire.specs import NodeKind
from license_server.process import LicenseServer
from sample_content.clip import Clip, make_clip
from tests.conformance.pmp_media_session.trusted_world import (
    UNBOUND_ITA,
    WAITING_SINK,
    Playing,
    SealingManager,
    Source,
    playing,
    simulated,
)
from tests.conformance.test_rotation import KEYS as ROTATED_KEYS
from tests.conformance.test_rotation import kids, late  # noqa: F401 - `late` is a fixture

KEY_ID, KEY = KeyId(b"the key id, here"), ContentKey(b"and the key for.")
LOCAL = LocalKeysManager({KEY_ID: KEY})
FRAMES = 45
HASHED = (Action.PLAY, Action.HASH)


@pytest.fixture(scope="module")
def clear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clear.mp4"
    make_clip(path, Clip(width=160, height=90, frames=FRAMES, gop=15, sound=False))
    return path


@pytest.fixture(scope="module")
def film(clear: Path) -> Path:
    return protected(clear)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1280x720: more pixels than a constricted picture may have."""
    path = tmp_path_factory.mktemp("clips") / "large.mp4"
    make_clip(path, Clip(width=1280, height=720, frames=10, preset="ultrafast", sound=True))
    return protected(path)


def protected(clear: Path) -> Path:
    path = clear.with_name(f"cenc_{clear.name}")
    told = TrackEncryption(KEY_ID, KEY)
    encrypt_file(clear, path, scheme=Scheme.CENC, tracks=lambda tracks: {each.track_id: told for each in tracks})
    return path


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARKEY_HOME", str(tmp_path_factory.getbasetemp() / "trusted_outputs_home"))


def sealed(rules: Policy | dict[KeyId, Policy], keys: dict[KeyId, ContentKey] | None = None) -> SealingManager:
    return SealingManager(keys or {KEY_ID: KEY}, rules)


# ------------------------------------------------------------------------------------------------ the topology
def test_mf_106_a_clear_stream_with_an_authority_has_no_decrypter_and_plays(clear: Path) -> None:
    """The authority is asked in the worker, and answers MF_E_NOT_PROTECTED: a decrypter node is not made."""
    nothing = (CLEARKEY_ITA, b'{"track_id": 1, "scheme": "", "key_ids": []}')
    with playing(Source(clear, authority=nothing), None) as at:
        resolved = at.set_up()
        kinds = [node.kind for node in resolved.value.nodes]
        assert NodeKind.DECODER in kinds
        assert NodeKind.DECRYPTER not in kinds
        at.session.start()
        at.until(E.SESSION_ENDED)
        assert len(at.lines()) == FRAMES


def test_mf_109_a_failure_to_bind_access_is_the_topologys(film: Path) -> None:
    with playing(Source(film, authority=(UNBOUND_ITA, b"{}")), None, "unbound_ita") as at:
        event = at.set_up()
        assert event.status == HResult.E_INVALIDARG
        with pytest.raises(InvalidArgumentError, match="binds nothing"):
            event.raise_for_status()
        at.session.start()
        assert at.until(E.SESSION_STARTED).status == HResult.MF_E_INVALIDREQUEST
        assert at.lines() == []


# ------------------------------------------------------------------------------------------------ outputs
@pytest.mark.parametrize(
    ("hdcp", "sink", "status"),
    [
        (2, simulated("HDMI", "HDCP"), HResult.MF_E_POLICY_UNSUPPORTED),
        (1, simulated("HDMI", "HDCP"), HResult.S_OK),
        (2, simulated("HDMI", "HDCP_WITH_TYPE_ENFORCEMENT"), HResult.S_OK),
        (1, simulated("VGA", digital=False), HResult.MF_E_POLICY_UNSUPPORTED),
        (1, simulated("HDMI", "HDCP", fails=["HDCP"]), HResult.MF_E_POLICY_UNSUPPORTED),
        (1, SinkActivate(DISCARD_SINK), HResult.MF_E_POLICY_UNSUPPORTED),
        (0, SinkActivate(DISCARD_SINK), HResult.S_OK),
    ],
    ids=["plain-for-type-1", "plain", "type-1", "analog", "fails", "unknown-connector", "nothing-wanted"],
)
def test_mf_114_hdcp_is_wanted_of_the_output_that_is_there(
    film: Path, hdcp: int, sink: SinkActivate, status: int
) -> None:
    with playing(Source(film), sealed(Policy(hdcp=hdcp))) as at:
        event = at.set_up(sink)
        assert event.status == status
        if status:
            with pytest.raises(OutputNotAllowedError):
                event.raise_for_status()


def test_a_software_sink_is_refused_where_a_protected_connector_is_wanted(film: Path) -> None:
    with playing(Source(film), sealed(Policy(hdcp=1))) as at:
        assert at.set_up().status == HResult.MF_E_POLICY_UNSUPPORTED
        assert at.lines() == []


def test_mf_115_no_sample_reaches_an_output_before_its_policy_is_set(film: Path) -> None:
    with playing(Source(film), sealed(Policy(hdcp=2)), "waiting_sink") as at:
        begin = time.monotonic()
        ended = at.play(SinkActivate(WAITING_SINK, {"delay": 0.3}))
        assert (ended.values["sink0.frames"], ended.values["sink0.early"]) == (FRAMES, 0)
        numbers = at.numbers()
        assert numbers.count(E.POLICY_SET) == 1
        assert numbers.index(E.POLICY_SET) < numbers.index(E.SESSION_TOPOLOGY_SET)
        policy_set = next(event for event in at.said if event.type == E.POLICY_SET)
        assert policy_set.time - begin >= 0.3


def test_mf_115_a_session_that_closes_waits_for_no_output(film: Path) -> None:
    with playing(Source(film), LOCAL, "waiting_sink") as at:
        at.set(SinkActivate(WAITING_SINK, {"delay": 1000}))
        at.until(E.LICENSE_ACQUISITION_COMPLETED)
        begin = time.monotonic()
        at.session.close()
        at.until(E.SESSION_CLOSED)
        assert time.monotonic() - begin < 5


# ------------------------------------------------------------------------------------------------ changes in mid-play
def rotating(late: Path, first: Policy, then: Policy) -> dict[KeyId, Policy]:  # noqa: F811 - the fixture's value
    """Rules of the keys that are named before playback, and of those that come up in it."""
    named, needed = kids(late)
    assert set(needed) - set(named)
    return {kid: first if kid in named else then for kid in needed}


def changes(at: Playing) -> list[tuple[int, int]]:
    return [(e.type, e.values["policy_id"]) for e in at.said if e.type in {E.POLICY_CHANGED, E.POLICY_SET}]


def test_mf_117_an_output_that_cannot_follow_a_stricter_license_ends_playback(
    late: Path,  # noqa: F811
) -> None:
    rules = rotating(late, Policy(hdcp=1), Policy(hdcp=2))
    with playing(Source(late), sealed(rules, ROTATED_KEYS)) as at:
        ended = at.play(simulated("HDMI", "HDCP"))
        assert (ended.type, ended.status) == (E.POLICY_ERROR, HResult.MF_E_POLICY_UNSUPPORTED)
        with pytest.raises(OutputNotAllowedError, match="type 1"):
            ended.raise_for_status()
        assert [number for number, _ in changes(at)] == [E.POLICY_CHANGED]
        at.session.pause()
        assert at.until(E.SESSION_PAUSED).status == HResult.MF_E_SESSION_PAUSEWHILESTOPPED


def test_a_stricter_license_halts_until_every_policy_is_set_and_playback_goes_on(
    late: Path,  # noqa: F811
) -> None:
    rules = rotating(late, Policy(hdcp=1), Policy(hdcp=2))
    with playing(Source(late), sealed(rules, ROTATED_KEYS), "waiting_sink") as at:
        ended = at.play(SinkActivate(WAITING_SINK, {"delay": 0.2}))
        ended.raise_for_status()
        assert ended.type == E.SESSION_ENDED
        (first, zero), (changed, number), (was_set, same) = changes(at)
        assert (first, zero, changed, was_set) == (E.POLICY_SET, 0, E.POLICY_CHANGED, E.POLICY_SET)
        assert number == same != 0
        changes_to = next(event for event in at.said if event.type == E.POLICY_CHANGED)
        assert changes_to.values["hdcp"] == 2
        assert ended.values["sink0.early"] == 0
        assert ended.values["sink0.set"] == 2


def test_a_looser_license_does_not_halt(late: Path) -> None:  # noqa: F811
    rules = rotating(late, Policy(hdcp=2), Policy(hdcp=1))
    with playing(Source(late), sealed(rules, ROTATED_KEYS)) as at:
        assert at.play(simulated("HDMI", "HDCP_WITH_TYPE_ENFORCEMENT")).type == E.SESSION_ENDED
        assert changes(at) == []


def test_a_license_that_constricts_in_mid_play_scales_down_from_there_on(
    late: Path,  # noqa: F811
) -> None:
    rules = rotating(late, Policy(actions=HASHED), Policy(actions=HASHED, constrict=2000))
    with playing(Source(late), sealed(rules, ROTATED_KEYS)) as at:
        assert at.play().type == E.SESSION_ENDED
        sizes = [int(line.split(",")[4]) * 2 // 3 for line in at.lines()]  # yuv420p: one and a half bytes a pixel
        assert sizes[0] > 2000 >= sizes[-1]
        assert [number for number, _ in changes(at)] == [E.POLICY_CHANGED, E.POLICY_SET]


# ------------------------------------------------------------------------------------------------ constriction
def test_pictures_above_what_the_license_lets_out_are_scaled_down(large: Path) -> None:
    with playing(Source(large), sealed(Policy(actions=HASHED, constrict=True))) as at:
        resolved = at.set_up()
        assert VIDEO_CONSTRICTOR in {node.class_id for node in resolved.value.nodes}
        at.session.start()
        at.until(E.SESSION_ENDED)
        pictures = [line for line in at.lines() if line.startswith("0,")]
        assert {int(line.split(",")[4]) for line in pictures} == {960 * 540 * 3 // 2}
        assert len(pictures) == 10
        assert [line for line in at.lines() if line.startswith("1,")], "sound is not touched"


def test_rules_of_a_real_server_reach_the_worker_sealed(
    film: Path, clearkey_servers: Callable[..., LicenseServer]
) -> None:
    server = clearkey_servers(
        keys={KEY_ID: KEY}, policies={KEY_ID: Policy(actions=HASHED, constrict=2000, play_duration=3600)}
    )
    with playing(Source(film), LicenseManager(server.license_url)) as at:
        assert at.play().type == E.SESSION_ENDED
        assert {int(line.split(",")[4]) * 2 // 3 <= 2000 for line in at.lines()} == {True}


def test_small_pictures_go_through_untouched(film: Path) -> None:
    with (
        playing(Source(film), sealed(Policy(actions=HASHED, constrict=True))) as at,
        playing(Source(film), LOCAL) as plain,
    ):
        assert at.play().type == plain.play().type == E.SESSION_ENDED
        assert at.lines() == plain.lines() != []


# ------------------------------------------------------------------------------------------------ time
def test_a_play_duration_ends_playback_and_neither_stop_nor_seek_sets_it_back(film: Path) -> None:
    rules = Policy(actions=(Action.PLAY,), play_duration=1)
    manager = sealed(rules)
    with playing(Source(film), manager) as at:
        at.set_up(SinkActivate(DISCARD_SINK, {"in_time": True})).raise_for_status()
        manager.left = 0
        time.sleep(1.1)  # what was decrypted to check the key counts for nothing
        at.session.start()
        at.until(E.SESSION_STARTED).raise_for_status()
        begin = time.monotonic()
        time.sleep(0.3)
        at.session.stop()
        at.until(E.SESSION_STOPPED)
        time.sleep(0.8)
        at.session.start(0)
        ended = at.until(E.POLICY_ERROR, E.SESSION_ENDED)
        assert time.monotonic() - begin < 1.4
        assert (ended.type, ended.status) == (E.POLICY_ERROR, HResult.MF_E_LICENSE_OUTOFDATE)
        with pytest.raises(LicenseExpiredError, match="1 s"):
            ended.raise_for_status()


# ------------------------------------------------------------------------------------------------ samples
def at_sample(number: int, **crypto: object) -> Callable[[int, Sample], Sample]:
    def spoil(index: int, sample: Sample) -> Sample:
        if index != number:
            return sample
        return msgspec.structs.replace(sample, crypto=msgspec.structs.replace(sample.crypto, **crypto))

    return spoil


@pytest.mark.parametrize(
    ("subsamples", "words"),
    [(((0, 0), (10, 1)), "no bytes at all"), (((1, 999_999),), "cover 1000000 bytes")],
    ids=["empty-pair", "longer-than-the-sample"],
)
def test_mf_123_a_map_that_does_not_fit_ends_playback_in_the_worker(film: Path, subsamples: tuple, words: str) -> None:
    with playing(Source(film, at_sample(40, subsamples=subsamples)), LOCAL) as at:
        ended = at.play()
        assert (ended.type, ended.status) == (E.ERROR, HResult.MF_E_INVALID_FILE_FORMAT)
        with pytest.raises(MalformedMediaError, match=words):
            ended.raise_for_status()


def test_mf_124_a_pattern_of_one_number_ends_playback_in_the_worker(film: Path) -> None:
    with playing(Source(film, at_sample(40, crypt_blocks=1)), LOCAL) as at:
        ended = at.play()
        assert (ended.type, ended.status) == (E.ERROR, HResult.MF_E_INVALID_STREAM_DATA)


@pytest.mark.parametrize("count", [255, 256, 257, 1900])
def test_a_sample_of_very_many_subsamples_reaches_the_worker_whole(film: Path, count: int) -> None:
    """One protected range, told in so many parts, is the same range: CTR runs on from part to part."""

    def spoil(index: int, sample: Sample) -> Sample:
        if index != 0:
            return sample
        assert sample.crypto is not None
        ((clear, protected),) = sample.crypto.subsamples
        assert protected > count
        parts = ((clear, 1), *((0, 1) for _ in range(count - 2)), (0, protected - count + 1))
        assert len(parts) == count
        return msgspec.structs.replace(sample, crypto=msgspec.structs.replace(sample.crypto, subsamples=parts))

    with playing(Source(film, spoil), LOCAL) as at, playing(Source(film), LOCAL) as plain:
        assert at.play().type == plain.play().type == E.SESSION_ENDED
        assert at.lines() == plain.lines()
        assert len(plain.lines()) == FRAMES
