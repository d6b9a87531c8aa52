"""Media of which a sample is damaged: it plays, and the session says so; it is not taken for a wrong key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from drm.media import Sample
from drm.session.events import MediaEventType as E
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
