"""Requests of real players, byte for byte as they were recorded, and what a page may read of the answers."""

import pytest

from tests.interop.license.conftest import AUDIO, UNKNOWN, VIDEO

BODY = b'{"kids":["oKGio6SlpqeoqaqrrK2urw","ABEiM0RVZneImaq7zN3u_w"],"type":"temporary"}'
PAGE = "Origin: http://localhost:8101"

FIXTURE_A = (
    "Content-Length: 79",
    "Accept: */*",
    PAGE,
    "Sec-Fetch-Site: same-site",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Dest: empty",
    "Referer: http://localhost:8101/",
    "Accept-Encoding: gzip, deflate, br, zstd",
)


def test_fixture_a_shaka_hls_js_and_a_bare_page_send_no_content_type(send):
    answer = send("POST /license", *FIXTURE_A, body=BODY)
    assert answer.status == 200
    # Fixture E: the answer that four players accepted.
    assert answer.json() == {
        "keys": [
            {"kty": "oct", "kid": "oKGio6SlpqeoqaqrrK2urw", "k": "sLGys7S1tre4ubq7vL2-vw"},
            {"kty": "oct", "kid": "ABEiM0RVZneImaq7zN3u_w", "k": "ESIzRFVmd4iZqrvM3e7_AA"},
        ],
        "type": "temporary",
    }
    assert answer.headers["access-control-allow-origin"] == "http://localhost:8101"
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["content-length"] == str(len(answer.body))


@pytest.mark.parametrize("kid", [AUDIO, VIDEO])
def test_fixture_b_one_session_per_key(send, kid):
    body = b'{"kids":["%b"],"type":"temporary"}' % kid.base64url.encode()
    answer = send("POST /license", f"Content-Length: {len(body)}", PAGE, body=body)
    assert [jwk["kid"] for jwk in answer.json()["keys"]] == [kid.base64url]


def test_fixture_c_dash_js_asks_first_and_sends_json(send):
    preflight = send(
        "OPTIONS /license",
        PAGE,
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: content-type",
    )
    assert 200 <= preflight.status < 300
    assert preflight.headers["access-control-allow-origin"] == "http://localhost:8101"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert int(preflight.headers["access-control-max-age"]) > 0
    answer = send("POST /license", "Content-Type: application/json", "Content-Length: 79", PAGE, body=BODY)
    assert answer.status == 200


def test_fixture_d_an_authorization_header_with_credentials(send):
    preflight = send(
        "OPTIONS /license",
        PAGE,
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization,content-type",
    )
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
    assert preflight.headers["access-control-allow-credentials"] == "true"
    answer = send("POST /license", "Authorization: Bearer x", "Content-Length: 79", PAGE, body=BODY)
    assert answer.status == 200
    assert answer.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(
    "media_type", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_any_content_type_is_read(send, media_type):
    answer = send("POST /license", f"Content-Type: {media_type}", "Content-Length: 79", body=BODY)
    assert answer.status == 200


@pytest.mark.parametrize("size", [1, 7, 79])
def test_a_chunked_body_without_a_length(send, size):
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[i : i + size] for i in range(0, 79, size)))
    answer = send("POST /license", "Transfer-Encoding: chunked", body=chunks + b"0\r\n\r\n")
    assert answer.status == 200
    assert len(answer.json()["keys"]) == 2


def test_errors_can_be_read_by_the_page_too(send):
    body = b'{"kids":["%b"]}' % UNKNOWN.base64url.encode()
    for answer in (
        send("POST /license", f"Content-Length: {len(body)}", PAGE, body=body),
        send("GET /license", PAGE),
        send("GET /nowhere", PAGE),
        send("POST /license", "Content-Length: 70000", PAGE, body=b"A" * 70_000),
    ):
        assert answer.status >= 400
        assert answer.headers["access-control-allow-origin"] == "http://localhost:8101"
        assert answer.headers["content-type"] == "application/problem+json"


def test_without_an_origin_there_are_no_cors_headers(send):
    answer = send("POST /license", "Content-Length: 79", body=BODY)
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["vary"] == "Origin"
