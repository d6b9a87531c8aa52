"""The key store on disk: what lies in it, who can open it, and what is refused."""

import base64
import os
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from drm.errors import InvalidArgumentError, KeyMissingError, StorageError
from drm.keys import ContentKey, KeyId
from drm.rights.policy import Action, Policy
from license_server.policies import DEFAULT_POLICY
from license_server.store import schema
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek, find_kek
from tests.unit.license_server.store_places import KEK, Postgres, StorePlace

KID, OTHER = KeyId(b"k" * 16), KeyId(b"o" * 16)


def some_keys(count: int) -> dict[KeyId, ContentKey]:
    return {KeyId(os.urandom(16)): ContentKey(os.urandom(16)) for _ in range(count)}


def test_no_key_lies_in_the_database_or_its_log_in_any_notation(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    keys = some_keys(600)
    with open_store(path, find_kek(path, None)) as store:
        store.keys.add(keys)
        store.keys.add(dict.fromkeys(list(keys)[:3], ContentKey(b"R" * 16)), replace=True)
        files = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
        assert files["keys.db-wal"], "nothing in the write-ahead log: the search would prove little"
        held = store.keys.get_many(list(keys)[:400])
        assert all(held[kid].key == keys[kid] for kid in list(keys)[3:400])
    files["closed"] = path.read_bytes()
    for name, data in files.items():
        for key in [*keys.values(), ContentKey(b"R" * 16)]:
            assert not any(form in data for form in forms(key.secret)), f"a key lies in {name}"
    assert any(kid.value in files["keys.db"] + files["keys.db-wal"] for kid in keys), "this search finds nothing at all"


def forms(secret: bytes) -> tuple[bytes, ...]:
    texts = (secret.hex(), secret.hex().upper(), secret[::-1].hex())
    encoded = (base64.b64encode(secret)[:22], base64.urlsafe_b64encode(secret)[:22])
    return secret, secret[::-1], *(text.encode() for text in texts), *encoded


def test_no_key_lies_in_postgresql_its_backup_or_its_log_in_any_notation(postgres: Postgres, tmp_path: Path) -> None:
    keys = some_keys(5)
    (tmp_path / "keys.db.kek").write_bytes(KEK.secret)
    with postgres.database() as url:
        place = StorePlace(url, tmp_path / "keys.db.kek", postgres)
        with place.opened() as store:
            store.keys.add(keys)
            store.keys.add(dict.fromkeys(list(keys)[:2], ContentKey(b"R" * 16)), replace=True)
            assert len(store.keys.get_many(list(keys))) == len(keys)
            with store.engine.connect() as connection:  # every table, as a curious administrator would see it
                tables = sa.inspect(connection).get_table_names()
                query = "SELECT oid FROM pg_database WHERE datname = current_database()"
                number = connection.exec_driver_sql(query).scalar_one()
                rows = [connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables]
        assert {"content_keys", "audit", "state"} <= set(tables)
        found = {"a row": b"".join(v if isinstance(v, bytes) else str(v).encode() for t in rows for r in t for v in r)}
        found["the backup"] = place.everything()
        postgres.order("CHECKPOINT")
        with store.engine.connect() as connection:
            number = connection.exec_driver_sql(
                "SELECT oid FROM pg_database WHERE datname = current_database()"
            ).scalar()
        store.engine.dispose()
        files = [*(postgres.data / "base" / str(number)).iterdir(), *(postgres.data / "pg_wal").glob("0*")]
        found |= {path.name: path.read_bytes() for path in files if path.is_file()}
    for key in [*keys.values(), ContentKey(b"R" * 16)]:
        for name, data in found.items():
            assert not any(form in data for form in forms(key.secret)), f"a key lies in {name}"
    kid = next(iter(keys))
    assert kid.value in found["a row"], "this search finds nothing at all"
    assert kid.hex.encode() in found["the backup"], "this search finds nothing at all"
    assert any(kid.value in data for name, data in found.items() if len(name) == 24), "nor in the write-ahead log"
    assert any(kid.value in data for name, data in found.items() if name.isdigit() and len(name) < 24), "nor in tables"


def test_the_files_are_the_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.db"
    with open_store(path, find_kek(path, None)) as store:
        store.keys.add(some_keys(1))
        assert {file.name for file in path.parent.iterdir()} >= {"keys.db", "keys.db.kek", "keys.db-wal"}
        for file in path.parent.iterdir():
            assert file.stat().st_mode & 0o077 == 0, file.name
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_store_is_opened_again(store_place: StorePlace) -> None:
    policy = Policy(actions=(Action.PLAY,), expires=5, min_level=2, sealed_only=True)
    with store_place.opened() as store:
        assert store.keys.add({KID: ContentKey(b"1" * 16), OTHER: ContentKey(b"2" * 16)}) == 2
        store.keys.set_policy(KID, policy)
    with store_place.opened() as store:
        held = store.keys.get_many([KID, OTHER, KeyId(b"x" * 16)])
        assert {kid: (found.key, found.policy) for kid, found in held.items()} == {
            KID: (ContentKey(b"1" * 16), policy),
            OTHER: (ContentKey(b"2" * 16), DEFAULT_POLICY),
        }
        assert store.keys.add({KID: ContentKey(b"1" * 16)}) == 0
        assert store.keys.get_many([KID])[KID].policy == policy  # the same key again does not reset its rules


def test_another_key_for_a_held_kid_is_refused_whole(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        store.keys.add({KID: ContentKey(b"1" * 16)})
        with pytest.raises(InvalidArgumentError, match="another key") as raised:
            store.keys.add({KID: ContentKey(b"2" * 16), OTHER: ContentKey(b"3" * 16)})
        assert raised.value.kids == (str(KID),)
        assert store.keys.count() == 1
        store.keys.add({KID: ContentKey(b"2" * 16)}, replace=True)
        assert store.keys.get_many([KID])[KID].key == ContentKey(b"2" * 16)


def test_what_is_not_held_cannot_be_changed(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        for change in (lambda: store.keys.remove(KID), lambda: store.keys.set_policy(KID, None)):
            with pytest.raises(KeyMissingError):
                change()


def test_a_wrapped_key_does_not_open_in_another_row(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        store.keys.add({KID: ContentKey(b"1" * 16), OTHER: ContentKey(b"2" * 16)})
        with store.engine.begin() as connection:
            wrapped = sa.select(schema.content_keys.c.wrapped).where(schema.content_keys.c.kid == KID.value)
            other = schema.content_keys.update().where(schema.content_keys.c.kid == OTHER.value)
            connection.execute(other.values(wrapped=connection.execute(wrapped).scalar_one()))
        with pytest.raises(StorageError, match="does not unwrap"):
            store.keys.get_many([OTHER])


def test_a_policy_that_cannot_be_enforced_is_not_issued(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        store.keys.add({KID: ContentKey(b"1" * 16)})
        with store.engine.begin() as connection:
            connection.execute(schema.content_keys.update().values(policy='{"watermark": true}'))
        with pytest.raises(StorageError, match="policy"):
            store.keys.get_many([KID])


def test_another_kek_is_named_at_the_start(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        store.keys.add({KID: ContentKey(b"1" * 16)})
    with (
        pytest.raises(StorageError, match="another key-encryption key"),
        open_store(store_place.place, Kek(b"x" * 32)),
    ):
        pass


@pytest.mark.parametrize("found", ["9999", None])
def test_another_revision_is_refused(tmp_path: Path, found: str | None) -> None:
    path = tmp_path / "keys.db"
    with open_store(path, KEK):
        pass
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM alembic_version")
        if found:
            database.execute("INSERT INTO alembic_version VALUES (?)", (found,))
    database.close()
    with pytest.raises(StorageError, match="another version") as raised, open_store(path, KEK):
        pass
    assert (found or "none") in raised.value.seen
    assert schema.HEAD in raised.value.seen


def test_a_file_that_is_no_store(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a database " * 100)
    with pytest.raises(StorageError, match="not a key store"), open_store(text, KEK):
        pass
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE mine (x)")
    database.close()
    with pytest.raises(StorageError, match="not a key store"), open_store(other, KEK):
        pass


def test_the_migrations_end_where_the_program_is(store_place: StorePlace) -> None:
    folder = Path(schema.__file__).parents[1] / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == schema.HEAD
    with store_place.opened() as store, store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


SECRET = bytes(range(32))


@pytest.mark.parametrize(
    "text", [SECRET, SECRET.hex().encode() + b"\n", base64.b64encode(SECRET), base64.urlsafe_b64encode(SECRET)[:43]]
)
def test_a_kek_file_in_every_form(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "kek").write_bytes(text)
    assert find_kek(tmp_path / "keys.db", tmp_path / "kek").secret == SECRET


def test_a_kek_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARKEY_KEK", SECRET.hex())
    kek = find_kek(tmp_path / "keys.db", None)
    assert kek.secret == SECRET
    assert not list(tmp_path.iterdir())
    assert SECRET.hex() not in repr(kek)
    assert SECRET.hex()[:16] != kek.id


def test_a_bad_kek_is_refused_without_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARKEY_KEK", "hunter2")
    with pytest.raises(StorageError) as raised:
        find_kek(tmp_path / "keys.db", None)
    assert "hunter2" not in raised.value.render()


def test_a_kek_that_was_beside_the_store_and_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    with open_store(path, find_kek(path, None)) as store:
        store.keys.add({KID: ContentKey(b"1" * 16)})
    (tmp_path / "keys.db.kek").unlink()
    with pytest.raises(StorageError, match="gone"):
        find_kek(path, None)


def test_a_kek_made_beside_the_store_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    find_kek(tmp_path / "keys.db", None)
    assert "protects nothing" in caplog.text
