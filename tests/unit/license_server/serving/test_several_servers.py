"""Several servers, each with workers of its own, over one PostgreSQL: together they are one license server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from license_server.issuing.token_minting import make_signing_key
from license_server.store.audit import audit_rows
from tests.unit.license_server.admin.admin_server import ALICE, Api, start
from tests.unit.license_server.store_places import StorePlace, place_of

KID, KEY, OTHER = KeyId(b"k" * 16), ContentKey(b"Zq" * 8), KeyId(b"o" * 16)
LIMIT = 20.0  # seconds within which anything here happens


@dataclass
class Server:
    """One of them: a main process with two workers."""

    api: Api
    process: subprocess.Popen[str]

    def processes(self) -> list[int]:
        """Of all that belong to it."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *map(int, listed.split())]

    def token(self, **wanted: object) -> str:
        made: str = self.api.done("POST", "/tokens/mint", wanted, 201)["token"]
        return made


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorePlace]:
    with place_of("postgres", request, tmp_path) as made:
        yield made


@pytest.fixture
def pair(place: StorePlace, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    """Two servers that know one another by the database alone."""
    (tmp_path / "tokens").write_text(ALICE)
    signing = make_signing_key(tmp_path / "signing.json")
    (tmp_path / "verifying.json").write_text(json.dumps({"keys": [signing.public()]}))
    with place.opened() as store:
        store.keys.add({KID: KEY})
    with ExitStack() as stack:
        made = []
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            process, url = start(
                folder, *place.words, "--workers", 2, "--audit", "sync", "--rate-limit", "off",
                "--admin-token-file", tmp_path / "tokens", "--admin-signing-key", tmp_path / "signing.json",
                "--tokens-file", tmp_path / "verifying.json",
            )  # fmt: skip
            stack.callback(process.communicate, timeout=10)
            stack.callback(process.terminate)
            made.append(Server(Api(url), process))
        yield made[0], made[1]


def comes_to(holds: Callable[[], bool]) -> bool:
    ends = time.monotonic() + LIMIT
    while not (found := holds()) and time.monotonic() < ends:
        time.sleep(0.02)
    return found


def test_what_is_done_at_one_holds_at_the_other(pair: tuple[Server, Server], place: StorePlace) -> None:
    one, two = pair
    text = one.token(subject="viewer")
    assert two.api.license_code(str(OTHER), text) == {"key_unknown"}
    jwk = {"kty": "oct", "kid": OTHER.base64url, "k": b64url(os.urandom(16))}
    one.api.done("POST", "/keys/import", {"keys": [jwk]})
    assert comes_to(lambda: two.api.license_code(str(OTHER), text) == {"issued"})
    assert one.api.license_code(str(OTHER), text) == {"issued"}

    def everywhere(kid: KeyId, code: str) -> bool:
        return all(server.api.license_code(str(kid), text) == {code} for server in pair)

    assert everywhere(KID, "issued")
    command = [sys.executable, "-m", "player.cli", "keys", "revoke", str(KID), *place.words]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    assert comes_to(lambda: everywhere(KID, "key_revoked"))
    two.api.done("POST", f"/keys/{OTHER}/revoke")
    assert comes_to(lambda: everywhere(OTHER, "key_revoked"))
    one.api.done("POST", f"/keys/{KID}/restore")
    assert comes_to(lambda: everywhere(KID, "issued"))


def test_a_single_use_token_is_good_once_over_both(pair: tuple[Server, Server], place: StorePlace) -> None:
    body = b'{"kids":["%b"]}' % KID.base64url.encode()
    for number in range(5):
        text = pair[number % 2].token(token_id=f"once {number}")
        found: list[int] = []
        begin = threading.Barrier(8)

        def ask(url: str, text: str = text, found: list[int] = found, begin: threading.Barrier = begin) -> None:
            begin.wait(10)
            found.append(requests.post(f"{url}/license?token={text}", data=body, timeout=5).status_code)

        threads = [threading.Thread(target=ask, args=(server.api.url,)) for server in pair for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200] + [403] * 7
    with place.opened() as store:
        codes = [row.code for row in audit_rows(store.engine, most=1000)]
    assert (codes.count("issued"), codes.count("token_replayed")) == (5, 35)


def test_a_server_that_is_killed_takes_nobody_elses_clients_along(
    pair: tuple[Server, Server], place: StorePlace
) -> None:
    body = b'{"kids":["%b"]}' % KID.base64url.encode()
    answers: dict[str, list[int]] = {"one": [], "two": []}
    ended = threading.Event()

    def load(name: str, server: Server, text: str) -> None:
        with requests.Session() as session:
            while not ended.is_set():
                try:
                    answer = session.post(f"{server.api.url}/license?token={text}", data=body, timeout=5)
                except requests.RequestException:
                    answers[name].append(0)
                    return
                answers[name].append(answer.status_code)

    threads = [
        threading.Thread(target=load, args=(name, server, server.token(subject=f"client of {name}")))
        for name, server in zip(answers, pair, strict=True)
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    for process in pair[0].processes():
        os.kill(process, signal.SIGKILL)
    before = len(answers["two"])
    time.sleep(0.7)
    ended.set()
    for thread in threads:
        thread.join()
    answered = {name: codes.count(200) for name, codes in answers.items()}
    assert set(answers["two"]) == {200}
    assert min(answered["one"], before, answered["two"] - before) > 10
    assert set(answers["one"]) == {0, 200}
    with place.opened() as store:
        rows = [row for row in audit_rows(store.engine, most=100_000) if row.action == "license"]
    written = {name: sum(row.subject == f"client of {name}" for row in rows) for name in answers}
    assert {row.code for row in rows} == {"issued"}
    assert written["two"] == answered["two"]
    # Of the killed one, an answer of each client may have been written down and not sent.
    assert answered["one"] <= written["one"] <= answered["one"] + 2
    assert requests.get(f"{pair[1].api.url}/ready", timeout=5).status_code == 200
