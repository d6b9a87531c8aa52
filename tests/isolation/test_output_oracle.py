"""No output is a decryption oracle: an application that mislabels protected bytes is told nothing of them.

Each attack runs in the real, locked worker, under a sealed license; and once more under one that lets the application
have the samples, where it must find every byte, or it would prove nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from drm.class_ids import DISCARD_SINK, HASH_SINK, SNAPSHOT_SINK
from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.errors import DRMError, OutputNotAllowedError
from drm.keys import ContentKey
from drm.media import Scheme, TrackType
from drm.rights.policy import Action, Policy
from drm.session.events import MediaEventType as E
from drm.session.topology import SinkActivate, SourceStreamNode, Topology
from sample_content.clip import Clip, make_clip
from tests.conformance.pmp_media_session.trusted_world import Playing, SealingManager, Source, playing
from tests.isolation.mislabelled import (
    KEY,
    KEY_ID,
    SECRET,
    Mislabelled,
    as_flac,
    as_one_whole_sample_twice,
    as_pcm,
    found_in_flac,
    found_in_pcm,
    stored,
    track,
)

PLAY, HASH, SNAPSHOT, EXTRACT = Action.PLAY, Action.HASH, Action.SNAPSHOT, Action.EXTRACT
ATTACKS = {"pcm": (as_pcm, found_in_pcm), "flac": (as_flac, found_in_flac)}


def under(policy: Policy, key: ContentKey = KEY) -> SealingManager:
    return SealingManager({KEY_ID: key}, policy)


def outcome(at: Playing, *sinks: SinkActivate) -> DRMError | None:
    """What became of playing this: None, or what ended it."""
    set_up = at.set_up(*sinks)
    try:
        set_up.raise_for_status()
        at.session.start()
        at.until(E.SESSION_ENDED, E.ERROR, E.POLICY_ERROR).raise_for_status()
    except DRMError as error:
        return error
    return None


class Attacker(Playing):
    """A session over a source that no file is behind."""

    def close(self) -> None:
        self.source.stream = type("Nothing", (), {"close": lambda _self: None})()
        super().close()


@pytest.fixture
def attack() -> Callable[..., Attacker]:
    made = []

    def begin(source: Mislabelled, policy: Policy, key: ContentKey = KEY) -> Attacker:
        made.append(Attacker(source, under(policy, key)))
        return made[-1]

    yield begin
    for each in made:
        each.close()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_control_a_license_that_lends_the_samples_gives_every_byte(attack, name: str) -> None:
    make, found = ATTACKS[name]
    at = attack(make(), Policy(actions=(PLAY, HASH, EXTRACT), sealed_only=True))
    assert outcome(at) is None
    assert found(at.lines()) == SECRET


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("rules", [{}, {"constrict": True}, {"constrict": 16}], ids=["plain", "constrict", "smallest"])
def test_playing_alone_gives_no_hash(attack, name: str, rules: dict) -> None:
    at = attack(ATTACKS[name][0](), Policy(actions=(PLAY,), sealed_only=True, **rules))
    error = outcome(at)
    assert isinstance(error, OutputNotAllowedError)
    assert error.exit_code == 6
    assert "'hash'" in error.what
    assert "--actions play,hash" in error.remedy
    assert at.lines() == []


@pytest.mark.parametrize("name", ATTACKS)
def test_hashes_alone_give_no_byte(attack, name: str) -> None:
    at = attack(ATTACKS[name][0](), Policy(actions=(PLAY, HASH), sealed_only=True))
    error = outcome(at)
    assert isinstance(error, OutputNotAllowedError)
    assert "extract" in error.what
    assert at.lines() == []


@pytest.mark.parametrize("decoder", ["pcm_s16le", "rawvideo", "pcm_dvd", "bmp", "prores", "", "../x", "libx264"])
@pytest.mark.parametrize(
    ("sink", "action"), [(HASH_SINK, HASH), (SNAPSHOT_SINK, SNAPSHOT)], ids=["hashes", "snapshots"]
)
def test_no_other_decoder_hands_out_what_it_is_given(attack, decoder: str, sink: object, action: Action) -> None:
    kind = TrackType.AUDIO if decoder.startswith("pcm") else TrackType.VIDEO
    source = as_pcm()
    source.track = track(decoder, "raw ", kind=kind, width=8, height=8)
    at = attack(source, Policy(actions=(PLAY, action), sealed_only=True))
    options = {"times": [0.0]} if sink == SNAPSHOT_SINK else {}
    assert outcome(at, SinkActivate(sink, options, at.handed)) is not None
    assert at.lines() == []


def test_raw_sound_plays_where_nothing_leaves(attack) -> None:
    at = attack(Mislabelled(track("pcm_u8", "raw "), [as_pcm().samples[-1]]), Policy(sealed_only=True))
    assert outcome(at, SinkActivate(DISCARD_SINK)) is None
    assert at.said[-1].values["sink0.frames"] == 1


def test_events_and_counts_are_the_same_whatever_the_bytes_are(attack) -> None:
    """The same stored bytes under two keys are two clear contents. Nothing that the worker says tells which it was."""
    told = []
    for key in (KEY, ContentKey(b"another secret !")):
        source = Mislabelled(track("pcm_u8", "raw "), [as_pcm().samples[-1]])
        at = attack(source, Policy(sealed_only=True), key)
        assert outcome(at, SinkActivate(DISCARD_SINK)) is None
        told.append([
            (event.type, event.status, event.values | {"topology": 0}, msgspec.to_builtins(event.error))
            for event in at.said
        ])  # fmt: skip
    assert told[0] == told[1]
    assert len(told[0]) > 5


def test_a_counter_gives_one_hash_at_most_where_hashes_are_granted(attack) -> None:
    """The limit of what `hash` gives away: a decoder that is told to stop early, once for each IV."""
    control = attack(as_flac(whole=True), Policy(actions=(PLAY, HASH, EXTRACT), sealed_only=True))
    assert outcome(control) is None
    assert found_in_flac(control.lines()) == SECRET
    at = attack(as_flac(whole=True), Policy(actions=(PLAY, HASH), sealed_only=True))
    assert isinstance(outcome(at), OutputNotAllowedError)
    assert len(at.lines()) <= 1


def test_a_counter_opens_one_sample_and_the_error_says_no_more(attack) -> None:
    """Under play alone, a changed bit would be an answer: did the decoder mind?"""
    at = attack(as_one_whole_sample_twice(), Policy(sealed_only=True))
    error = outcome(at, SinkActivate(DISCARD_SINK))
    assert isinstance(error, OutputNotAllowedError)
    assert "IV of KID" in error.what
    control = attack(as_one_whole_sample_twice(), Policy(actions=(PLAY, EXTRACT), sealed_only=True))
    assert outcome(control, SinkActivate(DISCARD_SINK)) is None


def test_a_license_says_what_kind_of_track_a_key_is_for(attack) -> None:
    rules = {"actions": (PLAY, HASH, EXTRACT), "tracks": {str(KEY_ID): (TrackType.VIDEO,)}}
    at = attack(as_pcm(), Policy(**rules))
    error = outcome(at)
    assert isinstance(error, OutputNotAllowedError)
    assert "for video alone" in error.what
    both = attack(as_pcm(), Policy(**rules | {"tracks": {str(KEY_ID): (TrackType.VIDEO, TrackType.AUDIO)}}))
    assert outcome(both) is None


# ------------------------------------------------------------------------------------------------ real films
@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    make_clip(folder / "clear.mp4", Clip(width=160, height=96, frames=30))
    given = TrackEncryption(KEY_ID, KEY)
    encrypt_file(folder / "clear.mp4", folder / "film.mp4", scheme=Scheme.CENC,
                 tracks={TrackType.VIDEO: given, TrackType.AUDIO: given})  # fmt: skip
    return folder / "film.mp4"


def test_with_hash_granted_a_film_gives_the_hashes_of_its_frames(film: Path) -> None:
    with (
        playing(Source(film), under(Policy(actions=(PLAY, HASH), sealed_only=True))) as at,
        playing(Source(film.with_name("clear.mp4")), None) as plain,
    ):
        assert outcome(at) is outcome(plain) is None
        assert at.lines() == plain.lines() != []


@pytest.mark.parametrize("action", [SNAPSHOT, PLAY])
def test_a_snapshot_is_granted_by_its_own_name(film: Path, action: Action) -> None:
    with playing(Source(film), under(Policy(actions=(PLAY, action), sealed_only=True))) as at:
        error = outcome(at, SinkActivate(SNAPSHOT_SINK, {"times": [0.0]}, at.handed))
        assert (error is None) == (action is SNAPSHOT)
        assert (os.fstat(at.output).st_size > 0) is (action is SNAPSHOT)


def trimmed(at: Playing, media_start: int) -> DRMError | None:
    topology: Topology = Topology(at.source)
    for stream in at.source.streams():
        if stream.track.type is TrackType.AUDIO:
            node = SourceStreamNode(stream, media_start=media_start)
            topology.connect(node, SinkActivate(HASH_SINK, {}, at.handed))
    at.session.set_topology(topology)
    try:
        at.until(E.SESSION_TOPOLOGY_SET).raise_for_status()
        at.session.start()
        at.until(E.SESSION_ENDED, E.ERROR, E.POLICY_ERROR).raise_for_status()
    except DRMError as error:
        return error
    return None


def test_sound_cannot_be_trimmed_to_a_sample_that_trying_would_find(film: Path) -> None:
    """A start of playback inside a frame of sound leaves a piece of it: here, of one sample."""
    sizes = {}
    for name, actions in {"control": (PLAY, HASH, EXTRACT), "attack": (PLAY, HASH)}.items():
        with playing(Source(film), under(Policy(actions=actions, sealed_only=True))) as at:
            (stream,) = [each for each in at.source.streams() if each.track.type is TrackType.AUDIO]
            rate = stream.track.sample_rate
            start = -(-(1023 * 10_000_000) // rate)  # all but the last sample of the first frame of AAC
            error = trimmed(at, start)
            sizes[name] = [int(line.split(",")[4]) for line in at.lines()]
    assert sizes["control"][0] <= 2 * stream.track.channels * 2
    assert isinstance(error, OutputNotAllowedError)
    assert "too small" in error.what or "not hashed" in error.what
    assert sizes["attack"] == []


def test_pictures_cannot_be_constricted_to_a_few_bytes_and_hashed(film: Path) -> None:
    for actions, goes in (((PLAY, HASH, EXTRACT), True), ((PLAY, HASH), False)):
        with playing(Source(film), under(Policy(actions=actions, constrict=16))) as at:
            assert (outcome(at) is None) is goes
            assert [line for line in at.lines() if line.startswith("0,") and int(line.split(",")[4]) < 64] == (
                at.lines()[:0] if not goes else [line for line in at.lines() if line.startswith("0,")]
            )


def test_what_the_attacks_look_for_is_nowhere_in_what_the_application_has() -> None:
    assert stored() != SECRET
