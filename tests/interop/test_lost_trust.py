"""What becomes of a store that lost something: by a copy, a backup, a full disk, `rm`. The command itself, each time.

Never an older list, never exit 0 with a revoked component; one `clearkey components update` heals.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from drm.class_ids import AV_DECODER
from tests.interop.command import Command
from tests.publisher import Publisher, User

Damage = Callable[[Path], None]


def newest(store: Path) -> Path:
    return max((store / "generations").iterdir(), key=lambda path: int(path.name))


def files(folder: Path) -> list[Path]:
    return [path for path in (folder, *sorted(folder.rglob("*"))) if path.is_file() and path.name != "lock"]


def copied(*words: str) -> Damage:
    """Another folder in its place, as this command copies it."""

    def copy(store: Path) -> None:
        subprocess.run([*words, store, store.with_name("copy")], check=True)
        shutil.rmtree(store)
        store.with_name("copy").rename(store)

    return copy


def all_of(store: Path, change: Callable[[bytes], bytes]) -> None:
    for path in files(store):
        path.write_bytes(change(path.read_bytes()))


def remove(*names: str) -> Damage:
    def damage(store: Path) -> None:
        for name in names:
            path = store / name
            path.unlink() if path.is_file() else shutil.rmtree(path)

    return damage


def put_back_the_first(store: Path) -> None:
    """The newest generation becomes what the one before it was."""
    [older] = [path for path in (store / "generations").iterdir() if path != newest(store)]
    target = newest(store)
    shutil.rmtree(target)
    shutil.copytree(older, target)


def empty_the_newest(store: Path) -> None:
    for path in files(newest(store)):
        path.unlink()


def truncate_the_newest_and_the_floor(store: Path) -> None:
    for path in (store / "floor.json", *files(newest(store))):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES: dict[str, Damage] = {
    "rm -r of the newest generation": lambda store: shutil.rmtree(newest(store)),
    "rm -r of all generations": remove("refresh", "generations"),
    "an older generation in the place of the newest": put_back_the_first,
    "a floor alone": remove("refresh", "generations", "blobs"),
    "archives alone": remove("refresh", "generations", "floor.json"),
    "the floor and the newest generation truncated": truncate_the_newest_and_the_floor,
    "every file emptied": lambda store: all_of(store, lambda _data: b""),
    "every file truncated": lambda store: all_of(store, lambda data: data[: len(data) // 2]),
    "the floor emptied": lambda store: all_of(store / "floor.json", lambda _data: b""),
    "the newest generation emptied": empty_the_newest,
}

HARMLESS: dict[str, Damage] = {
    "cp -r": copied("cp", "-r"),
    "cp -rL": copied("cp", "-rL"),
    "cp -a": copied("cp", "-a"),
    "a generation without a floor": remove("floor.json"),
    "without what updates remember": remove("refresh"),
}


@pytest.fixture
def user(publisher: Publisher, clearkey: Command, monkeypatch: pytest.MonkeyPatch) -> User:
    """Somebody who updated twice: list 1, and list 2, which revokes a component whose replacement is not fetched."""
    user = publisher.user(empty=True)
    root = publisher.folder / "root.json"
    root.write_bytes(publisher.root)
    told = {"ROOT": root, "STORE": user.store, "URL": publisher.url}
    there = clearkey.environment | {f"CLEARKEY_COMPONENTS_{name}": str(value) for name, value in told.items()}
    monkeypatch.setattr(clearkey, "environment", there)
    assert clearkey("components", "update", "-q").code == 0
    assert clearkey("components", "list").code == 0
    publisher.publish_built_in("av_decoder", "1.0.1")
    publisher.revoke(class_id=AV_DECODER, versions=("1.0.0",))
    assert clearkey("components", "update", "-q", "--list-only").code == 0
    assert clearkey("components", "list").code == 7
    return user


def heals(clearkey: Command) -> None:
    ran = clearkey("components", "update", "-q")
    assert ran.code == 0, ran.err
    ran = clearkey("components", "verify", "--json")
    assert ran.code == 0, ran.err
    said = json.loads(ran.out)
    assert said["authorities"][0]["revocation_list"] == 2
    assert said["worker"]["trust"]["revocation_list"] == 2
    assert {row["version"] for row in said["components"] if row["name"] == "av-decoder"} == {"1.0.1"}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_was_lost_brings_nothing_back_and_heals(clearkey: Command, user: User, damage: Damage) -> None:
    damage(user.store)
    for verb in ("list", "verify"):
        ran = clearkey("components", verb)
        assert ran.code == 7, ran.said
        assert "Traceback" not in ran.err
        assert "clearkey components update" in ran.err
        assert "revocation list:  1" not in ran.out
    heals(clearkey)


@pytest.mark.parametrize("harmless", HARMLESS.values(), ids=HARMLESS)
def test_a_copy_says_what_the_store_said(clearkey: Command, user: User, harmless: Damage) -> None:
    harmless(user.store)
    ran = clearkey("components", "list")
    assert ran.code == 7
    assert "revocation list:  2" in ran.out
    assert "E-TRUST-REVOKED" in ran.err
    heals(clearkey)


def test_a_link_called_current_says_nothing(clearkey: Command, user: User) -> None:
    """An earlier form of the store had one."""
    (user.store / "current").symlink_to("generations/1")
    assert "revocation list:  2" in clearkey("components", "list").out
    heals(clearkey)
