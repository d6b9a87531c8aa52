"""Words and numbers that nobody means well with, at every place where the server takes any: no answer is a failure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from license_server.admin.blueprint import BASE
from license_server.pages.return_path import return_path
from tests.unit.license_server.admin.admin_server import ALICE, KEYS, KIDS, start
from tests.unit.license_server.pages.test_pages import PASSWORD, csrf_of
from tests.unit.license_server.store_places import StorePlace

_WORDS = json.loads(Path(__file__).with_name("hostile_words.json").read_text())
NUMBERS = [*_WORDS["numbers"], *("9" * length for length in (4300, 5000))]
NAMES = [*_WORDS["names"], *("a" * length for length in (4096, 60_000))]
PLACES = [*_WORDS["places"], "/" + "a" * 70_000, "/?" + "a=b&" * 2000]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, module_place: StorePlace) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "tokens").write_text(ALICE)
    (folder / "password").write_text(PASSWORD)
    with module_place.opened() as store:
        store.keys.add(KEYS)
    process, base = start(
        folder, *module_place.words, "--admin-token-file", folder / "tokens", "--admin-password-file",
        folder / "password", "--faults", "--catalogue", folder, "--rate-limit", "off", pages=True,
    )  # fmt: skip
    try:
        yield base
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert "unexpected" not in (folder / "log").read_text()


@pytest.fixture(scope="module")
def session(url: str) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        page = opened.post(f"{url}/sign-in", data={"password": PASSWORD}).text
        opened.csrf = csrf_of(page)  # type: ignore[attr-defined]
        yield opened


def failures(answers: Iterator[tuple[str, str, requests.Response]]) -> list[tuple[str, str, int]]:
    found = list(answers)
    assert found
    return [(where, repr(word)[:80], answer.status_code) for where, word, answer in found if answer.status_code >= 500]


def test_there_are_three_hundred_of_them_at_least() -> None:
    assert len({*NUMBERS, *NAMES, *PLACES}) >= 300


def test_numbers(url: str, session: requests.Session) -> None:
    admin = {"Authorization": f"Bearer {ALICE}"}

    def asked() -> Iterator[tuple[str, str, requests.Response]]:
        for number in NUMBERS:
            for path, name in (("/audit", "after"), ("/audit", "limit"), ("/keys", "limit"), ("/keys", "after")):
                yield path, number, session.get(f"{url}{BASE}{path}", params={name: number}, headers=admin, timeout=10)
            yield "events", number, session.get(f"{url}/api/events", params={"after": number}, timeout=10)
            for path, body in (
                ("/keys", '{"count": %s}'), ("/tokens/mint", '{"life": %s}'),
                ("/contents/policy", '{"content": "n", "policy": {"expires": %s}}'),
                ("/contents/policy", '{"content": "n", "policy": {"rental": %s, "min_level": 1}}'),
            ):  # fmt: skip
                method = "PUT" if path.endswith("policy") else "POST"
                data = (body % number).encode()
                yield body, number, session.request(method, f"{url}{BASE}{path}", data=data, headers=admin, timeout=10)
            yield "contents", number, session.get(f"{url}{BASE}/contents", headers=admin, timeout=10)
            form = {"csrf": session.csrf, "tool": "make-token", "life": number}  # type: ignore[attr-defined]
            yield "life", number, session.post(f"{url}/tools", data=form, timeout=10)
            yield "fault", number, session.post(f"{url}/license?fault=status-{number},{number}", timeout=10)
            ranges = {"Range": f"bytes={number.strip()}-".encode().decode("latin-1")}
            yield "range", number, session.get(f"{url}/media/none.mp4", headers=ranges, timeout=10)

    assert failures(asked()) == []


def test_names(url: str, session: requests.Session) -> None:
    admin = {"Authorization": f"Bearer {ALICE}"}

    def asked() -> Iterator[tuple[str, str, requests.Response]]:
        for name in NAMES:
            for path, order in (
                ("/keys", {"content": name, "tracks": ["HD"]}), ("/keys", {"content": "c", "tracks": [name]}),
                ("/contents/revoke", {"content": name}), ("/contents/rotate", {"content": name}),
                ("/tokens/revoke", {"token_id": name}), ("/devices/revoke", {"device": name}),
                ("/keys/export", {"kids": [name]}),
                ("/tokens/mint", {"subject": name, "token_id": name, "audience": name}),
                ("/keys/import", {"keys": [{"kid": name, "k": name}]}),
            ):  # fmt: skip
                heads = {**admin, "X-Clearkey-Confirm": "export"}
                yield path, name, session.post(f"{url}{BASE}{path}", json=order, headers=heads, timeout=10)
            yield "kid", name, session.get(f"{url}{BASE}/keys/{requests.utils.quote(name, safe='')}", headers=admin)
            yield "content", name, session.get(f"{url}{BASE}/keys", params={"content": name}, headers=admin, timeout=10)
            yield "license", name, session.post(f"{url}/license", json={"kids": [name], "type": name}, timeout=10)
            yield "hls", name, session.get(f"{url}/hls/key/{requests.utils.quote(name, safe='')}", timeout=10)
            yield "find", name, session.get(f"{url}/keys", params={"q": name}, timeout=10)
            yield "key page", name, session.get(f"{url}/keys/{requests.utils.quote(name, safe='')}", timeout=10)
            yield "film", name, session.get(f"{url}/media/{requests.utils.quote(name)}.mp4", timeout=10)
            for path, form in (
                ("keys/new", {"content": name}), ("keys/new", {"content": "c", "tracks": name}),
                ("keys/period", {"content": name}), ("keys/import", {"keys": name}), ("sign-in", {"token": name}),
                (f"keys/{KIDS[0]}/show", {"confirm": name}), ("tools", {"tool": "pssh", "pssh": name}),
                ("tools", {"tool": "token", "token": name}), ("tools", {"tool": "make-token", "subject": name}),
                ("tools", {"tool": "signal", "manifest": name, "license_url": name, "kid": name, "scheme": name}),
            ):  # fmt: skip
                data = {"csrf": session.csrf, **form}  # type: ignore[attr-defined]
                yield path, name, session.post(f"{url}/{path}", data=data, timeout=10, allow_redirects=False)
        for path in ("overview", "keys", "licenses", "trust", "path", "tools", "watch", "api/events"):
            yield path, "after all that", session.get(f"{url}/{path}", timeout=10)

    assert failures(asked()) == []


class _From(HTTPAdapter):
    """Asks from another address of this machine: ten attempts to sign in are allowed to each."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *words: Any, **named: Any) -> Any:
        return super().init_poolmanager(*words, source_address=(self.address, 0), **named)


def test_places_to_go_to(url: str, module_place: StorePlace) -> None:
    """Half of them of each kind of store: none of them is stored."""
    half = PLACES[module_place.postgres is None :: 2]

    def asked() -> Iterator[tuple[str, str, requests.Response]]:
        for number, place in enumerate(half):
            with requests.Session() as visitor:
                visitor.mount("http://", _From(f"127.0.1.{1 + number // 8}"))
                yield "page", place, visitor.get(f"{url}/sign-in", params={"next": place}, timeout=10)
                form = {"password": PASSWORD, "next": place}
                answer = visitor.post(f"{url}/sign-in", data=form, timeout=10, allow_redirects=False)
                assert answer.status_code == 413 or return_path(answer.headers["Location"]), repr(place)[:80]
                yield "form", place, answer

    assert failures(asked()) == []
