"""The license service in this very process: a real store, real tokens, and a clock that the test holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from drm.keys import ContentKey, KeyId
from drm.license.sealed import SealedRequest, make_registration
from license_server.decisions import Decision, KeyRequest
from license_server.issuing import entitlements, rate_limits, service
from license_server.issuing.licenses import IssuingContext
from license_server.issuing.service import LicenseService
from license_server.issuing.token_keys import parse_token_keys
from license_server.store import key_rows, tokens
from license_server.store.opening import Store, open_store
from license_server.store.wrapping import Kek
from tests.clocks import HeldClock
from tests.unit.license_server.issuing.test_entitlements import JWKS

VIDEO, AUDIO, UNKNOWN = KeyId(b"v" * 16), KeyId(b"a" * 16), KeyId(b"?" * 16)
KEYS = {VIDEO: ContentKey(b"V" * 16), AUDIO: ContentKey(b"A" * 16)}
DEVICE_KEY = bytes(range(32))
_CLOCKED: tuple[ModuleType, ...] = (entitlements, rate_limits, service, key_rows, tokens)


class Desk:
    """Asks as clients do, and reads the answers."""

    def __init__(self, store: Store, clock: HeldClock, **context: Any) -> None:
        self.store, self.clock = store, clock
        self.office = IssuingContext(keys=store.licenses, devices=store.devices, **context)
        self.service = LicenseService(self.office)

    def license(self, *kids: KeyId, token: str = "", pmp: str | None = None, client: str = "here") -> Decision:
        members = {"kids": [kid.base64url for kid in kids or (VIDEO,)], "type": "temporary"}
        return self.ask(msgspec.json.encode(members | ({} if pmp is None else {"pmp": pmp})), token, client)

    def ask(self, body: bytes, token: str = "", client: str = "here") -> Decision:
        return self.service.license(KeyRequest(body, f"Bearer {token}" if token else "", "", client))

    def sealed(self, *kids: KeyId, token: str = "", level: int = 1) -> tuple[SealedRequest, Decision]:
        """A request of the device, signed at the clock's time, and what it comes to."""
        request = SealedRequest.make(DEVICE_KEY, list(kids or (VIDEO,)), {"level": level}, {})
        return request, self.license(*kids, token=token, pmp=request.jws)

    def register(self) -> Decision:
        return self.service.register(KeyRequest(make_registration(DEVICE_KEY, {"level": 1})))


@contextmanager
def desk(folder: Path, patch: pytest.MonkeyPatch, *, with_tokens: bool = False, **context: Any) -> Iterator[Desk]:
    """Open one, with the keys of `KEYS`."""
    from drm.license import sealed

    clock = HeldClock().hold(patch, *_CLOCKED, sealed)
    with open_store(folder / "keys.db", Kek(b"K" * 32)) as store:
        store.keys.add(KEYS)
        if with_tokens:
            context["entitlements"] = entitlements.Entitlements(
                parse_token_keys(JWKS.encode()), store.tokens, audience="clearkey"
            )
        yield Desk(store, clock, **context)


def problem(decision: Decision) -> dict[str, Any]:
    """The problem document of a refusal."""
    assert decision.media_type == "application/problem+json"
    found: dict[str, Any] = json.loads(decision.body)
    assert (found["code"], found["status"]) == (decision.code, decision.status)
    return found
