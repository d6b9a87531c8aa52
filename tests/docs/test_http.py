"""docs/reference/http.md names what the server answers, and with which status."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import requests

from drm.keys import ContentKey, KeyId
from license_server.admin.access import AdminRules
from license_server.admin.blueprint import BASE
from license_server.health import Health
from license_server.issuing.licenses import IssuingContext
from license_server.issuing.service import LicenseService
from license_server.metrics import Counters
from license_server.process import LicenseServer
from license_server.rules import ServerRules
from license_server.serving.app import create_app
from license_server.store.keys import Place
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek
from tests.docs.http_tables import SPELT_OUT_NOWHERE, statuses
from tests.docs.reference import FOLDER
from tests.unit.license_server.issuing.test_entitlements import JWKS, token

PAGE = (FOLDER / "http.md").read_text(encoding="utf-8")
KEK = b"K" * 32


def test_every_code_has_a_status() -> None:
    assert not [code for code, sent in statuses().items() if not sent]


def test_every_route_is_named(tmp_path: Path) -> None:
    with open_store(tmp_path / "keys.db", Kek(KEK)) as store:
        service = LicenseService(IssuingContext(keys=store.licenses, devices=store.devices))
        rules = ServerRules(admin=AdminRules(tokens=()), signers={})
        app = create_app(service, Health(store, Counters(0).part(0)), rules)
    paths = [rule.rule.replace("<kid>", "KID") for rule in app.url_map.iter_rules()]
    assert len(paths) > 20
    for path in paths:
        shown = path.removeprefix(BASE).replace("KID", "{kid}") if path.startswith(BASE) else path
        assert f"{shown}`" in PAGE or f"{shown}?" in PAGE, path


def test_what_the_sources_do_not_spell_out_is_what_a_server_says(tmp_path: Path) -> None:
    (tmp_path / "kek").write_bytes(KEK)
    one, other = KeyId(b"1" * 16), KeyId(b"2" * 16)
    with open_store(tmp_path / "keys.db", Kek(KEK)) as store:
        store.keys.add({kid: ContentKey(b"k" * 16) for kid in (one, other)}, places={other: Place("film")})
        store.keys.revoke(one)
        store.contents.revoke("film")
    asked = [
        ("", one), ("nonsense", one), (token({"exp": time.time() - 600}), one), (token(), one), (token(), other),
    ]  # fmt: skip
    with LicenseServer(
        store=tmp_path / "keys.db", kek_file=tmp_path / "kek", tokens=JWKS, audience="clearkey"
    ) as server:
        found = {}
        for text, kid in asked:
            headers = {"Authorization": f"Bearer {text}"} if text else {}
            body = b'{"kids":["%b"]}' % kid.base64url.encode()
            answer = requests.post(server.license_url, data=body, headers=headers, timeout=5)
            found[answer.json()["code"]] = answer.status_code
    assert found == SPELT_OUT_NOWHERE


@pytest.mark.parametrize("name", ["license_url", "for", "keys_base", "kid", "scheme", "only", "check"])
def test_what_signal_takes_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE
