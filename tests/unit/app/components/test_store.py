"""The store on disk: what is damaged fails closed and heals, what is no plain file is not followed, full means full."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.components import generation
from drm.app.components.fetcher import ComponentFetcher
from drm.app.components.generation import Generation, RefreshState
from drm.app.components.store import ComponentStore
from drm.app.components.updater import update_components
from drm.errors import DiskFullError, StorageError
from drm.trust import verifier
from drm.trust.authority.publishing import publish
from drm.trust.authority.revoking import revoke
from drm.trust.authority.rotating import rotate
from drm.trust.errors import ComponentDamagedError, ComponentRevokedError, MetadataError, TrustAbsentError
from drm.trust.revocations import Reason, Revocation

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")
STATE = RefreshState(1.5)


@pytest.fixture
def installed(home, installation, component):
    """A store with every kind of key exchanged once: roots 1 to 4, and metadata with two signatures."""
    publish(home, [component()])
    rotate(home, "snapshot")
    rotate(home, "root")
    installation.update()
    return installation


# -------------------------------------------------------------------------------------------------------------- reading
def test_an_empty_place_is_read_and_not_made(tmp_path):
    store = ComponentStore(tmp_path / "none")
    assert store.read() is None
    assert store.archives() == {}
    assert not store.folder.exists()
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        ComponentStore(tmp_path / "file").read()


def test_the_names_of_files_are_those_that_the_verifier_takes():
    roles = ("timestamp", "snapshot", "targets", verifier.COMPONENTS, verifier.REVOCATIONS)
    assert (*map(verifier.metadata_file, roles), verifier.LIST_FILE) == generation.FIXED_FILES
    assert verifier.root_file(3) == f"{generation.ROOTS}/3.root.json"


def test_reading_a_store_needs_neither_tuf_nor_a_network_library():
    """A session begins with it."""
    probe = (
        "import sys, drm.app.components.store\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'tuf', 'securesystemslib', 'requests'}))"
    )
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
    probe = "import sys, drm.app.components.updater; print('tuf.ngclient' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_what_is_written_is_read(tmp_path):
    store = ComponentStore(tmp_path / "store")
    files = {"timestamp.json": b'{"signed":{"version":7}}', "root_history/2.root.json": b"2", "revocations.list": b"x"}
    with store.writing() as writer:
        assert writer.install(files, STATE) == 1
        assert writer.install({**files, "root_history/11.root.json": b"11"}, STATE) == 2
    read = store.read()
    assert read == Generation(2, {**files, "root_history/11.root.json": b"11"}, 1.5)
    assert read.order == (11, 7)
    modes = {path.stat().st_mode & 0o077 for path in store.folder.rglob("*")}
    assert modes == {0}


@pytest.mark.parametrize(
    "timestamp", [None, b"", b"{", b"[" * 100_000, b'{"signed":{"version":-1}}', b'{"signed":{"version":"7"}}', b"\xff"]
)
def test_the_order_of_what_cannot_be_read_is_the_lowest(timestamp):
    files = {"root_history/9.root.json": b""} | ({} if timestamp is None else {"timestamp.json": timestamp})
    assert Generation(1, files, None).order == (0, 0)


@pytest.mark.parametrize("state", [b"", b"{}", b'{"refreshed":-1}', b'{"refreshed":1e999}', b"\xff", b" " * 5000])
def test_a_damaged_time_of_refresh_is_none_and_harms_nothing(installed, state):
    (installed.current / "state.json").write_bytes(state)
    assert installed.store.read().refreshed is None
    assert installed.version() == "1.0.0"
    installed.update()
    assert installed.store.read().refreshed is not None


def test_what_is_removed_while_it_is_read_is_read_anew(tmp_path):
    """The hook stands between two system calls of a reader; what it does there, a writer does elsewhere."""
    files = dict.fromkeys(generation.FIXED_FILES, b"{}")
    store = ComponentStore(tmp_path / "store")
    with store.writing() as writer:
        writer.install({**files, "timestamp.json": b"old"}, STATE)
    done = []

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and args[0] == "targets.json" and not done:
            done.append(True)
            with store.writing() as writer:
                for number in range(4):
                    writer.install({**files, "timestamp.json": b"new %d" % number}, STATE)

    sys.addaudithook(lambda event, args: hook(event, args) if event == "open" else None)
    read = store.read()
    done.append(True)
    assert read.number == 5
    assert read.files["timestamp.json"] == b"new 3"


# --------------------------------------------------------------------------------------------------------------- damage
def stored(installed) -> list[Path]:
    return [path for path in sorted(installed.current.rglob("*")) if path.is_file() and path.name != "state.json"]


def look(installed) -> str | None:
    try:
        return installed.version()
    except (MetadataError, TrustAbsentError, ComponentDamagedError):
        return None


def test_a_damaged_file_fails_closed_and_heals(installed):
    whole = installed.store.read().files
    refused = 0
    for name, data in whole.items():
        places = (3, len(data) // 3, len(data) // 2, len(data) - 3)
        damages = [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in places]
        for damage in (*damages, data[: len(data) // 2], b"", data + b"\n", None):
            path = installed.current / name
            path.unlink()
            if damage is not None:
                path.write_bytes(damage)
            seen = look(installed)
            refused += seen is None
            assert seen in (None, "1.0.0")
            installed.update()
            assert installed.version() == "1.0.0"
            if seen is None:
                assert installed.store.read().files == whole
    # Of the pinned root nothing is needed; of the last one, and of signatures beyond the threshold, not all.
    assert refused > len(whole) * 8 * 2 // 3


def test_all_files_damaged_at_once_heal(installed):
    for path in stored(installed):
        path.write_bytes(b"{}")
    assert look(installed) is None
    installed.update()
    assert installed.version() == "1.0.0"


def make_link(path: Path) -> None:
    shutil.copy(path, path.with_name("elsewhere"))
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "flipped": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"!"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "longer than any": lambda path: path.write_bytes(bytes((16 << 20) + 1)),
    "gone": lambda path: path.unlink(),
    "link": make_link,
    "pipe": make_pipe,
    "folder": make_folder,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_archive_is_not_run_and_heals(installed, damage):
    [blob] = (installed.store.folder / "blobs").iterdir()
    damage(blob)
    assert look(installed) is None
    assert [entry.version for entry in installed.update().downloaded] == ["1.0.0"]
    assert installed.version() == "1.0.0"
    assert [path.name for path in (installed.store.folder / "blobs").iterdir()] == [blob.name]


@pytest.mark.parametrize("damage", [make_link, make_pipe, make_folder], ids=["link", "pipe", "folder"])
def test_metadata_that_is_no_plain_file_is_not_read(installed, damage):
    damage(installed.current / "snapshot.json")
    assert "snapshot.json" not in installed.store.read().files
    installed.update()
    assert installed.version() == "1.0.0"


def test_an_older_generation_never_takes_the_place_of_a_damaged_one(home, installed, component):
    publish(home, [component("1.1.0")])
    revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.0",)))
    installed.update()
    assert len(list((installed.store.folder / "generations").iterdir())) == 2
    (installed.current / "timestamp.json").unlink()
    assert look(installed) is None


def test_a_damaged_floor_is_made_again_from_what_is_stored(installed):
    floor = installed.store.folder / "floor.json"
    whole = floor.read_bytes()
    for damage in (b"", b"{}", whole[:-1], whole + b"}"):
        floor.write_bytes(damage)
        installed.update()
        assert floor.read_bytes() == whole


def test_what_a_killed_writer_left_is_removed(installed):
    scratch = installed.store.folder / "tmp"
    (scratch / "a/b").mkdir(parents=True)
    (scratch / "a/b/c").write_text("half")
    (scratch / "link").symlink_to("/")
    with installed.store.writing():
        assert installed.is_tidy()


# ------------------------------------------------------------------------------------------------------------ disk full
@pytest.fixture
def small_disk(tmp_path):
    """Half a megabyte that is really full when it is full."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", disk], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path, spare: int) -> Path:
    """Leave `spare` bytes free."""
    ballast = disk / "ballast"
    room = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(room - spare))
    return ballast


def test_a_full_disk_stops_a_replacement_and_not_the_list(home, installation, component, small_disk, http_server):
    """With the fetcher of ours: what it downloads goes to the same disk."""
    publish(home, [component()])
    store = installation.store = ComponentStore(small_disk / "store")
    with ComponentFetcher(store.scratch) as fetcher:
        update = functools.partial(update_components, store, installation.pinned_root, http_server, fetcher)
        update()
        newer = component("1.1.0")
        (newer / "data.py").write_text("".join(f"# {number:08x}\n" for number in range(18_000)))
        publish(home, [newer])
        revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.0",)))
        ballast = fill(small_disk, 160 << 10)
        with pytest.raises(DiskFullError) as full:
            update()
        assert full.value.hresult == 0x80070070
        assert full.value.exit_code == 3
        with pytest.raises(ComponentRevokedError):
            installation.version()
        assert installation.trust().revocations.version == 2
        assert installation.is_tidy()
        ballast.unlink()
        assert [entry.version for entry in update().downloaded] == ["1.1.0"]
        assert installation.version() == "1.1.0"


def test_a_disk_that_fills_up_anywhere_in_an_update_leaves_old_or_new(home, installation, component, small_disk):
    publish(home, [component()])
    installation.store = ComponentStore(small_disk / "store")
    installation.update()
    publish(home, [component("1.1.0")])
    outcomes = set()
    began = time.monotonic()
    for spare in range(0, 128 << 10, 4096):
        ballast = fill(small_disk, spare)
        try:
            installation.update()
            outcomes.add("done")
        except DiskFullError:
            outcomes.add("full")
        assert installation.version() in ("1.0.0", "1.1.0")
        ballast.unlink()
        if "done" in outcomes:
            break
        assert time.monotonic() - began < 30
    assert outcomes == {"full", "done"}
    assert installation.version() == "1.1.0"
