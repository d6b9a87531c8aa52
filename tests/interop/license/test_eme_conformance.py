"""Clear Key license server conformance, by assertion id (CKS).

https://www.w3.org/TR/encrypted-media-2/#clear-key, RFC 7515, 7517, 7518, 9110, 9111, 9457
"""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.interop.license.conftest import AUDIO, EARLY, EXPIRED, KEYS, LEVEL_TWO, NO_PLAY, SEALED_ONLY, UNKNOWN, VIDEO


def wanted(*kids):
    return {"kids": [kid.base64url for kid in kids], "type": "temporary"}


def k(kid):
    return base64.urlsafe_b64encode(KEYS[kid].secret).rstrip(b"=").decode()


def test_cks_01_to_07_and_14_exactly_the_keys_asked_for(ask):
    answer = ask(wanted(VIDEO, AUDIO))
    assert answer.status == 200
    assert answer.json() == {
        "keys": [
            {"kty": "oct", "kid": VIDEO.base64url, "k": k(VIDEO)},
            {"kty": "oct", "kid": AUDIO.base64url, "k": k(AUDIO)},
        ],
        "type": "temporary",
    }
    assert all(re.fullmatch("[A-Za-z0-9_-]{22}", jwk[name]) for jwk in answer.json()["keys"] for name in ("kid", "k"))


def test_cks_08_09_unknown_kids_are_named_and_nothing_is_issued(ask):
    answer = ask(wanted(VIDEO, UNKNOWN))
    assert answer.status == 404
    assert answer.json()["code"] == "key_unknown"
    assert answer.json()["kids"] == [UNKNOWN.base64url]
    assert k(VIDEO).encode() not in answer.body


MALFORMED = {
    "10 no kid": b'{"kids":[],"type":"temporary"}',
    "11 not JSON": b"kids=1",
    "11 cut JSON": b'{"kids":["',
    "11 empty body": b"",
    "11 deep": b"[" * 60_000,
    "11 many kids": json.dumps({"kids": ["AAAAAAAAAAAAAAAAAAAAAA"] * 65}).encode(),
    "12 array": b"[]",
    "12 kids a text": b'{"kids":"AAAAAAAAAAAAAAAAAAAAAA"}',
    "12 kid a number": b'{"kids":[5]}',
    "12 kid null, as dash.js sends for rotation": b'{"kids":[null]}',
    "12 type a number": b'{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"type":1}',
    "12 no kids": b'{"type":"temporary"}',
    "12 short kid": b'{"kids":["AAAA"]}',
    "12 kid not base64": b'{"kids":["!!!!!!!!!!!!!!!!!!!!!!"]}',
    "12 pmp a number": b'{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"pmp":1}',
    "12 pmp no token": b'{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"pmp":"x.y.z"}',
    "13 persistent": b'{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"type":"persistent-license"}',
    "16 not UTF-8": b'{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"x":"\xff"}',
    "16 UTF-16": '{"kids":["AAAAAAAAAAAAAAAAAAAAAA"]}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_cks_10_to_13_and_16_bad_requests_are_refused_as_such(ask, name):
    answer = ask(MALFORMED[name], "Origin: http://localhost:8101")
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 400
    assert answer.json()["code"] == ("type_not_offered" if name.startswith("13") else "request_malformed")
    assert answer.headers["access-control-allow-origin"] == "http://localhost:8101"


def test_cks_15_a_missing_type_means_temporary(ask):
    answer = ask({"kids": [VIDEO.base64url]})
    assert answer.status == 200
    assert answer.json()["type"] == "temporary"


STANDARD = base64.b64encode(VIDEO.value).decode()


@pytest.mark.parametrize("spelling", [STANDARD, STANDARD[:22], VIDEO.base64url + "=="])
def test_cks_17_both_alphabets_in_one_out(ask, spelling):
    assert "/" in STANDARD  # or this test would not tell the alphabets apart
    answer = ask({"kids": [spelling], "type": "temporary"})
    assert [jwk["kid"] for jwk in answer.json()["keys"]] == [VIDEO.base64url]


def test_cks_21_22_type_and_caching_of_the_answer(ask):
    answer = ask(wanted(VIDEO))
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert ask(wanted(UNKNOWN)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_cks_23_other_methods(send, method):
    answer = send(f"{method} /license", "Content-Length: 0")
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"OPTIONS", "POST"}


def test_cks_24_problem_documents_everywhere(send):
    answer = send("GET /nowhere?token=SECRET")
    assert (answer.status, answer.json()["code"]) == (404, "not_found")
    assert b"SECRET" not in answer.body


@pytest.mark.parametrize("size", [64 * 1024 + 1, 5_000_000])
def test_cks_25_an_oversized_body_is_refused(ask, size):
    body = b'{"kids":["' + b"A" * size
    answer = ask(body)
    assert (answer.status, answer.json()["code"]) == (413, "request_too_large")
    assert answer.headers["connection"] == "close"


def test_cks_25_an_oversized_chunked_body_is_refused(send):
    chunk = b"1000\r\n" + b"A" * 0x1000 + b"\r\n"
    answer = send("POST /license", "Transfer-Encoding: chunked", body=chunk * 20 + b"0\r\n\r\n")
    assert answer.status == 413


def test_cks_25_a_body_of_the_whole_size_is_read(ask):
    body = json.dumps(wanted(VIDEO)).encode()
    assert ask(body + b" " * (64 * 1024 - len(body))).status == 200


def test_cks_26_asked_twice_answered_once(ask):
    assert len(ask(wanted(VIDEO, VIDEO)).json()["keys"]) == 1


def test_cks_27_unknown_members_are_ignored(ask):
    assert ask({**wanted(VIDEO), "x": {"y": [1]}, "keys": 5}).status == 200


def test_cks_29_32_the_same_answer_for_a_hundred_at_once(ask):
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: ask(wanted(VIDEO, AUDIO)), range(100)))
    assert {(answer.status, answer.body) for answer in answers} == {(200, ask(wanted(VIDEO, AUDIO)).body)}


@pytest.mark.parametrize(
    ("kid", "code"),
    [
        (EXPIRED, "license_expired"),
        (EARLY, "license_not_yet_valid"),
        (SEALED_ONLY, "sealed_required"),
        (LEVEL_TWO, "sealed_required"),
        (NO_PLAY, "play_not_granted"),
    ],
)
def test_policies_toward_a_plain_client_are_refusals(ask, kid, code):
    answer = ask(wanted(VIDEO, kid))
    assert (answer.status, answer.json()["code"], answer.json()["kids"]) == (403, code, [kid.base64url])
    assert k(VIDEO).encode() not in answer.body


def test_cks_31_keys_are_in_no_log(server, ask):
    ask(wanted(VIDEO, AUDIO))
    ask(b'{"kids":["' + k(VIDEO).encode() + b'"]}')
    log = server.log()
    assert str(VIDEO) in log
    for kid, key in KEYS.items():
        for secret in (k(kid), key.secret.hex(), base64.b64encode(key.secret).decode()):
            assert secret not in log


def test_health_and_home(send):
    assert send("GET /health").json() == {"status": "ok", "keys": len(KEYS)}
    home = send("GET /")
    assert home.status == 200
    assert b"/license" in home.body
