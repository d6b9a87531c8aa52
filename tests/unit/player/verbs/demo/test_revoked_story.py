"""What the demonstration of a revocation does to the folders that it was given."""

from __future__ import annotations

from pathlib import Path

import pytest

from drm.class_ids import BUILT_IN
from drm.errors import InvalidArgumentError
from player.verbs.demo.revoked_story import RevokedStory


def test_the_authority_is_gone_afterwards(tmp_path: Path) -> None:
    with RevokedStory(tmp_path / "store") as story:
        story.publish()
        authority = story.repository.parent
        assert list(authority.glob("keys/*")), "the control: there are signing keys"
        assert not any((parent / ".git").exists() for parent in authority.parents)
    assert not authority.parent.exists()


def test_an_earlier_store_is_removed(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "lock").touch()
    (store / "old").touch()
    with RevokedStory(store) as story:
        story.publish()
    assert not store.exists()


def test_another_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with RevokedStory(tmp_path) as story, pytest.raises(InvalidArgumentError):
        story.publish()
    assert (tmp_path / "holiday.jpg").exists()


def test_every_component_is_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with RevokedStory(tmp_path / "store") as story:
        story.publish()
    assert f"signed {len(BUILT_IN)} components" in capsys.readouterr().out
