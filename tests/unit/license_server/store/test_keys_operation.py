"""A store over the years, by the verbs of `clearkey keys`: import, periods, export, another KEK, another version."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from drm.keyfile.check_value import check_value
from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from license_server.store.audit import audit_rows
from license_server.store.keys import Place
from license_server.store.wrapping import Kek
from tests.unit.license_server.store_places import StorePlace

KID, OTHER = KeyId.parse("00112233445566778899aabbccddeeff"), KeyId(b"o" * 16)
KEY = ContentKey.parse("f0e1d2c3b4a5968778695a4b3c2d1e0f")
Verb = Callable[..., subprocess.CompletedProcess[str]]


def verbs(*named: str) -> Verb:
    def run(verb: str, *arguments: object, code: int = 0, store: bool = True) -> subprocess.CompletedProcess[str]:
        words = [verb, *map(str, arguments), *(named if store else ())]
        done = subprocess.run(
            [sys.executable, "-m", "player.cli", "keys", *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def keys(store_place: StorePlace) -> Verb:
    return verbs(*store_place.words)


def some_keys(count: int) -> dict[KeyId, ContentKey]:
    return {KeyId(os.urandom(16)): ContentKey(os.urandom(16)) for _ in range(count)}


def forms(secret: bytes) -> tuple[bytes, ...]:
    texts = (secret.hex(), secret.hex().upper(), base64.b64encode(secret)[:22].decode())
    return secret, *(text.encode() for text in texts), base64.urlsafe_b64encode(secret)[:22]


# ------------------------------------------------------------------------------------------------ import and export
def test_a_table_of_keys_with_their_places(keys: Verb, tmp_path: Path) -> None:
    table = tmp_path / "keys.csv"
    right = check_value(KEY)
    table.write_text(f"\ufeffKID,Key,content,track,period,check_value\n{KID},{KEY.secret.hex()},movie,HD,3,{right}\n")
    keys("import", table)
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert (row["content"], row["track"], row["period"], row["check_value"]) == ("movie", "HD", 3, right)
    for line, words in (
        (f"{OTHER},{KEY.secret.hex()},m,HD,3,000000", "check value"),
        (f"{OTHER},{KEY.secret.hex()},m,HD,x,", "period"),
        (f"{OTHER},{KEY.secret.hex()},m,HD,-1,", "period"),
        (f"{OTHER},{KEY.secret.hex()},m,HD,2147483648,", "period"),
        (f"{OTHER},{KEY.secret.hex()},m,{'H' * 17},3,", "track"),
        (f"{OTHER},{KEY.secret.hex()},{'m' * 129},HD,3,", "content"),
        (f"{OTHER}", "columns"),
        (f"{OTHER},{KEY.secret.hex()},m,HD,3,,more", "columns"),
        (f"{OTHER},short,m,HD,3,", "line 2"),
    ):
        table.write_text(f"kid,key,content,track,period,check_value\n{line}\n")
        error = keys("import", table, code=3).stderr
        assert words in error
        assert KEY.secret.hex() not in error
    assert len(json.loads(keys("list", "--json").stdout)["keys"]) == 1


def test_what_leaves_the_store_is_written_down(keys: Verb, store_place: StorePlace, tmp_path: Path) -> None:
    (tmp_path / "in").write_text(f"{KID.hex}:{KEY.secret.hex()}\n")
    keys("import", tmp_path / "in", "--content", "movie")
    out = tmp_path / "out.json"
    assert KEY.secret.hex() not in keys("export", "-o", out).stdout
    assert out.stat().st_mode & 0o777 == 0o600
    (jwk,) = json.loads(out.read_text())["keys"]
    assert jwk["k"] == base64.urlsafe_b64encode(KEY.secret)[:22].decode()
    keys("export", "-o", out, code=2)  # never over a file
    keys("export", OTHER, "-o", tmp_path / "none", code=4)
    with store_place.opened() as store:
        deeds = audit_rows(store.engine)
    assert [(deed.action, deed.kids) for deed in deeds] == [
        ("command", KID.hex),
        ("export", KID.hex),
        ("export", KID.hex),
    ]
    assert all(deed.subject for deed in deeds)


def test_periods_and_revocation_by_hand(keys: Verb) -> None:
    first = keys("rotate", "movie", "--track", "HD", "--track", "AUDIO").stdout.splitlines()
    second = keys("rotate", "movie").stdout.splitlines()
    assert ["period 0" in line for line in first] == [True, True]
    assert ["period 1" in line for line in second] == [True, True]
    assert len({line.split()[0] for line in first + second}) == 4
    assert "no keys yet" in keys("rotate", "other", code=4).stderr
    assert "a track is named" in keys("rotate", "movie", "--track", "H" * 17, code=2).stderr
    kid = first[0].split()[0]
    assert "within 1 seconds" in keys("revoke", kid, "--content", "movie", "--token", "t").stderr
    assert keys("list").stdout.count("revoked") == 1
    keys("revoke", kid, "--restore")
    assert "revoked" not in keys("list").stdout
    keys("revoke", code=2)
    assert "sealed_only" in keys("policy", "--content", "movie", "--sealed-only").stdout


def test_a_token_made_by_hand_opens_a_server(keys: Verb, store_place: StorePlace, tmp_path: Path) -> None:
    with store_place.opened() as store:
        store.keys.add({KID: KEY}, places={KID: Place("movie")})
    signer, public = tmp_path / "signer.json", tmp_path / "public.json"
    text = keys(
        "token",
        "--content",
        "movie",
        "--audience",
        "here",
        "--signing-key",
        signer,
        "--verifying-key",
        public,
        store=False,
    ).stdout.strip()
    assert signer.stat().st_mode & 0o777 == 0o600
    assert "d" not in json.loads(public.read_text())["keys"][0]
    body = b'{"kids":["%b"]}' % KID.base64url.encode()
    with LicenseServer(tokens=public.read_text(), audience="here", **store_place.named) as server:
        assert requests.post(server.license_url, data=body, timeout=5).status_code == 401
        assert requests.post(f"{server.license_url}?token={text}", data=body, timeout=5).status_code == 200
        other = keys("token", OTHER, "--audience", "here", "--signing-key", signer, store=False).stdout.strip()
        assert requests.post(f"{server.license_url}?token={other}", data=body, timeout=5).status_code == 403


# ------------------------------------------------------------------------------------------------ another KEK
def test_keys_are_wrapped_anew_while_the_server_answers(keys: Verb, store_place: StorePlace) -> None:
    held = some_keys(300)
    with store_place.opened() as store:
        store.keys.add(held)
    old = store_place.kek_file.read_bytes()
    found: list[int] = []
    with LicenseServer(workers=2, **store_place.named) as server:
        ended = threading.Event()

        def load() -> None:
            while not ended.is_set():
                for kid in list(held)[:40]:
                    body = b'{"kids":["%b"]}' % kid.base64url.encode()
                    found.append(requests.post(server.license_url, data=body, timeout=5).status_code)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            assert "300 keys" in keys("rewrap").stderr
            keys("rewrap")  # and once more
        finally:
            ended.set()
            thread.join()
        assert requests.get(f"{server.url}/ready", timeout=5).status_code == 200
    assert len(found) > 50
    assert set(found) == {200}
    assert "300 keys" in keys("verify").stderr
    new = store_place.kek_file.read_bytes()
    assert new != old
    # The old ones open nothing any more.
    store_place.kek_file.with_name("keys.db.kek.old").unlink()
    with store_place.opened() as store:
        assert {row.kek_id for row in store.keys.rows()} == {Kek(new).id}
        assert all(store.keys.get_many([kid])[kid].key == key for kid, key in held.items())
    everything = store_place.everything()
    for key in held.values():
        assert not any(form in everything for form in forms(key.secret))


def test_a_rewrapping_that_was_interrupted_goes_on(keys: Verb, store_place: StorePlace) -> None:
    held = some_keys(20)
    with store_place.opened() as store:
        store.keys.add(held)
    # As after a kill in the middle: the new KEK is beside the old one, and some rows are done.
    store_place.kek_file.with_name("keys.db.kek.new").write_bytes(b"N" * 32)
    with store_place.opened() as store:
        store.keys.add({OTHER: KEY})
        assert len({row.kek_id for row in store.keys.rows()}) == 2
    with LicenseServer(**store_place.named) as server:
        for kid in (OTHER, next(iter(held))):
            body = b'{"kids":["%b"]}' % kid.base64url.encode()
            assert requests.post(server.license_url, data=body, timeout=5).status_code == 200
    assert "20 keys" in keys("rewrap").stderr
    assert store_place.kek_file.read_bytes() == b"N" * 32
    assert "21 keys" in keys("verify").stderr


# ------------------------------------------------------------------------------------------------ another version
def test_a_store_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    place, keys = tmp_path / "keys.db", verbs("--store", str(tmp_path / "keys.db"))
    kek = Kek(b"K" * 32)
    place.with_name("keys.db.kek").write_bytes(b"K" * 32)
    with sqlite3.connect(place) as database:
        database.executescript(
            """CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
            INSERT INTO alembic_version VALUES ('0001');
            CREATE TABLE content_keys (kid BLOB NOT NULL PRIMARY KEY, wrapped BLOB NOT NULL,
                kek_id VARCHAR(16) NOT NULL, policy TEXT, created_at INTEGER NOT NULL);
            CREATE TABLE devices (device_id VARCHAR(64) NOT NULL PRIMARY KEY, jwk TEXT NOT NULL,
                registered_at INTEGER NOT NULL, enrolled_at INTEGER, last_seen INTEGER, claimed_level INTEGER);
            CREATE TABLE nonces (device_id VARCHAR(64) NOT NULL, nonce VARCHAR(64) NOT NULL, until INTEGER NOT NULL,
                PRIMARY KEY (device_id, nonce));
            CREATE INDEX ix_nonces_until ON nonces (until);"""
        )
        row = (KID.value, kek.wrap(KID, KEY), kek.id, '{"expires":4000000000}', 5)
        database.execute("INSERT INTO content_keys VALUES (?, ?, ?, ?, ?)", row)
    database.close()
    assert "keys migrate" in keys("list", code=3).stderr
    assert "revision 0001" in keys("migrate").stderr
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert (row["kid"], row["policy"]["expires"], row["created_at"]) == (str(KID), 4_000_000_000, 5)
    assert row["check_value"] is None
    keys("verify")
    (row,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert row["check_value"] == check_value(KEY)
    keys("migrate")  # again: nothing to do


def test_what_is_no_store_is_not_migrated(tmp_path: Path) -> None:
    place, keys = tmp_path / "keys.db", verbs("--store", str(tmp_path / "keys.db"))
    with sqlite3.connect(place) as database:
        database.execute("CREATE TABLE somebody_elses (x)")
    database.close()
    assert "not a key store" in keys("migrate", code=3).stderr
