"""What is of PostgreSQL alone: how a store there begins, and what several workers share in it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from drm.app.rights.license_exchange import AnswerKind, exchange, individualize
from drm.errors import StorageError
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_license_request
from drm.license.sealed import SealedRequest, make_registration
from drm.rights.policy import Policy
from license_server.process import LicenseServer
from license_server.store.audit import audit_rows
from license_server.store.keys import Place
from license_server.store.opening import migrate_store, open_store
from license_server.store.schema import HEAD
from tests.unit.license_server.issuing.test_entitlements import JWKS, token
from tests.unit.license_server.store_places import KEK, Postgres

LIMIT = 20.0  # seconds within which anything here happens
KID, KEY = KeyId(b"k" * 16), ContentKey(b"Zq" * 8)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    with postgres.database(is_migrated=False) as made:
        yield made


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as made:
        yield made


def test_an_empty_database_is_refused_until_it_is_migrated(empty: str) -> None:
    with pytest.raises(StorageError, match="not a key store") as raised, open_store(empty, KEK):
        pass
    assert "keys migrate" in raised.value.remedy
    command = [sys.executable, "-m", "player.cli", "keys", "migrate", "--store", empty]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert migrate_store(empty) == HEAD
    with open_store(empty, KEK) as store:
        assert store.keys.count() == 0


def test_a_server_over_it(url: str, tmp_path: Path) -> None:
    (tmp_path / "kek").write_bytes(KEK.secret)
    with (
        open_store(url, KEK) as store,
        LicenseServer(
            keys={KID: KEY}, store=url, kek_file=tmp_path / "kek", tokens=JWKS, audience="clearkey", workers=2
        ) as server,
    ):
        store.keys.add({KID: KEY}, places={KID: Place("movie", "HD", 0)})
        text = token({"jti": "postgres"})
        found = [requests.post(f"{server.license_url}?token={text}", data=BODY, timeout=5) for _ in range(4)]
        assert sorted(answer.status_code for answer in found) == [200, 403, 403, 403]
        good = f"{server.license_url}?token={token()}"
        assert {requests.post(good, data=BODY, timeout=5).status_code for _ in range(6)} == {200}
        store.contents.set_policy("movie", Policy(expires=5))
        store.contents.set_policy("movie", Policy(sealed_only=True))
        ends, issued = time.monotonic() + LIMIT, 7
        while (answer := requests.post(good, data=BODY, timeout=5)).ok and time.monotonic() < ends:
            issued += 1
        assert answer.json()["code"] == "sealed_required"
        assert requests.get(f"{server.url}/ready", timeout=5).status_code == 200
        codes: list[str] = []
        while len(codes) < issued + 4 and time.monotonic() < ends:  # it is written in batches
            codes = [row.code for row in audit_rows(store.engine, most=100_000)]
        assert codes.count("issued") == issued
        assert codes.count("token_replayed") == 3
        assert store.keys.rewrap() == 0
        assert store.keys.verify() == 1


def test_devices_and_nonces_over_it(url: str, tmp_path: Path) -> None:
    (tmp_path / "kek").write_bytes(KEK.secret)
    device = os.urandom(32)
    with open_store(url, KEK) as store, LicenseServer(
        keys={KID: KEY}, store=url, kek_file=tmp_path / "kek", workers=2
    ) as server:  # fmt: skip
        individualize(f"{server.url}/individualize", make_registration(device))
        request = SealedRequest.make(device, [KID], {"level": 1}, {})
        answer = exchange(server.license_url, encode_license_request([KID], pmp=request.jws))
        assert answer.kind is AnswerKind.SEALED
        assert request.open(answer.body).keys == {KID: KEY}
        (row,) = store.devices.rows()
        store.devices.revoke(row.device_id)
        body = encode_license_request([KID], pmp=SealedRequest.make(device, [KID], {"level": 1}, {}).jws)
        refused = requests.post(server.license_url, data=body, timeout=5)
        assert (refused.status_code, refused.json()["code"]) == (403, "device_revoked")
        refused = requests.post(f"{server.url}/individualize", data=make_registration(device), timeout=5)
        assert refused.json()["code"] == "device_revoked"


@pytest.mark.parametrize("place", ["mysql://me@/x", "postgresql://me@[/x", "postgresql://me:SECRET@127.0.0.1:1/x"])
def test_what_is_no_database(place: str) -> None:
    with pytest.raises(StorageError) as raised, open_store(place, KEK):
        pass
    assert "SECRET" not in raised.value.render()
