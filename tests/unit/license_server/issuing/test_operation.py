"""The server in operation: what it writes down and counts, when it is ready, and how it limits and spoils."""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from drm.keys import ContentKey, KeyId
from license_server.decisions import Decision
from license_server.metrics import ACTIONS, Counters
from license_server.process import LicenseServer
from license_server.store.audit import Audit, AuditMode, AuditRow, audit_rows
from tests.unit.license_server.issuing.test_entitlements import JWKS, token
from tests.unit.license_server.store_places import StorePlace

KID, KEY, UNKNOWN = KeyId(b"k" * 16), ContentKey(b"Zq" * 8), KeyId(b"?" * 16)
BODY = b'{"kids":["%b"]}' % KID.base64url.encode()


def rows(place: StorePlace) -> list[AuditRow]:
    """What clients were told: not that the server brought keys along."""
    with place.opened() as store:
        return [row for row in audit_rows(store.engine, most=100_000) if row.action in ACTIONS]


def ask(server: LicenseServer, body: bytes = BODY, query: str = "", **headers: str) -> requests.Response:
    return requests.post(server.license_url + query, data=body, headers=headers, timeout=5)


# ------------------------------------------------------------------------------------------------ audit
def test_decisions_are_written_down_without_keys_or_tokens(store_place: StorePlace) -> None:
    text = token({"sub": "somebody", "jti": "the id", "reusable": True})
    with LicenseServer(keys={KID: KEY}, tokens=JWKS, audience="clearkey", workers=2, **store_place.named) as server:
        ask(server, Authorization=f"Bearer {text}")
        ask(server, b'{"kids":["%b"]}' % UNKNOWN.base64url.encode(), query=f"?token={text}")
        ask(server)
    found = [(row.status, row.code, row.kids, row.subject, row.token_id, row.client) for row in rows(store_place)]
    assert sorted(found) == [
        (200, "issued", KID.hex, "somebody", "the id", "127.0.0.1"),
        (401, "token_missing", "", "", "", "127.0.0.1"),
        (404, "key_unknown", UNKNOWN.hex, "somebody", "the id", "127.0.0.1"),
    ]
    everything = store_place.everything()
    assert text.split(".")[2].encode() not in everything
    assert b"somebody" in everything, "this search finds nothing at all"


@pytest.mark.parametrize("mode", ["sync", "queued"])
def test_a_killed_server_lost_nothing_that_it_answered(store_place: StorePlace, mode: str) -> None:
    server = LicenseServer(keys={KID: KEY}, workers=2, audit=mode, **store_place.named)
    server.__enter__()
    answered, ended = 0, threading.Event()

    def load() -> None:
        nonlocal answered
        with requests.Session() as session:
            while not ended.is_set():
                try:
                    answered += session.post(server.license_url, data=BODY, timeout=2).status_code == 200
                except requests.RequestException:
                    return

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.6)
    workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for process in (server.pid, *map(int, workers)):
        os.kill(process, signal.SIGKILL)
    ended.set()
    thread.join()
    server.stop()
    written = rows(store_place)
    assert answered > 20
    assert all(row.code == "issued" and row.kids == KID.hex for row in written)  # no half of a row
    if mode == "sync":
        assert answered <= len(written) <= answered + 1
    with LicenseServer(**store_place.named) as again:
        assert ask(again).status_code == 200


LOCKS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "LOCK TABLE audit IN EXCLUSIVE MODE"}


def test_rows_that_find_no_room_are_counted(store_place: StorePlace) -> None:
    metrics = Counters(0).part(0)
    decision = Decision(200, "application/json", b"", kids=(KID,))
    with store_place.opened() as store, store.engine.connect() as other:
        audit = Audit(store.engine, AuditMode.QUEUED, metrics)
        other.exec_driver_sql(LOCKS[store.engine.dialect.name])  # nobody else writes now
        for _ in range(30_000):
            audit.record("license", "here", decision, 0.0, 0.0)
        assert metrics.dropped > 0
        other.rollback()
        audit.close(30)
        assert len(audit_rows(store.engine, most=100_000)) + metrics.dropped == 30_000


def test_what_cannot_be_written_down_is_not_answered_in_sync_mode(store_place: StorePlace) -> None:
    with LicenseServer(keys={KID: KEY}, audit="sync", **store_place.named) as server:
        assert ask(server).status_code == 200
        with store_place.opened() as store, store.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE audit")
        answer = ask(server, Origin="http://page.example")
        assert answer.status_code == 500
        assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"
        assert KID.base64url not in answer.text


# ------------------------------------------------------------------------------------------------ metrics, readiness
def test_metrics_are_those_of_all_workers(store_place: StorePlace) -> None:
    with LicenseServer(keys={KID: KEY}, workers=2, **store_place.named) as server:
        for _ in range(30):
            ask(server)
        for _ in range(5):
            ask(server, b"{}")
        for _ in range(6):  # whichever worker answers, it says the same
            text = requests.get(f"{server.url}/metrics", timeout=5).text
            assert 'clearkey_requests_total{action="license",result="issued"} 30.0' in text
            assert 'clearkey_requests_total{action="license",result="request_malformed"} 5.0' in text
            assert 'clearkey_request_seconds_count{action="license"} 35.0' in text


def test_ready_means_that_the_kek_opened_a_key(store_place: StorePlace) -> None:
    with LicenseServer(**store_place.named) as server:
        assert requests.get(f"{server.url}/health", timeout=5).status_code == 200
        answer = requests.get(f"{server.url}/ready", timeout=5)
        assert (answer.status_code, answer.json()["status"]) == (503, "the store holds no key yet")
        with store_place.opened() as store:
            store.keys.add({KID: KEY})
        assert requests.get(f"{server.url}/ready", timeout=5).status_code == 200


def test_a_key_that_its_check_value_does_not_name_is_found(store_place: StorePlace) -> None:
    with store_place.opened() as store:
        store.keys.add({KID: KEY})
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE content_keys SET check_value = '000000'")
    with LicenseServer(**store_place.named) as server:
        assert requests.get(f"{server.url}/ready", timeout=5).status_code == 503
        assert "is not the one that its check value names" in server.log()


# ------------------------------------------------------------------------------------------------ limits
def test_players_retries_pass_and_the_ninth_rapid_attempt_does_not() -> None:
    with LicenseServer(keys={KID: KEY}, tokens=JWKS, audience="clearkey", rate_limit="8/10") as server:
        text = token()
        found = [ask(server, Authorization=f"Bearer {text}") for _ in range(10)]
        assert [answer.status_code for answer in found] == [200] * 8 + [429] * 2
        assert found[8].json()["code"] == "rate_limited"
        assert 1 <= int(found[8].headers["Retry-After"]) <= 10
        assert ask(server, Authorization=f"Bearer {token({'sub': 'another'})}").status_code == 200
        # A token that is not taken is not counted for one that is.
        assert ask(server, Authorization="Bearer x").status_code == 401


def test_without_tokens_the_address_counts() -> None:
    with LicenseServer(keys={KID: KEY}, rate_limit="8/2") as server:
        assert [ask(server).status_code for _ in range(9)] == [200] * 8 + [429]
        time.sleep(2.1)
        assert ask(server).status_code == 200


# ------------------------------------------------------------------------------------------------ faults
@pytest.fixture(scope="module")
def spoilt() -> Iterator[LicenseServer]:
    with LicenseServer(keys={KID: KEY}, faults=True) as server:
        yield server


GOOD = {"kty": "oct", "kid": KID.base64url, "k": "WnFacVpxWnFacVpxWnFacQ"}


def differs(answer: requests.Response, member: str) -> bool:
    """Whether the key of an answer is the good one but for `member`, which is another one of the same length."""
    (found,) = answer.json()["keys"]
    return {**found, member: GOOD[member]} == GOOD != found and len(found[member]) == 22


@pytest.mark.parametrize(
    ("fault", "holds"),
    [
        ("status-503", lambda answer: answer.status_code == 503 and answer.json()["code"] == "server_error"),
        ("status-418", lambda answer: answer.status_code == 418),
        ("html", lambda answer: answer.status_code == 200 and answer.text.startswith("<!DOCTYPE html>")),
        ("empty", lambda answer: answer.json()["keys"] == []),
        ("missing-key", lambda answer: answer.json()["keys"] == []),
        ("wrong-kid", lambda answer: differs(answer, "kid")),
        ("wrong-key", lambda answer: differs(answer, "k")),
        ("padded", lambda answer: answer.json()["keys"][0]["k"] == GOOD["k"] + "=="),
        ("swapped", lambda answer: answer.json()["keys"][0]["kid"] == GOOD["k"]),
        ("expired", lambda answer: answer.status_code == 403 and answer.json()["code"] == "license_expired"),
        ("no-cors", lambda answer: "Access-Control-Allow-Origin" not in answer.headers and answer.status_code == 200),
        ("padded,no-cors", lambda answer: "Vary" not in answer.headers and "==" in answer.text),
        ("wrong-key&fault=swapped", lambda answer: answer.json()["keys"][0]["k"] == GOOD["kid"]),
        ("nonsense", lambda answer: answer.status_code == 400 and "wrong-kid" in answer.json()["detail"]),
        ("", lambda answer: answer.json()["keys"] == [GOOD]),
    ],
)  # fmt: skip
def test_a_fault_that_is_asked_for(spoilt: LicenseServer, fault: str, holds) -> None:
    answer = ask(spoilt, query=f"?fault={fault}", Origin="http://page.example")
    assert holds(answer), answer.text
    if "no-cors" not in fault:
        assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"


def test_slow_answers(spoilt: LicenseServer) -> None:
    began = time.monotonic()
    assert ask(spoilt, query="?fault=delay-0.5").json()["keys"] == [GOOD]
    assert 0.5 <= time.monotonic() - began < 2
    parts = urlsplit(spoilt.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as connection:
        head = f"POST /license?fault=slow-body-0.6 HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n"
        began = time.monotonic()
        connection.sendall(head.encode() + BODY)
        first = connection.recv(65536)
        assert time.monotonic() - began < 0.5
        while b"temporary" not in first:
            first += connection.recv(65536)
        assert time.monotonic() - began >= 0.6


def test_a_server_without_faults_knows_none() -> None:
    with LicenseServer(keys={KID: KEY}) as server:
        assert ask(server, query="?fault=html").json()["keys"] == [GOOD]
