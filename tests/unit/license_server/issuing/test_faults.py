"""Answers that are wrong on purpose are wrong in the one way that was asked for, and otherwise the answer."""

from __future__ import annotations

import json

import msgspec
import pytest

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from license_server.decisions import Decision
from license_server.issuing import faults
from license_server.issuing.faults import FAULTS, Faults
from tests.clocks import HeldClock

ONE, OTHER = KeyId(b"\xff\xef" * 8), KeyId(b"2" * 16)
KEYS = {ONE: ContentKey(b"\xfb\xff" * 8), OTHER: ContentKey(b"y" * 16)}
GOOD = Decision(200, "application/json", encode_jwk_set(KEYS), kids=(ONE, OTHER), subject="somebody")
ROWS = json.loads(GOOD.body)["keys"]


class SleptClock(HeldClock):
    """Sleeping moves it."""

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)


def spoilt(query: str, decision: Decision = GOOD) -> Decision:
    return Faults().spoil(query, decision)


def rows(query: str) -> list[dict[str, str]]:
    decision = spoilt(query)
    whole = json.loads(decision.body)
    assert whole["type"] == "temporary"
    assert msgspec.structs.replace(decision, body=GOOD.body) == GOOD, "nothing but the body is changed"
    return whole["keys"]


def test_no_fault_no_change() -> None:
    assert spoilt("") == spoilt("token=x") == spoilt("fault=") == spoilt("fault=,,") == GOOD


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("delay", 1),
        ("delay-2.5", 2.5),
        ("delay-30", 30),
        ("delay-31", 30),
        ("delay-99.999", 30),
        ("delay-0.125", 0.125),
    ],
)
def test_delays_are_bounded(monkeypatch: pytest.MonkeyPatch, name: str, seconds: float) -> None:
    clock = SleptClock(0).hold(monkeypatch, faults)
    assert spoilt(f"fault={name}") == GOOD
    assert clock.now == seconds
    assert spoilt(f"fault={name.replace('delay', 'slow-body')}") == msgspec.structs.replace(GOOD, pause=seconds)
    assert clock.now == seconds, "the pause is the body's"


def test_statuses_keep_the_key_ids_and_lose_the_keys() -> None:
    for status in (400, 503, 599):
        decision = spoilt(f"fault=status-{status}")
        assert (decision.status, decision.code, decision.media_type) == (
            status,
            "server_error",
            "application/problem+json",
        )
        assert json.loads(decision.body)["kids"] == [ONE.base64url, OTHER.base64url]
        assert json.loads(decision.body)["detail"] == "this status was asked for"
    over = spoilt("fault=expired")
    assert (over.status, over.code, over.subject) == (403, "license_expired", "somebody")


@pytest.mark.parametrize("name", ["status-200", "status-600", "status-4", "delay-100", "delay-", "wrong", "HTML"])
def test_unknown_faults_are_told_the_known_ones(name: str) -> None:
    decision = spoilt(f"fault={name}")
    assert (decision.status, decision.code) == (400, "request_malformed")
    assert json.loads(decision.body)["detail"] == f"there is no such fault; there are {', '.join(FAULTS)}"


def test_a_page_instead_of_a_license() -> None:
    page = spoilt("fault=html")
    assert (page.status, page.media_type) == (200, "text/html; charset=utf-8")
    assert page.body.startswith(b"<!DOCTYPE html>")
    assert spoilt("fault=no-cors") == msgspec.structs.replace(GOOD, cors=False)


def test_keys_are_changed_in_one_member() -> None:
    for name, member in (("wrong-kid", "kid"), ("wrong-key", "k")):
        for found, row in zip(rows(f"fault={name}"), ROWS, strict=True):
            assert found == row | {member: found[member]}
            assert len(found[member]) == 22
            differing = [a != b for a, b in zip(found[member], row[member], strict=True)]
            assert differing == [True] * 21 + [False]
    assert rows("fault=missing-key") == ROWS[:1]
    assert rows("fault=empty") == []
    assert rows("fault=swapped") == [row | {"k": row["kid"], "kid": row["k"]} for row in ROWS]
    padded = rows("fault=padded")
    assert padded[0]["kid"] == "/+//7//v/+//7//v/+//7w=="
    assert padded == [
        row | {name: row[name].replace("-", "+").replace("_", "/") + "==" for name in ("kid", "k")} for row in ROWS
    ]


def test_an_a_becomes_a_b() -> None:
    decision = msgspec.structs.replace(GOOD, body=encode_jwk_set({KeyId(bytes(16)): ContentKey(bytes(16))}))
    (row,) = json.loads(spoilt("fault=wrong-kid", decision).body)["keys"]
    assert row["kid"] == "B" * 21 + "A"


def test_faults_apply_in_the_order_of_their_names_and_eight_at_most() -> None:
    assert rows("fault=missing-key,missing-key") == []
    assert rows("fault=missing-key&fault=padded")[0]["k"].endswith("==")
    assert spoilt("fault=" + "no-cors," * 7 + "html").media_type == "text/html; charset=utf-8"
    assert spoilt("fault=" + "no-cors," * 8 + "html").media_type == "application/json"


def test_a_query_of_more_than_64_members_is_not_read() -> None:
    assert spoilt("&".join(["a=b"] * 63 + ["fault=empty"])) != GOOD
    assert spoilt("&".join(["a=b"] * 64 + ["fault=empty"])) == GOOD


@pytest.mark.parametrize("change", [{"status": 403}, {"media_type": "application/jose"}])
def test_what_is_refused_or_sealed_has_no_keys_to_change(change: dict) -> None:
    decision = msgspec.structs.replace(GOOD, **change)
    assert spoilt("fault=empty", decision) == decision
