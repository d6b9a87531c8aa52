"""What an authority publishes: a real TUF client and our own verifier accept it, and it says what was asked."""

import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from tuf.api.exceptions import BadVersionNumberError, UnsignedMetadataError
from tuf.api.metadata import Metadata, Snapshot, Timestamp

from drm.errors import AuthorityError, InvalidArgumentError, PassphraseError, SigningKeyMissingError, StorageError
from drm.trust.authority.component_folder import sign
from drm.trust.authority.create import create_authority
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.published import stored_files
from drm.trust.authority.publishing import publish, publish_archives
from drm.trust.authority.revoking import revoke, unrevoke
from drm.trust.authority.rotating import rotate
from drm.trust.authority.signing_keys import KeyFolders
from drm.trust.authority.source_folder import archive_of
from drm.trust.authority.staged_repository import ROLES
from drm.trust.authority.ticking import tick
from drm.trust.errors import MetadataError
from drm.trust.revocations import Reason, Revocation
from drm.trust.verifier import verify_trust

CLASS = UUID("0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c111")


def bad(**matchers: object) -> Revocation:
    return Revocation(id="-", reason=Reason.FLAW, **matchers)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# ------------------------------------------------------------------------------------------------ publish
def test_what_is_signed_and_published_reaches_a_client(home, client, component):
    assert not client.has("1.0.0")
    described, path = sign(home, component())
    assert (described.name, described.version, path.is_file()) == ("null-sink", "1.0.0", True)
    assert not client.has("1.0.0")
    assert [entry.version for entry in publish(home)] == ["1.0.0"]
    assert client.has("1.0.0")
    assert not list(home.waiting.iterdir())


def test_a_version_is_one_content_and_publishing_it_again_changes_nothing(home, component):
    folder = component()
    publish(home, [folder])
    before = everything(home.trees.shown)
    assert [entry.version for entry in publish(home, [folder])] == ["1.0.0"]
    assert everything(home.trees.shown) == before
    (folder / "sink.py").write_text("class Sink: other = True\n")
    for again in (lambda: publish(home, [folder]), lambda: sign(home, folder)):
        with pytest.raises(AuthorityError, match="another content"):
            again()
    assert everything(home.trees.shown) == before


def test_a_developers_authority_may_replace_the_content_of_a_version(home, client, component):
    folder = component("1.0")
    [old] = publish(home, [folder])
    (folder / "sink.py").write_text("class Sink: other = True\n")
    toml = (folder / "component.toml").read_text()
    (folder / "component.toml").write_text(toml.replace('"1.0"', '"1.0.0"'))  # one version, spelled otherwise
    [new] = publish_archives(home, [archive_of(folder)])
    assert home.trust().components == (new,)
    assert new.sha256 != old.sha256
    assert client.has("1.0.0")
    assert not client.has("1.0")


def test_a_name_and_a_class_id_belong_together(home, component):
    publish(home, [component()])
    other = "0b8f1f0e-6f5e-4c8a-9d38-51f2a6f0c222"
    with pytest.raises(AuthorityError, match="class id"):
        publish(home, [component("2.0.0", class_id=other)])
    with pytest.raises(AuthorityError, match="class id"):
        publish(home, [component("2.0.0", name="other-sink")])


def test_the_first_snapshot_and_timestamp_bind_hash_and_length(home):
    """The library's own beginnings would not: old and new metadata of one version could be mixed."""
    timestamp = Metadata[Timestamp].from_file(str(home.trees.shown / "metadata/timestamp.json")).signed
    snapshot = Metadata[Snapshot].from_file(str(home.trees.shown / "metadata/1.snapshot.json")).signed
    assert set(snapshot.meta) == {"targets.json", "components.json", "revocations.json"}
    for meta in (timestamp.snapshot_meta, *snapshot.meta.values()):
        assert meta.length
        assert meta.hashes


def test_trees_do_not_grow_without_end(home, component):
    for number in range(8):
        publish(home, [component(f"1.{number}.0")])
    assert len(list(home.trees.shown.parent.glob("trees/*"))) == 2
    assert len(list((home.trees.shown / "metadata").glob("*.snapshot.json"))) == 4  # the newest, and three before it


# ------------------------------------------------------------------------------------------------ revoke
def test_a_revoked_version_is_on_the_list_and_no_longer_in_the_metadata(home, client, component):
    publish(home, [component(), component("1.1.0")])
    entry = revoke(home, bad(class_id=CLASS, versions=("1.0.0",)))
    assert entry.id == "R-2-1"
    assert client.list_version() == 2
    assert not client.has("1.0.0")
    assert client.has("1.1.0")
    assert home.trust().revocations.entries == (entry,)


def test_revoking_the_same_again_keeps_the_number(home, component):
    publish(home, [component()])
    first = revoke(home, bad(class_id=CLASS, below="2.0"))
    assert revoke(home, bad(class_id=CLASS, below="2.0")) == first
    assert home.trust().revocations.version == 2
    assert "another" not in home.notes[-1]


def test_a_revoked_version_is_not_published_until_it_is_unrevoked(home, client, component):
    folder = component()
    publish(home, [folder])
    entry = revoke(home, bad(class_id=CLASS, versions=("1.0",)))
    with pytest.raises(AuthorityError, match="is revoked"):
        publish(home, [folder])
    with pytest.raises(AuthorityError, match="no entry"):
        unrevoke(home, "R-9-9")
    assert unrevoke(home, entry.id).version == 3
    publish(home, [folder])
    assert client.has("1.0.0")
    assert client.list_version() == 3


def test_a_key_is_revoked_after_it_was_rotated_and_not_before(home, client, component):
    publish(home, [component()])
    [lost] = home.trust().key_ids["components"]
    with pytest.raises(AuthorityError, match="every component"):
        revoke(home, bad(keyid=lost))
    rotate(home, "components")
    revoke(home, bad(keyid=lost))
    assert client.has("1.0.0")


# ------------------------------------------------------------------------------------------------ rotate
@pytest.mark.parametrize("role", ROLES)
def test_rotation_leaves_what_is_published_good(home, client, component, role):
    publish(home, [component()])
    assert client.has("1.0.0")
    old, listed = home.trust().key_ids[role], home.trust().components
    new = rotate(home, role)
    assert not set(new) & set(old)
    assert set(home.trust().key_ids[role]) == set(new)
    assert [entry.sha256 for entry in home.trust().components] == [entry.sha256 for entry in listed]
    assert client.has("1.0.0")
    publish(home, [component("1.1.0")])  # the new keys sign
    assert client.has("1.1.0")


@pytest.mark.parametrize("role", ROLES)
def test_a_rotation_in_the_middle_of_an_update_fails_no_client(home, client, component, role):
    publish(home, [component()])
    for moment in range(4):
        requests = []

        def before(path: str, moment: int = moment, requests: list[str] = requests) -> None:
            requests.append(path)
            if len(requests) == moment + 1:
                rotate(home, role)

        client.fetcher.before = before
        assert client.has("1.0.0"), (role, moment)
        client.fetcher.before = lambda path: None


def test_one_root_key_of_several_can_be_replaced(home, client):
    old = home.trust().key_ids["root"]
    [new] = rotate(home, "root", only=old[0])
    assert set(home.trust().key_ids["root"]) == {new, *old[1:]}
    client.update()


def test_fast_forwarded_versions_are_left_behind_by_rotation(home, client, component, tmp_path):
    """Whoever steals the keys of timestamp and snapshot can count to 2^31, and no client takes less from then on."""
    publish(home, [component()])
    mirror = tmp_path / "mirror"
    subprocess.run(["cp", "-rL", home.trees.shown, mirror], check=True)
    root = home.reading().root()
    keys = {role: home.keys.signer(root.get_key(root.roles[role].keyids[0])) for role in ("snapshot", "timestamp")}
    snapshot = Metadata[Snapshot].from_file(str(mirror / "metadata/2.snapshot.json"))
    snapshot.signed.version = 1 << 31
    snapshot.sign(keys["snapshot"])
    snapshot.to_file(str(mirror / f"metadata/{1 << 31}.snapshot.json"))
    timestamp = Metadata[Timestamp].from_file(str(mirror / "metadata/timestamp.json"))
    timestamp.signed.version = 1 << 31
    timestamp.signed.snapshot_meta.version = 1 << 31
    timestamp.signed.snapshot_meta.hashes = timestamp.signed.snapshot_meta.length = None
    timestamp.sign(keys["timestamp"])
    timestamp.to_file(str(mirror / "metadata/timestamp.json"))

    client.fetcher.shown, honest = mirror, client.fetcher.shown
    client.update()
    client.fetcher.shown = honest
    with pytest.raises(BadVersionNumberError):
        client.update()
    rotate(home, "timestamp")
    rotate(home, "snapshot")
    assert client.has("1.0.0")


# ------------------------------------------------------------------------------------------------ thresholds and keys
def test_two_of_three_root_keys_are_needed(home, client, tmp_path):
    key_files = {path.stem: path for path in (home.folder / "keys").iterdir()}
    away = tmp_path / "stick"
    away.mkdir()
    one, two, _three = home.trust().key_ids["root"]
    for key_id in (one, two):
        key_files[key_id].rename(away / key_files[key_id].name)
    before = everything(home.folder)
    with pytest.raises(SigningKeyMissingError) as refused:
        rotate(home, "timestamp")
    assert one in refused.value.seen
    assert everything(home.folder) == before  # no new key, no plan, no tree
    with_stick = AuthorityHome(home.folder, lambda _key: "correct horse battery", more_keys=[away])
    (away / f"{two}.pem").rename(key_files[two])
    (away / f"{one}.pem").rename(tmp_path / "lost")
    rotate(with_stick, "timestamp")  # two of three are enough
    client.update()


def test_a_root_signed_by_one_of_three_is_refused(home, client):
    pinned = client.root
    rotate(home, "components")
    client.update()
    rotate(home, "timestamp")
    files = stored_files(home.trees.shown)
    root = Metadata.from_bytes(files["root_history/2.root.json"])
    while len(root.signatures) > 1:
        root.signatures.popitem()
    path = home.trees.shown.resolve() / "metadata/2.root.json"
    path.write_bytes(root.to_bytes())
    with pytest.raises(UnsignedMetadataError):
        client.update()
    with pytest.raises(MetadataError):
        verify_trust(pinned, {**files, "root_history/2.root.json": root.to_bytes()})


def test_keys_are_encrypted_private_and_named_by_id(home):
    files = sorted((home.folder / "keys").iterdir())
    assert {path.stem for path in files} == {key for keys in home.trust().key_ids.values() for key in keys}
    for path in files:
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert (home.folder / "keys").stat().st_mode & 0o777 == 0o700


def test_a_wrong_passphrase_a_short_one_and_an_open_key_file_are_refused(home, component, tmp_path):
    with pytest.raises(PassphraseError, match="does not open"):
        publish(AuthorityHome(home.folder, lambda _key: "not the passphrase"), [component()])
    with pytest.raises(PassphraseError, match="at least"):
        create_authority(AuthorityHome(tmp_path / "other", lambda _key: "short"))
    assert not list((tmp_path / "other").glob("keys/*"))
    for path in (home.folder / "keys").iterdir():
        path.chmod(0o640)
    with pytest.raises(StorageError, match="others can read"):
        publish(AuthorityHome(home.folder, lambda _key: "correct horse battery"), [component()])


def test_no_key_is_made_in_a_git_work_tree(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path / "project"], check=True)
    inside = tmp_path / "project" / "deep" / "authority"
    with pytest.raises(InvalidArgumentError, match="work tree"):
        create_authority(AuthorityHome(inside, lambda _key: "correct horse battery"))
    assert not inside.exists()
    link = tmp_path / "link"  # by whatever way the folder is reached
    link.symlink_to(tmp_path / "project")
    folders = KeyFolders(link / "keys", lambda _key: "correct horse battery")
    with pytest.raises(InvalidArgumentError, match="work tree"):
        folders.keep(folders.make())
    assert not list((tmp_path / "project").rglob("*.pem"))


def test_a_passphrase_is_not_asked_for_looking(home):
    def never(_key: str) -> str:
        raise AssertionError("asked")

    assert AuthorityHome(home.folder, never).trust().versions["root"] == 1


def test_an_authority_is_made_once(home):
    with pytest.raises(AuthorityError, match="already"):
        create_authority(home)


# ------------------------------------------------------------------------------------------------ tick
def test_a_tick_signs_what_is_half_through_and_nothing_before(home, client, clock):
    assert tick(home) == []
    clock.advance(days=4)
    assert set(tick(home)) == {"snapshot", "timestamp"}
    clock.advance(days=12)
    assert set(tick(home)) == {"revocations", "snapshot", "timestamp"}
    assert home.trust().revocations.version == 1  # signed anew, the same list
    assert client.list_version() == 1
    clock.advance(days=200)
    assert set(tick(home)) == set(ROLES)
    clock.advance(days=100)
    assert home.trust().expiries["root"] > clock.now  # 366 days after it was made


def test_a_tick_without_offline_keys_does_what_it_can_and_says_the_rest(home, clock, tmp_path):
    keys = home.trust().key_ids
    for role in ("root", "targets", "components"):
        for key_id in keys[role]:
            (home.folder / "keys" / f"{key_id}.pem").rename(tmp_path / key_id)
    clock.advance(days=300)
    assert set(tick(home)) == {"revocations", "snapshot", "timestamp"}
    assert len([note for note in home.notes if "keys are not here" in note]) == 3
    assert tick(home) == []
