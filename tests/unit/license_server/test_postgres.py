"""The same store in PostgreSQL, by URL: a real server in a folder of its own, reached through a socket there."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from drm.app.license_exchange import AnswerKind, exchange, individualize
from drm.clearkey import encode_license_request
from drm.errors import StorageError
from drm.keys import ContentKey, KeyId
from drm.policy import Policy
from drm.sealed import SealedRequest, make_registration
from license_server.audit import audit_rows
from license_server.key_rows import CACHE_SECONDS
from license_server.key_store import Place
from license_server.process import LicenseServer
from license_server.store import migrate_store, open_store
from license_server.wrapping import Kek
from tests.unit.license_server.test_entitlements import JWKS, token

KID, KEY = KeyId(b"k" * 16), ContentKey(b"Zq" * 8)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()
KEK = Kek(b"K" * 32)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    found = shutil.which("initdb") or next((str(p) for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")), None)
    if found is None:
        pytest.skip("PostgreSQL is not installed")
    programs = Path(found).resolve().parent
    folder = Path(tempfile.mkdtemp(prefix="clearkey-pg-", dir="/tmp"))  # short: it holds a socket's name
    folder.chmod(0o755)
    user: dict[str, int] = {}
    if os.getuid() == 0:  # PostgreSQL does not run as root
        user = {"user": 65534, "group": 65534}
        os.chown(folder, 65534, 65534)
    data = folder / "data"
    words = [str(programs / "initdb"), "-D", str(data), "-A", "trust", "-U", "me", "-N", "--no-instructions"]
    subprocess.run(words, check=True, capture_output=True, cwd=folder, **user)
    words = [str(programs / "postgres"), "-D", str(data), "-k", str(folder), "-h", "", "-F"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, **user)
    try:
        ends = time.monotonic() + 20
        while not (folder / ".s.PGSQL.5432").exists():
            assert time.monotonic() < ends
            time.sleep(0.05)
        yield f"postgresql://me@/postgres?host={folder}"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def test_an_empty_database_is_refused_until_it_is_migrated(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a key store") as raised, open_store(url, KEK):
        pass
    assert "keys migrate" in raised.value.remedy
    command = [sys.executable, "-m", "player.cli", "keys", "migrate", "--store", url]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert migrate_store(url) == "0002"
    with open_store(url, KEK) as store:
        assert store.keys.count() == 0


def test_a_server_over_it(url: str, tmp_path: Path) -> None:
    migrate_store(url)
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
        time.sleep(CACHE_SECONDS + 0.3)
        assert requests.post(good, data=BODY, timeout=5).json()["code"] == "sealed_required"
        assert requests.get(f"{server.url}/ready", timeout=5).status_code == 200
        time.sleep(0.3)  # the audit log is written in batches
        codes = [row.code for row in audit_rows(store.engine)]
        assert codes.count("issued") == 7
        assert codes.count("token_replayed") == 3
        assert store.keys.rewrap() == 0
        assert store.keys.verify() == 1


def test_devices_and_nonces_over_it(url: str, tmp_path: Path) -> None:
    migrate_store(url)
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
