"""A server with an administrator's API, as tests use it; at its end, all that it said is searched for keys."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from license_server.admin.blueprint import BASE
from license_server.issuing.token_minting import make_signing_key
from tests.unit.license_server.store_places import StorePlace

ALICE, BOB = "a" * 40, "b" * 40
KEYS = {KeyId(bytes([number]) * 16): ContentKey(os.urandom(16)) for number in range(1, 8)}
KIDS = [str(kid) for kid in KEYS]


@dataclass
class Api:
    """A running server, and everything that it answered but exports."""

    url: str
    heard: list[str] = field(default_factory=list)

    def __call__(
        self, method: str, path: str, told: object = None, *, token: str = ALICE, data: bytes | None = None,
        **headers: str,
    ) -> requests.Response:  # fmt: skip
        body = data if data is not None else None if told is None else json.dumps(told).encode()
        heads = {"Authorization": f"Bearer {token}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        answer = requests.request(method, f"{self.url}{BASE}{path}", data=body, headers=heads, timeout=10)
        if path != "/keys/export" or not answer.ok:
            self.heard.append(answer.text)
        return answer

    def done(self, method: str, path: str, told: object = None, status: int = 200) -> Any:
        answer = self(method, path, told)
        assert answer.status_code == status, answer.text
        return answer.json()

    def last_deed(self) -> dict[str, Any]:
        events: list[dict[str, Any]] = self.done("GET", "/audit?limit=1000")["events"]
        return next((event for event in reversed(events) if event["action"] in {"admin", "export"}), {"id": 0})

    def license_code(self, kid: str, token: str | None = None) -> set[str]:
        """Of several requests, so that each worker is asked."""
        body = b'{"kids":["%b"]}' % KeyId.parse(kid).base64url.encode()
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answers = [requests.post(f"{self.url}/license", data=body, headers=headers, timeout=5) for _ in range(6)]
        return {answer.json().get("code", "issued") for answer in answers}


def start(folder: Path, *words: object, pages: bool = False) -> tuple[subprocess.Popen[str], str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("CLEARKEY_SERVE")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "player.cli", "serve", "--port", "0",
             "--pages" if pages else "--no-pages", *map(str, words)],
            stdout=subprocess.PIPE, stderr=log, text=True, env=environment | {"CLEARKEY_HOME": str(folder)},
        )  # fmt: skip
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("license server: ").strip()
    assert url, (folder / "log").read_text()
    return process, url


@contextmanager
def administered(folder: Path, place: StorePlace) -> Iterator[Api]:
    """A server with two administrators, some keys, tokens and two workers. At its end, what it said is searched."""
    (folder / "tokens").write_text(f"# who may\nalice {ALICE}\n\nbob {BOB}\n")
    signing = make_signing_key(folder / "signing.json")
    (folder / "verifying.json").write_text(json.dumps({"keys": [signing.public()]}))
    with place.opened() as opened:
        opened.keys.add(KEYS)
    process, url = start(
        folder, *place.words, "--workers", 2, "--admin-token-file", folder / "tokens", "--tokens-file",
        folder / "verifying.json", "--admin-signing-key", folder / "signing.json", "--rate-limit", "off", "-vv",
    )  # fmt: skip
    made = Api(url)
    made.done("GET", "/keys?limit=1000")
    try:
        yield made
    finally:
        process.terminate()
        process.communicate(timeout=10)
    # No answer of this whole module but exports, and no line of the log, held a key or an administrator's token.
    said = "\n".join([*made.heard, (folder / "log").read_text()])
    assert KIDS[0] in said, "this search finds nothing at all"
    with place.opened() as opened:
        held = opened.keys.get_many([row.kid for row in opened.keys.rows()])
    assert len(held) >= len(KEYS)
    for found in held.values():
        secret = found.key.secret
        for text in (secret.hex(), b64url(secret), base64.b64encode(secret).decode()):
            assert text.lower() not in said.lower()
    assert ALICE not in said
