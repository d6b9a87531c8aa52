"""The application's side of a license: every fault of a server ends as one clear error, within its time."""

import gc
import socket
import ssl
import subprocess
import threading
import time

import pytest

from drm.app.http.post import Limits
from drm.app.rights.license_exchange import Answer, AnswerKind, exchange
from drm.errors import (
    InvalidArgumentError,
    KeyMissingError,
    LicenseError,
    LicenseMalformedError,
    LicenseRefusedError,
    LicenseServerUnreachableError,
)
from drm.hresult import HResult
from drm.license.clearkey import b64url, encode_license_request, parse_jwk_set
from tests.interop.license.conftest import AUDIO, KEYS, UNKNOWN, VIDEO
from tests.interop.license.faulty_server import GOOD, faulty_server
from tests.interop.license.plain_server import plain_server

QUICK = Limits(connect=0.5, gap=0.5, total=1.0)
REQUEST = encode_license_request([VIDEO])


@pytest.fixture(scope="module")
def faulty():
    with faulty_server() as url:
        yield url


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as held:
        number = held.getsockname()[1]
    return number  # noqa: RET504 - closed by now


def refused(url, kind, *words, limits=QUICK, within=1.6, **options):
    begun = time.monotonic()
    with pytest.raises(kind) as raised:
        exchange(url, REQUEST, limits=limits, **options)
    assert time.monotonic() - begun < within
    shown = raised.value.render()
    for word in words:
        assert word in shown
    assert "00112233445566778899aabbccddeeff" not in shown
    assert "SECRET" not in shown
    assert raised.value.exit_code == (4 if kind is KeyMissingError else 2 if kind is InvalidArgumentError else 8)
    return raised.value


@pytest.mark.parametrize(
    ("path", "kind", "words"),
    [
        ("/500", LicenseRefusedError, ["failed with status 500"]),
        ("/500-problem", LicenseRefusedError, ["status 500", "Broken: disk\\x1b[31m full x"]),
        ("/401", LicenseRefusedError, ["status 401", "--header"]),
        ("/404", LicenseRefusedError, ["status 404", "not that of the license endpoint"]),
        ("/html", LicenseMalformedError, ["HTML"]),
        ("/empty", LicenseMalformedError, ["empty"]),
        ("/array", LicenseMalformedError, ["array"]),
        ("/garbage", LicenseMalformedError, ["not JSON"]),
        ("/redirect", LicenseRefusedError, ["redirects", "http://login.example/here"]),
        ("/huge", LicenseMalformedError, ["longer than 65536 bytes"]),
        ("/huge-length", LicenseMalformedError, ["longer than 65536 bytes"]),
        ("/endless-chunks", LicenseMalformedError, ["longer than 65536 bytes"]),
        ("/truncated", LicenseServerUnreachableError, ["ends early"]),
        ("/cut-header", LicenseMalformedError, ["empty"]),
        ("/not-http", LicenseServerUnreachableError, ["broke off"]),
        ("/gzip", LicenseMalformedError, ["compressed"]),
        ("/silent", LicenseServerUnreachableError, ["nothing for 0.5 seconds"]),
        ("/drip", LicenseServerUnreachableError, ["did not finish", "1 seconds"]),
        ("/drip-header", LicenseServerUnreachableError, ["did not finish", "1 seconds"]),
        ("/elsewhere", LicenseMalformedError, ["another server"]),
    ],
)
def test_a_fault_of_the_server_is_one_clear_error(faulty, path, kind, words):
    error = refused(faulty + path, kind, *words)
    assert type(error) is kind
    assert "\x1b" not in error.render()


def test_the_good_path_of_the_faulty_server_is_good(faulty):
    assert exchange(faulty + "/good", REQUEST, limits=QUICK) == Answer(AnswerKind.PLAIN, GOOD)


def test_nobody_listens(free_port):
    refused(f"http://127.0.0.1:{free_port}/", LicenseServerUnreachableError, "Connection refused", "not running")


def test_a_name_that_nobody_knows():
    limits = Limits(total=5)
    refused("http://license.invalid/", LicenseServerUnreachableError, "license.invalid", limits=limits, within=6)


@pytest.mark.parametrize("url", ["ftp://x/", "license", "http://", "http://[::1", "http://x:99999999/", "file:///etc"])
def test_what_is_no_url(url):
    refused(url, InvalidArgumentError, "license URL")


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X": "☃"}, {"X\n": "a"}])
def test_a_header_that_cannot_be_sent(faulty, headers):
    refused(faulty + "/good", InvalidArgumentError, "header", headers=headers)


def test_a_query_and_a_password_are_not_shown(free_port):
    error = refused(f"http://me:SECRET@127.0.0.1:{free_port}/license?token=SECRET", LicenseServerUnreachableError)
    assert f"http://127.0.0.1:{free_port}/license" in error.where


@pytest.mark.parametrize("path", ["/silent", "/drip", "/drip-header"])
def test_cancelling_ends_a_request_at_once_and_its_thread_too(faulty, path):
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    error = refused(faulty + path, LicenseError, "cancelled", limits=Limits(), within=2.0, cancel=cancel)
    assert error.hresult == HResult.MF_E_OPERATION_CANCELLED
    ends = time.monotonic() + 2
    while any(thread.name == "clearkey-http" for thread in threading.enumerate()):
        assert time.monotonic() < ends, "the request's thread lives on"
        time.sleep(0.01)
    gc.collect()  # an unclosed socket would warn here


def test_a_certificate_that_is_not_trusted_and_the_same_with_cacert(tmp_path):
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"]
    try:
        subprocess.run(
            [*made, "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"],
            cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("the command openssl is absent: no certificate to test with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as secure:
                    received = b""
                    while not received.endswith(REQUEST):  # closing with bytes unread would reset the connection
                        received += secure.recv(65536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)
            except (ssl.SSLError, ConnectionError):
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    url = f"https://localhost:{listener.getsockname()[1]}/"
    try:
        refused(url, LicenseServerUnreachableError, "certificate is not trusted", "--cacert")
        answer = exchange(url, REQUEST, cacert=str(tmp_path / "cert.pem"), limits=QUICK)
        assert answer.kind is AnswerKind.PLAIN
    finally:
        thread.join(5)
        listener.close()


def test_a_ca_file_that_is_not_there(faulty):
    refused(faulty + "/good", InvalidArgumentError, "CA file", "/nowhere", cacert="/nowhere")


def test_a_proxy_has_no_business_on_this_machine(faulty, free_port, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    assert exchange(faulty + "/good", REQUEST, limits=QUICK).kind is AnswerKind.PLAIN
    refused("http://license.example/", LicenseServerUnreachableError, "Connection refused")


def test_a_netrc_does_not_replace_the_header_that_was_given(tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login me password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    received = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while not b"".join(received).endswith(REQUEST):
                received.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(GOOD) + GOOD)

    thread = threading.Thread(target=serve)
    thread.start()
    # As a proxy: the one way to be another machine's name here, so that the environment counts.
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{listener.getsockname()[1]}")
    exchange("http://license.example/", REQUEST, headers={"Authorization": "Bearer mine"}, limits=QUICK)
    thread.join(5)
    listener.close()
    assert b"Authorization: Bearer mine" in b"".join(received)


def test_an_unknown_kid_is_a_missing_key(server):
    with pytest.raises(KeyMissingError) as raised:
        exchange(server.license_url, encode_license_request([VIDEO, UNKNOWN]))
    assert raised.value.kids == (str(UNKNOWN),)
    assert raised.value.exit_code == 4


PLAIN_KEYS = {kid.base64url: b64url(KEYS[kid].secret) for kid in (VIDEO, AUDIO)}


@pytest.mark.parametrize("strict", [False, True])
def test_a_plain_server_that_knows_nothing_of_us(strict):
    with plain_server(PLAIN_KEYS, refuse_unknown_members=strict) as url:
        answer = exchange(url, encode_license_request([VIDEO, AUDIO], pmp="a.b.c"))
    assert answer.kind is AnswerKind.PLAIN
    assert parse_jwk_set(answer.body) == {kid: KEYS[kid] for kid in (VIDEO, AUDIO)}


def test_a_plain_server_that_refuses_is_asked_once_when_there_was_no_pmp():
    with plain_server(PLAIN_KEYS, refuse_unknown_members=True) as url:
        body = b'{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"type":"temporary","other":1}'
        with pytest.raises(LicenseRefusedError, match="status 400"):
            exchange(url, body)


def test_our_own_server_is_not_asked_for_less_when_it_refuses_a_signed_request(server):
    # A fallback here would let anybody on the way turn a sealed request into a plain one.
    with pytest.raises(LicenseRefusedError, match="status 400"):
        exchange(server.license_url, encode_license_request([VIDEO], pmp="a.b.c"))


def test_an_answer_does_not_show_its_body(server):
    answer = exchange(server.license_url, REQUEST)
    assert b64url(KEYS[VIDEO].secret) not in repr(answer)
