"""Media of which a sample is damaged: it plays, and the session says so; it is not taken for a wrong key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drm.errors import KeyWrongError
from drm.media import Sample, TrackInfo, TrackType
from drm.session.events import MediaEventType as E
from drm.session.key_check import KeyOutcome, KeyVerdict, raise_for_verdict
from tests.unit.session.conftest import KEYS
from tests.unit.session.home import Home, LocalSource
from tests.unit.session.test_rights import with_keys


def damaged(source: LocalSource, number: int) -> None:
    """Have the coded slice of one picture be noise, each time that it is read."""
    whole = source.media.read_into
    order: dict[int, int] = {}

    def read_into(sample: Sample, into: memoryview) -> None:
        whole(sample, into)
        if sample.track_id == 1 and order.setdefault(sample.dts, len(order)) == number:
            into[:4] = b"\xff\xff\xff\xff"  # the length of its first NAL unit, which is never encrypted

    source.media.read_into = read_into  # type: ignore[method-assign]  # the file, damaged here


def test_a_damaged_sample_is_a_note_and_no_wrong_key(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, answer=with_keys(KEYS))
    damaged(at.source, 1)
    at.session.set_topology(at.topology())
    event = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    event.raise_for_status()
    assert "damaged media, or another dialect" in event.values["notes"]
    assert "track 1" in event.values["notes"]
    assert "encrypted samples decode with it" in event.values["notes"]


def test_sound_media_has_no_note(encrypted: Path, home: Callable[..., Home]) -> None:
    at = home(encrypted, answer=with_keys(KEYS))
    at.session.set_topology(at.topology())
    event = at.until(E.SESSION_TOPOLOGY_SET)[-1]
    event.raise_for_status()
    assert "notes" not in event.values


@pytest.mark.parametrize(("failed", "is_damage_likely"), [(15, True), (35, True), (36, False), (72, False)])
def test_damage_is_thought_of_where_most_samples_decode(failed: int, is_damage_likely: bool) -> None:
    """Nothing decodes under a wrong key: to speak of damage then would have a user look for another file."""
    (key_id,) = list(KEYS)[:1]
    track = TrackInfo(1, TrackType.VIDEO, "avc1", 1000)
    verdict = KeyVerdict(track, key_id, KeyOutcome.WRONG, checked=72, failed=failed)
    with pytest.raises(KeyWrongError) as refused:
        raise_for_verdict(verdict)
    assert ("the file may be damaged" in refused.value.maybe) is is_damage_likely
    assert ("the key belongs to another KID" in refused.value.maybe) is not is_damage_likely
    assert refused.value.seen == f"{72 - failed} of 72 encrypted samples decode with it"
