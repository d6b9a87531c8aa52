"""A store of the version before, with rows in it, brought up to date: nothing is lost, and moments have 64 bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command, config

import license_server
from drm.errors import StorageError
from drm.keys import ContentKey, KeyId
from license_server.store.engines import engine_of
from license_server.store.opening import migrate_store, open_store
from license_server.store.schema import HEAD, metadata
from tests.unit.license_server.store_places import KEK, KINDS, Postgres

KID, OTHER = KeyId(b"k" * 16), KeyId(b"o" * 16)
KEY = ContentKey(b"Zq" * 8)
FAR = 2**31 + 5  # a second that 32 bits do not hold: in the year 2038
COMPOSED, APART = "Café", "Cafe\u0301"


def migrate_to(engine: sa.Engine, revision: str) -> None:
    settings = config.Config()
    settings.set_main_option("script_location", str(Path(license_server.__file__).parent / "migrations"))
    settings.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        settings.attributes["connection"] = connection
        (command.downgrade if revision.startswith("-") else command.upgrade)(settings, revision)


@pytest.fixture(params=KINDS)
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Path]:
    """A store of revision 0002, with a row in each table."""
    if request.param == "sqlite":
        filled(tmp_path / "keys.db")
        yield tmp_path / "keys.db"
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    with postgres.database(is_migrated=False) as url:
        filled(url)
        yield url


def filled(place: str | Path) -> None:
    engine, _ = engine_of(place)
    migrate_to(engine, "0002")
    wrapped = {"wrapped": KEK.wrap(KID, KEY), "kek_id": KEK.id, "created_at": 1_700_000_000, "check_value": None}
    rows = {
        "content_keys": [
            {"kid": KID.value, **wrapped, "content_id": APART, "track": "HD", "period": 0, "revoked_at": None},
            {"kid": OTHER.value, **wrapped, "wrapped": KEK.wrap(OTHER, KEY), "content_id": "plain", "track": None,
             "period": None, "revoked_at": 1_700_000_009},
        ],
        "contents": [
            {"content_id": APART, "policy": '{"hdcp":1}', "created_at": 1_700_000_001, "revoked_at": 1_700_000_002},
            {"content_id": COMPOSED, "policy": None, "created_at": 1_700_000_003, "revoked_at": None},
            {"content_id": "e\u0301tude", "policy": None, "created_at": 1_700_000_004, "revoked_at": 1_700_000_005},
        ],
        "devices": [{"device_id": "D" * 43, "jwk": "{}", "registered_at": 1_700_000_004, "enrolled_at": None}],
        "nonces": [{"device_id": "D" * 43, "nonce": "n" * 16, "until": 2**31 - 1}],
        "token_uses": [{"token_id": APART, "until": 2**31 - 1}],
        "revoked_tokens": [
            {"token_id": APART, "revoked_at": 1_700_000_005}, {"token_id": COMPOSED, "revoked_at": 1_700_000_006},
            {"token_id": "plain", "revoked_at": 1_700_000_007},
        ],
        "audit": [
            {"at": 1_700_000_008.5, "action": "license", "client": "here", "status": 200, "code": "issued",
             "kids": KID.hex, "subject": "s", "token_id": "", "device_id": "", "microseconds": 7}
        ],
    }  # fmt: skip
    with engine.begin() as connection:
        for name, values in rows.items():
            connection.execute(metadata.tables[name].insert(), values)
    engine.dispose()


def test_a_store_of_the_version_before_is_refused_by_name_until_it_is_migrated(older: str | Path) -> None:
    with pytest.raises(StorageError, match="another version") as raised, open_store(older, KEK):
        pass
    assert "revision 0002" in raised.value.seen
    assert raised.value.remedy.startswith("clearkey keys migrate")
    assert migrate_store(older) == "0002"
    assert migrate_store(older) == HEAD


def test_every_row_is_there_afterwards_and_names_have_one_form(older: str | Path) -> None:
    migrate_store(older, "an operator")
    with open_store(older, KEK) as store:
        assert store.keys.verify() == 2
        rows = {row.kid: row for row in store.keys.rows()}
        assert (rows[KID].place.content, rows[KID].created_at) == (COMPOSED, 1_700_000_000)
        assert rows[OTHER].revoked_at == 1_700_000_009
        found = {row.content: (row.revoked_at, row.policy is not None) for row in store.contents.rows()}
        assert found == {COMPOSED: (1_700_000_002, True), "étude": (1_700_000_005, False)}
        assert store.keys.get_many([KID])[KID].revoked == "content"
        assert sorted(store.tokens.revoked()) == sorted([COMPOSED, "plain"])
        assert not store.tokens.spend(COMPOSED, FAR), "a token that was used stays used"
        assert [row.device_id for row in store.devices.rows()] == ["D" * 43]
        with store.engine.connect() as connection:
            logged = connection.execute(sa.text("SELECT at, code, subject FROM audit ORDER BY id")).all()
        assert logged[0] == (1_700_000_008.5, "issued", "s")
        assert [row[1:] for row in logged[1:]] == [("migrated", "an operator")]


def test_moments_after_2038_are_kept(older: str | Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate_store(older)
    for name in ("keys", "contents", "devices", "tokens"):
        monkeypatch.setattr(f"license_server.store.{name}.time.time", lambda: float(FAR))
    with open_store(older, KEK) as store:
        store.keys.revoke(KID)
        store.contents.revoke("later")
        store.devices.enrol("E" * 43)
        store.devices.revoke("E" * 43)
        store.tokens.revoke("later")
        assert store.tokens.spend("forever", 1e308)
        (made,) = store.keys.make([store.keys.row(OTHER).place])
        assert (store.keys.row(KID).revoked_at, store.keys.row(made).created_at) == (FAR, FAR)
        device = next(row for row in store.devices.rows() if row.device_id == "E" * 43)
        assert (device.registered_at, device.enrolled_at, device.revoked_at) == (FAR, FAR, FAR)


def test_an_upgrade_can_be_taken_back(older: str | Path) -> None:
    migrate_store(older)
    engine, _ = engine_of(older)
    migrate_to(engine, "-1")
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM content_keys")).scalar_one() == 2
    engine.dispose()
    assert migrate_store(older) == "0002"
