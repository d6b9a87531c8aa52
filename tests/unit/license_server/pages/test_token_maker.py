"""The page of tools makes a token that this very server takes, says nothing of it later, and needs a key for that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
import requests

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from license_server.issuing.token_minting import make_signing_key
from license_server.pages.token_maker import TokenMaker
from license_server.store.audit import audit_rows
from license_server.store.opening import Store, open_store
from license_server.store.wrapping import Kek
from tests.interop.command import Command

KID, OTHER = KeyId(b"k" * 16), KeyId(b"o" * 16)
PASSWORD = "correct horse battery"


class Person:
    """Somebody who signed in."""

    def __init__(self, url: str, store: Path) -> None:
        self.url, self.store = url, store
        self.session = requests.Session()
        self.session.post(f"{url}/sign-in", data={"password": PASSWORD}, timeout=10)

    def tools(self, **form: str) -> str:
        page = self.session.get(f"{self.url}/tools", timeout=10).text
        if not form:
            return page
        csrf = re.search(r'name="csrf" value="([^"]+)"', page)[1]
        return self.session.post(
            f"{self.url}/tools", data={"csrf": csrf, "tool": "make-token", **form}, timeout=10
        ).text

    def made(self, **form: str) -> str:
        page = self.tools(**form)
        return unescape(re.search(r"aria-labelledby=\"made\">([^<]+)<", page)[1])

    def license_code(self, token: str, kid: KeyId = KID) -> str:
        body = b'{"kids":["%b"]}' % kid.base64url.encode()
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.post(f"{self.url}/license", data=body, headers=headers, timeout=10).json()
        return str(answer.get("code", "issued"))


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    folder = tmp_path_factory.mktemp("maker")
    signing = make_signing_key(folder / "signing.json")
    (folder / "verifying.json").write_text(json.dumps({"keys": [signing.public()]}))
    (folder / "admins").write_text(f"alice {'a' * 40}\n")
    (folder / "password").write_text(PASSWORD)
    (folder / "keys").write_text("".join(f"{kid}:{ContentKey(kid.value).secret.hex()}\n" for kid in (KID, OTHER)))
    process = Command(folder / "home").start(
        "serve", "--port", 0, "--store", folder / "keys.db", "--keys-file", folder / "keys", "--admin-password-file",
        folder / "password", "--tokens-file", folder / "verifying.json", "--admin-token-file", folder / "admins",
        "--admin-signing-key", folder / "signing.json", "--audit", "sync",
    )  # fmt: skip
    try:
        url = process.stdout.readline().removeprefix("license server: ").strip()
        yield Person(url, folder / "keys.db")
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_it_names_key_ids_and_the_server_takes_it(person: Person) -> None:
    token = person.made(kids=str(KID), life="60", subject="a try")
    assert [person.license_code(token) for _ in range(2)] == ["issued", "issued"]
    assert person.license_code(token, OTHER) == "token_kids"
    assert token not in person.tools(), "it is shown once"


def test_without_key_ids_it_is_for_every_key(person: Person) -> None:
    token = person.made(kids="")
    assert {person.license_code(token, kid) for kid in (KID, OTHER)} == {"issued"}


def test_one_for_a_single_license(person: Person) -> None:
    token = person.made(kids=f"{KID}, {OTHER.hex}", single="1")
    assert [person.license_code(token) for _ in range(2)] == ["issued", "token_replayed"]


@pytest.mark.parametrize("form", [{"kids": "no key id"}, {"life": "0"}, {"life": "1e9"}, {"life": "99999999999999"}])
def test_what_cannot_be_made_says_why(person: Person, form: dict[str, str]) -> None:
    page = person.tools(**form)
    assert 'role="alert"' in page
    assert 'aria-labelledby="made"' not in page


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "keys.db", Kek(bytes(32))) as opened:
        yield opened


def test_it_is_written_down_and_the_token_is_not(store: Store, tmp_path: Path) -> None:
    made = TokenMaker(make_signing_key(tmp_path / "key"), store, None).make({"kids": str(KID), "single": "1"}, "here")
    (row,) = audit_rows(store.engine)
    assert (row.action, row.code, row.kids, row.client) == ("pages", "token_minted", KID.hex, "here")
    assert row.token_id
    assert made.token not in repr(row)
    assert made.token not in repr(made)


def test_more_key_ids_than_a_request_has_are_refused(store: Store, tmp_path: Path) -> None:
    maker = TokenMaker(make_signing_key(tmp_path / "key"), store, None)
    with pytest.raises(InvalidArgumentError, match="64"):
        maker.make({"kids": " ".join(str(KeyId(bytes([number]) * 16)) for number in range(65))}, "here")
