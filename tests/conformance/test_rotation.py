"""A key that rotates in long after the start, named by its samples alone: a license is asked for in mid-play.

A source looks through the first 256 fragments for key ids. So 256 empty ones are put before the key changes.
"""

from __future__ import annotations

import hashlib
import struct
import time
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.rights.managers import LocalKeysManager
from drm.errors import KeyMissingError
from drm.isobmff.box import encode_box, encode_full_box, top_boxes
from drm.isobmff.samples import SURVEYED, open_presentation
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks
from player.playback import Playback
from tests.conformance.test_vectors import OWN, manifest

NAME = "pk_cenc_rot_v"
TOLD = manifest(OWN)[NAME]
KEYS = {KeyId.parse(pair["kid"]): ContentKey.parse(pair["key"]) for pair in TOLD["keys"]}
ACQUIRED = {"LICENSE_ACQUISITION_START", "LICENSE_ACQUISITION_COMPLETED"}


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = OWN / TOLD["files"][0]["path"]
    data = path.read_bytes()
    with FileByteStream([str(path)]) as stream:
        moofs = [top.start for top in top_boxes(stream) if top.type == "moof"]
    assert len(moofs) > 1
    empty = encode_box("moof", encode_full_box("mfhd", 0, 0, struct.pack(">I", 9)))
    made = tmp_path_factory.mktemp("rotation") / "late.mp4"
    made.write_bytes(data[: moofs[1]] + empty * SURVEYED + data[moofs[1] :])
    return made


def kids(path: Path) -> tuple[list[KeyId], list[KeyId]]:
    """The key ids that are named before playback, and those that samples need."""
    with FileByteStream([str(path)]) as stream:
        media = open_presentation(stream)
        (descriptor,) = media.streams()
        needed = dict.fromkeys(sample.crypto.key_id for sample in media.samples(1) if sample.crypto)
        return list(descriptor.key_ids), list(needed)


def test_the_license_is_asked_for_when_its_sample_comes_and_playback_goes_on(late: Path) -> None:
    named, needed = kids(late)
    assert len(named) < len(needed)
    events = []
    playback = Playback([str(late)], manager=LocalKeysManager(KEYS), on_event=events.append)
    assert playback.run().frames == TOLD["tracks"][0]["decoded_frames"]
    started = next(at for at, event in enumerate(events) if event.name == "SESSION_STARTED")
    before, after = events[:started], events[started:]
    assert [event.values["kids"] for event in before if event.name in ACQUIRED] == [", ".join(map(str, named))] * 2
    assert [(event.name, event.values["kids"]) for event in after if event.name in ACQUIRED] == [
        (name, str(kid)) for kid in needed[len(named) :] for name in sorted(ACQUIRED, reverse=True)
    ]


def test_a_key_that_does_not_come_ends_playback_at_that_sample(late: Path) -> None:
    named, needed = kids(late)
    held = {kid: key for kid, key in KEYS.items() if kid in named}
    events = []
    with pytest.raises(KeyMissingError, match=str(needed[len(named)])) as missing:
        Playback([str(late)], manager=LocalKeysManager(held), on_event=events.append).run()
    assert missing.value.exit_code == 4
    assert "track 1" in missing.value.where
    assert "s after its start" in missing.value.where
    assert "SESSION_STARTED" in [event.name for event in events]


def test_the_file_is_the_vector_all_the_same(late: Path) -> None:
    assert hashlib.sha256(late.read_bytes()).hexdigest() != TOLD["files"][0]["sha256"]
    with FileByteStream([str(late)]) as stream:
        (found,), _ = digest_tracks(stream, KEYS, frozenset())
    assert found.sha256 == TOLD["tracks"][0]["sha256"]


class Never(LocalKeysManager):
    """Answers the first time, and then no more."""

    answered = False

    def begin_enable_content(self, *arguments) -> None:
        if not self.answered:
            self.answered = True
            super().begin_enable_content(*arguments)


class StoppedError(Exception):
    pass


def test_stop_ends_the_wait_for_a_license_in_mid_play(late: Path) -> None:
    sessions, names = [], []

    def on_event(event) -> None:
        names.append(event.name)
        if event.name == "LICENSE_ACQUISITION_START" and "SESSION_STARTED" in names:
            sessions[0].stop()
        if event.name == "SESSION_STOPPED":
            raise StoppedError

    begin = time.monotonic()
    with pytest.raises(StoppedError):
        Playback([str(late)], manager=Never(KEYS), on_event=on_event, on_ready=sessions.append).run()
    assert time.monotonic() - begin < 10
