"""A real license server for the tests of this folder, in a process of its own, and HTTP as bytes on a socket."""

import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Action, Policy
from license_server.process import LicenseServer

VIDEO = KeyId.parse("00112233445566778899aabbccddeeff")
AUDIO = KeyId.parse("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
EXPIRED = KeyId.parse("e0000000000000000000000000000001")
EARLY = KeyId.parse("e0000000000000000000000000000002")
SEALED_ONLY = KeyId.parse("e0000000000000000000000000000003")
LEVEL_TWO = KeyId.parse("e0000000000000000000000000000004")
NO_PLAY = KeyId.parse("e0000000000000000000000000000005")
UNKNOWN = KeyId.parse("ffffffffffffffffffffffffffffffff")

KEYS = {
    VIDEO: ContentKey.parse("112233445566778899aabbccddeeff00"),
    AUDIO: ContentKey.parse("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"),
    **{kid: ContentKey(kid.value[::-1]) for kid in (EXPIRED, EARLY, SEALED_ONLY, LEVEL_TWO, NO_PLAY)},
}

POLICIES = {
    EXPIRED: Policy(expires=1_000_000_000),
    EARLY: Policy(not_before=int(time.time()) + 86_400),
    SEALED_ONLY: Policy(actions=(Action.PLAY,), sealed_only=True, expires=int(time.time()) + 3600),
    LEVEL_TWO: Policy(min_level=2),
    NO_PLAY: Policy(actions=(Action.EXPORT,)),
}


@pytest.fixture(scope="session")
def server() -> Iterator[LicenseServer]:
    with LicenseServer(keys=KEYS, policies=POLICIES) as running:
        yield running


@dataclass(frozen=True)
class RawAnswer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict:
        return json.loads(self.body)


@pytest.fixture(scope="session")
def send(server: LicenseServer) -> Callable[..., RawAnswer]:
    """Send exactly these lines and this body: no client that adds or repairs anything."""
    parts = urlsplit(server.url)

    def send(request_line: str, *header_lines: str, body: bytes = b"") -> RawAnswer:
        head = "\r\n".join(
            [f"{request_line} HTTP/1.1", f"Host: {parts.netloc}", "Connection: close", *header_lines, "", ""]
        )
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as connection:
            connection.sendall(head.encode() + body)
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
        top, _, content = received.partition(b"\r\n\r\n")
        status_line, *lines = top.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return RawAnswer(int(status_line.split()[1]), headers, content)

    return send


@pytest.fixture(scope="session")
def ask(send: Callable[..., RawAnswer]) -> Callable[..., RawAnswer]:
    """POST this object, or these bytes, as a player does."""

    def ask(request: object, *header_lines: str) -> RawAnswer:
        body = request if isinstance(request, bytes) else json.dumps(request).encode()
        return send("POST /license", f"Content-Length: {len(body)}", *header_lines, body=body)

    return ask
