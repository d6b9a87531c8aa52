"""The views of licenses and raw keys: what recorded requests and odd ones are answered with, to the last header."""

import io
from collections.abc import Iterator

import msgspec
import pytest
from flask import Flask

from drm.keys import ContentKey, KeyId
from drm.rights.policy import Policy
from license_server.cors import Cors
from license_server.metrics import Counters
from license_server.rules import ServerRules
from license_server.serving.assembly import assembled
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek

VIDEO = KeyId.parse("00112233445566778899aabbccddeeff")
AUDIO = KeyId.parse("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
EXPIRED, SEALED, RENTAL = (KeyId(bytes([0xE0, *bytes(14), number])) for number in (1, 2, 3))
BROKEN = KeyId(bytes([0xE0, *bytes(14), 9]))
KEYS = {
    VIDEO: ContentKey.parse("112233445566778899aabbccddeeff00"),
    AUDIO: ContentKey.parse("b0b1b2b3b4b5b6b7b8b9babbbcbdbebf"),
    **{kid: ContentKey(kid.value[::-1]) for kid in (EXPIRED, SEALED, RENTAL, BROKEN)},
}
POLICIES = {EXPIRED: Policy(expires=5), SEALED: Policy(sealed_only=True), RENTAL: Policy(rental=60)}

PAGE = {"HTTP_ORIGIN": "http://localhost:8101"}
BOTH = b'{"kids":["oKGio6SlpqeoqaqrrK2urw","ABEiM0RVZneImaq7zN3u_w"],"type":"temporary"}'
ONE = b'{"kids":["oKGio6SlpqeoqaqrrK2urw"],"type":"temporary"}'
OTHER = b'{"kids":["ABEiM0RVZneImaq7zN3u_w"],"type":"temporary"}'
ASK_FIRST = {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST", **PAGE}
EVIL = {"HTTP_ORIGIN": "http://evil.example"}
BEARER = {"HTTP_AUTHORIZATION": "Bearer x", **PAGE}

Answer = tuple[str, list[tuple[str, str]], bytes]


def body_of(*kids: KeyId) -> bytes:
    return b'{"kids":[%b]}' % b",".join(b'"%b"' % kid.base64url.encode() for kid in kids)


# method, path, body, what else stands in the environment, and what the answer is: a status, and a problem's code
RECORDED = [
    pytest.param("POST", "/license", BOTH, PAGE, "200", id="A, no content type"),
    pytest.param("POST", "/license", ONE, PAGE, "200", id="B, audio"),
    pytest.param("POST", "/license", OTHER, PAGE, "200", id="B, video"),
    pytest.param("OPTIONS", "/license", b"", ASK_FIRST, "204", id="C, asks first"),
    pytest.param("POST", "/license", ONE, {"CONTENT_TYPE": "application/json", **PAGE}, "200", id="C, json"),
    pytest.param("OPTIONS", "/license", b"", ASK_FIRST | {"HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization"},
                 "204", id="D, asks first"),
    pytest.param("POST", "/license", BOTH, BEARER, "200", id="D, with a header"),
]  # fmt: skip
BODIES = {
    "400 request_malformed": {
        "nothing": b"", "garbage": b"\xff\xfe{}", "not utf-8": b'{"kids":["\xff"]}', "array": b"[]", "number": b"7",
        "no kids": b"{}", "empty kids": b'{"kids":[]}', "null": b'{"kids":[null]}', "deep": b"[" * 5000,
        "65 kids": body_of(*[KeyId(bytes([n] * 16)) for n in range(65)]),
        "a bad pmp": b'{"kids":["ABEiM0RVZneImaq7zN3u_w"],"pmp":"a.b.c"}',
    },
    "400 type_not_offered": {"another type": b'{"kids":["ABEiM0RVZneImaq7zN3u_w"],"type":"persistent-license"}'},
    "404 key_unknown": {
        "64 kids": body_of(*[KeyId(bytes([n] * 16)) for n in range(64)]),
        "unknown": body_of(KeyId(b"?" * 16)), "partly unknown": body_of(VIDEO, KeyId(b"?" * 16)),
    },
    "403 license_expired": {"expired": body_of(EXPIRED)},
    "403 sealed_required": {"sealed only": body_of(SEALED), "needs a worker": body_of(RENTAL)},
    "500 server_error": {"a row that does not open": body_of(BROKEN)},
    "200": {
        "twice": body_of(VIDEO, VIDEO), "standard base64": b'{"kids":["ABEiM0RVZneImaq7zN3u/w=="]}',
        "extra": b'{"kids":["ABEiM0RVZneImaq7zN3u_w"],"x":1}',
        "65536 bytes": BOTH + b" " * (65536 - len(BOTH)),
    },
    "413 request_too_large": {
        "65537 bytes": BOTH + b" " * (65537 - len(BOTH)), "a megabyte": b"x" * (1 << 20),
    },
}  # fmt: skip
ODD = [
    pytest.param("POST", "/license", body, PAGE, expected, id=name)
    for expected, bodies in BODIES.items()
    for name, body in bodies.items()
] + [
    pytest.param(method, path, body, more, expected, id=f"{method} {path} {number}")
    for number, (method, path, body, more, expected) in enumerate([
        ("GET", "/license", b"", PAGE, "405 method_not_allowed"), ("HEAD", "/license", b"", {}, "405"),
        ("PUT", "/license", BOTH, PAGE, "405 method_not_allowed"), ("OPTIONS", "/license", b"", {}, "204"),
        ("OPTIONS", "/license", b"", EVIL, "204"), ("POST", "/license", BOTH, {}, "200"),
        ("POST", "/license", BOTH, EVIL, "200"), ("POST", "/license", BOTH, {"HTTP_ORIGIN": "null"}, "200"),
        ("POST", "/license/", BOTH, PAGE, "404 not_found"), ("POST", "//license", BOTH, PAGE, "200"),
        ("POST", "/license", BOTH, {"QUERY_STRING": "token=x&fault=html"}, "200"),
        ("GET", f"/hls/key/{VIDEO.hex}", b"", PAGE, "200"), ("HEAD", f"/hls/key/{VIDEO.hex}", b"", PAGE, "200"),
        ("GET", f"/hls/key/{VIDEO}", b"", {}, "200"), ("GET", f"/hls/key/{VIDEO.base64url}", b"", {}, "200"),
        ("GET", f"/hls/key/{SEALED.hex}", b"", PAGE, "403 sealed_required"),
        ("GET", f"/hls/key/{RENTAL.hex}", b"", PAGE, "403 sealed_required"),
        ("GET", f"/hls/key/{EXPIRED.hex}", b"", PAGE, "403 license_expired"),
        ("GET", "/hls/key/" + "00" * 16, b"", PAGE, "404 key_unknown"),
        ("HEAD", "/hls/key/" + "00" * 16, b"", PAGE, "404"),
        ("GET", "/hls/key/x", b"", PAGE, "400 request_malformed"), ("GET", "/hls/key/", b"", PAGE, "404 not_found"),
        ("GET", "/hls/key/\xc3\xa9", b"", PAGE, "400 request_malformed"),
        ("GET", f"/hls/key/{VIDEO.hex}/x", b"", PAGE, "404 not_found"),
        ("POST", f"/hls/key/{VIDEO.hex}", b"", PAGE, "405 method_not_allowed"),
        ("OPTIONS", f"/hls/key/{VIDEO.hex}", b"", PAGE, "200"), ("GET", "/nowhere", b"", PAGE, "404 not_found"),
    ])
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    path = tmp_path_factory.mktemp("store") / "keys.db"
    rules = ServerRules(cors=Cors(origins=frozenset({"http://localhost:8101", "null"})))
    with open_store(path, Kek(bytes(32))) as store:
        store.keys.add(KEYS)
        for kid, policy in POLICIES.items():
            store.keys.set_policy(kid, policy)
        with store.engine.begin() as connection:
            row = {"kid": BROKEN.value}
            connection.exec_driver_sql("UPDATE content_keys SET wrapped = zeroblob(44) WHERE kid = :kid", row)
        with assembled(store, rules, Counters(0).part(0)) as made:
            yield made


class Chunked(io.BytesIO):
    """Gives at most seven bytes at a time, as a chunked body may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(min(7, size) if size and size > 0 else size)


def call(application, method: str, path: str, body: bytes, more: dict[str, str], *, chunked: bool = False) -> Answer:
    told: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "8700", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "127.0.0.1", "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http", "wsgi.errors": io.StringIO(), "wsgi.input_terminated": True,
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
        "wsgi.input": Chunked(body) if chunked else io.BytesIO(body), **more,
    }  # fmt: skip
    if not chunked:
        environ["CONTENT_LENGTH"] = str(len(body))
    chunks = application(environ, lambda status, headers, exc_info=None: told.append((status, list(headers))))
    content = b"".join(chunks)
    if hasattr(chunks, "close"):
        chunks.close()
    status, headers = told[-1]
    kept = sorted((name.lower(), value) for name, value in headers if name.lower() not in ("date", "server"))
    return status, kept, content


@pytest.mark.parametrize(("method", "path", "body", "more", "expected"), RECORDED + ODD)
def test_each_request_has_its_answer(server: Flask, method, path, body, more, expected) -> None:
    answer = call(server, method, path, body, more)
    status, found, content = answer
    headers = dict(found)
    code = msgspec.json.decode(content)["code"] if content and status >= "4" else ""
    assert f"{status[:3]} {code}".strip() == expected
    assert headers["cache-control"] == "no-store"
    assert headers["vary"] == "Origin"
    allowed = None if more.get("HTTP_ORIGIN") in (None, *EVIL.values()) else more["HTTP_ORIGIN"]
    assert headers.get("access-control-allow-origin") == allowed
    assert (headers.get("content-type") == "application/problem+json") == (status >= "4")
    assert not content or len(content) == int(headers["content-length"])
    if method == "POST":  # without a length, and in small pieces
        assert call(server, method, path, body, more, chunked=True) == answer


def test_a_license_to_the_last_byte(server: Flask) -> None:
    status, headers, content = call(server, "POST", "/license", BOTH, PAGE)
    assert status == "200 OK"
    assert content == (
        b'{"keys":[{"kty":"oct","kid":"oKGio6SlpqeoqaqrrK2urw","k":"sLGys7S1tre4ubq7vL2-vw"},'
        b'{"kty":"oct","kid":"ABEiM0RVZneImaq7zN3u_w","k":"ESIzRFVmd4iZqrvM3e7_AA"}],"type":"temporary"}'
    )
    assert dict(headers) == {
        "access-control-allow-credentials": "true",
        "access-control-allow-origin": "http://localhost:8101",
        "access-control-expose-headers": "Retry-After, WWW-Authenticate",
        "cache-control": "no-store",
        "content-length": str(len(content)),
        "content-type": "application/json",
        "vary": "Origin",
        "x-content-type-options": "nosniff",
    }


def test_a_raw_key_is_sixteen_bytes_and_a_worker_rule_keeps_it(server: Flask) -> None:
    status, headers, content = call(server, "GET", f"/hls/key/{AUDIO.hex}", b"", PAGE)
    assert (status, content) == ("200 OK", KEYS[AUDIO].secret)
    assert ("content-type", "application/octet-stream") in headers
    assert ("cache-control", "no-store") in headers
    for kid in (SEALED, RENTAL):
        status, _, content = call(server, "GET", f"/hls/key/{kid.hex}", b"", PAGE)
        assert status == "403 FORBIDDEN"
        assert b"sealed_required" in content


def test_a_failure_of_ours_carries_the_cors_headers_too(server: Flask) -> None:
    status, headers, content = call(server, "POST", "/license", body_of(BROKEN), PAGE)
    assert status[:3] == "500"
    assert ("access-control-allow-origin", "http://localhost:8101") in headers
    assert b"server_error" in content
