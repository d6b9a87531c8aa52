"""A developer's own authority: signs what lies here, says so, heals itself, and costs nothing while nothing changes."""

import hashlib
import logging
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from drm.app.components.development import DevelopmentAuthority
from drm.app.components.installed import collect_archives
from drm.class_ids import BUILT_IN
from drm.errors import AuthorityError, StorageError, TrustError
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.revoking import revoke
from drm.trust.authority.source_folder import archive_of
from drm.trust.revocations import Reason, Revocation
from drm.trust.verifier import VerifiedTrust, verify_trust

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")
OTHER = "0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c222"
DAY = 86400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "trust" / "development" / "0123456789ab"


@pytest.fixture
def authority(folder: Path) -> DevelopmentAuthority:
    return DevelopmentAuthority(folder)


def verified(stored) -> VerifiedTrust:
    assert stored.root is not None
    return verify_trust(stored.root, stored.files)


def listed(stored) -> set[str]:
    return {entry.sha256 for entry in verified(stored).components}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def edit(source: Path, words: str) -> bytes:
    (source / "sink.py").write_text(f"WORDS = {words!r}\n\n\nclass Sink: ...\n")
    return archive_of(source)


# ------------------------------------------------------------------------------------------------ signing
def test_what_is_installed_is_listed_under_a_root_of_its_own(authority):
    archives = collect_archives()
    stored = authority.vouch(archives)
    assert {entry.class_id for entry in verified(stored).components} == set(BUILT_IN)
    assert listed(stored) == {sha256(data) for data in archives}


def test_an_edit_takes_the_place_of_what_it_was(authority, component):
    source = component()
    old = archive_of(source)
    authority.vouch([old])
    new = edit(source, "edited")
    assert listed(authority.vouch([new])) == {sha256(new)}
    assert listed(authority.vouch([old])) == {sha256(old)}


def test_what_was_renamed_stands_in_nobody_s_way(authority, component):
    """A published component keeps its name and its class id; a developer's is still finding them."""
    authority.vouch([archive_of(component())])
    renamed = archive_of(component(name="other-sink"))
    assert listed(authority.vouch([renamed])) == {sha256(renamed)}
    renumbered = archive_of(component("1.0.1", name="other-sink", class_id=OTHER))
    assert listed(authority.vouch([renumbered])) == {sha256(renumbered)}


def test_two_contents_of_one_version_at_once_are_refused_and_cost_nothing(authority, folder, component):
    first, second = archive_of(component()), edit(component("1.0.0"), "a copy")
    authority.vouch([first])
    keys = names(folder / "keys")
    for together in ([first, second], [second, first]):
        with pytest.raises(AuthorityError, match="given twice"):
            authority.vouch(together)
    assert listed(authority.vouch([first, first])) == {sha256(first)}
    assert names(folder / "keys") == keys


def test_an_unsound_archive_is_refused_and_costs_nothing(authority, folder, component):
    good = archive_of(component())
    authority.vouch([good])
    keys = names(folder / "keys")
    with pytest.raises(TrustError):
        authority.vouch([good, b"no archive"])
    assert names(folder / "keys") == keys


def test_what_is_half_through_its_life_is_signed_again(folder, component):
    archives = [archive_of(component())]
    start = time.time()
    first = verified(DevelopmentAuthority(folder, now=lambda: start).vouch(archives))
    sooner = verified(DevelopmentAuthority(folder, now=lambda: start + 1800 * DAY).vouch(archives))
    assert sooner.versions == first.versions
    later = verified(DevelopmentAuthority(folder, now=lambda: start + 1830 * DAY).vouch(archives))
    assert all(later.versions[role] > first.versions[role] for role in first.versions)
    assert min(later.expiries.values()) > datetime.fromtimestamp(start + 5000 * DAY, UTC)


# ------------------------------------------------------------------------------------------------ nothing changed
PROBE = """
import sys
from pathlib import Path
from drm.app.components.installed import collect_archives
from drm.app.components.development import DevelopmentAuthority
DevelopmentAuthority(Path(sys.argv[1])).vouch(collect_archives())
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_without_a_change_nothing_is_imported_to_sign_with(folder):
    heavy = {"tuf", "securesystemslib", "cryptography"}
    runs = [subprocess.run([sys.executable, "-c", PROBE, folder], check=True, capture_output=True, text=True)
            for _ in range(2)]  # fmt: skip
    assert [heavy <= set(run.stdout.split()) for run in runs] == [True, False]
    assert not heavy & set(runs[1].stdout.split())
    # A program that sets up no logging sees it too, once.
    assert [run.stderr.count("made a development authority") for run in runs] == [1, 0]


def test_without_a_change_nothing_is_written_and_no_time_is_lost(authority, folder, component):
    archives = [archive_of(component()), archive_of(component("1.1.0"))]
    authority.vouch(archives)
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}
    spans = []
    for _ in range(20):
        begin = time.perf_counter()
        authority.vouch(archives[:1])
        spans.append(time.perf_counter() - begin)
    assert {path: path.lstat().st_mtime_ns for path in folder.rglob("*")} == before
    assert min(spans) < 0.001


# ------------------------------------------------------------------------------------------------ revoked
def test_what_was_revoked_is_left_out_and_is_on_the_list(authority, folder, component):
    bad, good = archive_of(component()), archive_of(component("1.1.0"))
    authority.vouch([bad, good])
    home = AuthorityHome(folder, str, encrypted=False)
    revoke(home, Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.0",)))
    for _ in range(2):
        stored = authority.vouch([bad, good])
        assert listed(stored) == {sha256(good)}
        assert [entry.versions for entry in verified(stored).revocations.entries] == [("1.0.0",)]
    assert not listed(authority.vouch([bad])) - {sha256(good)}


def test_the_publisher_s_commands_work_on_it_without_a_passphrase(authority, folder, component, monkeypatch):
    monkeypatch.delenv("CLEARKEY_AUTHORITY_PASSPHRASE", raising=False)
    data = archive_of(component())
    authority.vouch([data])
    words = ["revoke", "null-sink", "--version", "1.0.0", "--reason", "flaw", "--authority", folder]
    subprocess.run([sys.executable, "-m", "player.cli", "authority", *words], check=True, stdin=subprocess.DEVNULL,
                   capture_output=True)  # fmt: skip
    assert not listed(authority.vouch([data]))


# ------------------------------------------------------------------------------------------------ two at once
def test_processes_that_ask_at_once_each_get_their_own_archives(folder, component, tmp_path):
    """They have different contents of one version, so whoever is second replaces what the first has signed."""
    sources = [component("1.0.0"), component("1.1.0")]
    for turn in range(3):
        paths = [tmp_path / f"{turn}-{who}.zip" for who in range(2)]
        for who, path in enumerate(paths):
            path.write_bytes(edit(sources[0], f"{turn}, {who}"))
        program = ("import sys; from pathlib import Path\n"
                   "from drm.app.components.development import DevelopmentAuthority\n"
                   "from drm.trust.verifier import verify_trust\nimport hashlib\n"
                   "stay, mine = (Path(path).read_bytes() for path in sys.argv[2:])\n"
                   "for _ in range(4):\n"
                   "    stored = DevelopmentAuthority(Path(sys.argv[1])).vouch([stay, mine])\n"
                   "    hashes = {entry.sha256 for entry in verify_trust(stored.root, stored.files).components}\n"
                   "    assert hashes == {hashlib.sha256(data).hexdigest() for data in (stay, mine)}\n")  # fmt: skip
        stay = tmp_path / "stay.zip"
        stay.write_bytes(archive_of(sources[1]))
        runs = [subprocess.Popen([sys.executable, "-c", program, folder, stay, path], stderr=subprocess.PIPE, text=True)
                for path in paths]  # fmt: skip
        said = [run.communicate(timeout=60)[1] for run in runs]
        assert [run.returncode for run in runs] == [0, 0], said
        assert sum(words.count("made a development authority") for words in said) == (turn == 0)


# ------------------------------------------------------------------------------------------------ damage
def torn_metadata(folder: Path) -> None:
    (folder / "repository/metadata/timestamp.json").write_bytes(b"{}")


def torn_archive(folder: Path) -> None:
    path = next((folder / "repository/targets/components").rglob("*.zip"))
    path.write_bytes(path.read_bytes()[:-1])


def torn_key(folder: Path) -> None:
    next((folder / "keys").iterdir()).write_bytes(b"-----BEGIN NOTHING-----")


def lost_keys(folder: Path) -> None:
    for path in (folder / "keys").iterdir():
        path.unlink()


def readable_key(folder: Path) -> None:
    next((folder / "keys").iterdir()).chmod(0o644)


def torn_settings(folder: Path) -> None:
    (folder / "settings.json").write_bytes(b"\xff")


def torn_plan(folder: Path) -> None:
    (folder / "plan.json").write_bytes(b"?")


DAMAGES = [torn_metadata, torn_archive, torn_key, lost_keys, readable_key, torn_settings, torn_plan]


def test_a_lost_link_is_put_back(authority, folder, component):
    source = component()
    root = authority.vouch([archive_of(source)]).root
    (folder / "repository").unlink()
    new = edit(source, "edited")
    stored = authority.vouch([new])
    assert (stored.root, listed(stored)) == (root, {sha256(new)})
    assert (folder / "repository/metadata/timestamp.json").is_file()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_authority_is_made_anew(authority, folder, component, caplog, damage):
    source = component()
    old_root = authority.vouch([archive_of(source)]).root
    caplog.clear()
    damage(folder)
    new = edit(source, "edited")
    stored = authority.vouch([new])
    assert listed(stored) == {sha256(new)}
    assert stored.root != old_root
    assert "made a development authority" in caplog.text
    again = edit(source, "edited again")
    caplog.clear()
    assert listed(authority.vouch([again])) == {sha256(again)}
    assert not caplog.records


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-200] + b"X" + data[-199:]]
)
def test_a_damaged_note_of_what_was_said_is_written_again(authority, folder, component, caplog, spoil):
    archives = [archive_of(component())]
    root = authority.vouch(archives).root
    note = folder / "vouched"
    good = note.read_bytes()
    note.write_bytes(spoil(good))
    caplog.clear()
    stored = authority.vouch(archives)
    assert (listed(stored), stored.root) == ({sha256(archives[0])}, root)
    assert note.read_bytes() == good
    assert not caplog.records


# ------------------------------------------------------------------------------------------------ the folder
def test_its_keys_are_its_user_s_alone_and_nothing_is_left_lying_about(authority, folder, component, caplog):
    with caplog.at_level(logging.WARNING):
        authority.vouch([archive_of(component())])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(folder) in caplog.text
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "keys").stat().st_mode & 0o777 == 0o700
    keys = list((folder / "keys").iterdir())
    assert len(keys) == 6
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert names(folder) == [
        ".gitignore", "development", "keys", "lock", "repository", "settings.json", "trees", "vouched", "vouching",
    ]  # fmt: skip
    assert not [path for path in folder.rglob("*") if path.name.endswith((".part", ".new"))]


def test_in_a_work_tree_git_passes_over_it(tmp_path, component):
    """A home folder may be one; an ordinary authority is refused there, for its keys are worth something."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    DevelopmentAuthority(tmp_path / "development").vouch([archive_of(component())])
    subprocess.run(["git", "add", "-A"], cwd=tmp_path, check=True)
    tracked = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    assert "source-" in tracked
    assert "development" not in tracked


def test_unencrypted_keys_are_refused_in_an_ordinary_authority(authority, folder, component):
    authority.vouch([archive_of(component())])
    with pytest.raises(StorageError, match="is not encrypted"):
        revoke(AuthorityHome(folder, lambda _key: "correct horse battery"),
               Revocation(id="-", reason=Reason.FLAW, class_id=CLASS, versions=("1.0.0",)))  # fmt: skip


def test_where_nothing_can_be_written_it_says_what_to_do(tmp_path, component):
    (tmp_path / "file").write_bytes(b"")  # no folder goes below a file, for root neither
    with pytest.raises(StorageError) as refused:
        DevelopmentAuthority(tmp_path / "file" / "development").vouch([archive_of(component())])
    assert "XDG_DATA_HOME" in refused.value.remedy
