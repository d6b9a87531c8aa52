"""What a license server does wrong ends `clearkey play` with one paragraph, in time, and with the exit code for it."""

import signal
import socket
import subprocess
import time

import pytest

from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from tests.interop.command import Ran, end, is_one_paragraph
from tests.interop.relays import fixed_answer

AN_ANSWER_TAKES = 30.0  # seconds that a license request may take in all
SILENCE = 10.0  # seconds without a byte


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/500", ["status 500"]),
        ("/500-problem", ["status 500", "Broken"]),
        ("/404", ["status 404"]),
        ("/html", ["HTML"]),
        ("/empty", ["empty"]),
        ("/garbage", ["not JSON"]),
        ("/redirect", ["redirects", "http://login.example/here"]),
        ("/huge", ["longer than 65536 bytes"]),
        ("/truncated", ["ends early"]),
        ("/not-http", ["broke off"]),
    ],
)
def test_a_faulty_server(clearkey, film, faulty, tmp_path, path: str, words: list[str]) -> None:
    ran = clearkey("play", *film.files, "--license-url", faulty + path, "--framemd5", tmp_path / "hashes", timeout=15)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert not [word for word in words if word not in ran.err]
    assert str(film.files[0]) in ran.err, "which file"
    assert faulty in ran.err, "and which server"
    assert list(tmp_path.iterdir()) == []
    assert "00112233445566778899aabbccddeeff" not in ran.said, "what looks like a key in a body is not shown"
    assert "SECRET" not in ran.said
    assert "\x1b" not in ran.said


def test_nobody_listens(clearkey, film) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    ran = clearkey("play", *film.files, "--license-url", f"http://127.0.0.1:{port}/license", timeout=15)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert "Connection refused" in ran.err


def test_an_empty_set_is_a_missing_key(clearkey, film, faulty) -> None:
    ran = clearkey("play", *film.files, "--license-url", faulty + "/good")
    assert ran.code == 4, ran.err
    assert is_one_paragraph(ran), ran.err
    assert str(KeyId.parse(film.keys[0][0])) in ran.err
    assert "seen   the license has no " in ran.err


def test_the_key_of_another_kid_is_a_missing_key(clearkey, film) -> None:
    """A server that answers with a set, but not with what was asked for."""
    wanted, other = KeyId.parse(film.keys[0][0]), KeyId.parse("ab" * 16)
    with fixed_answer(encode_jwk_set({other: ContentKey(bytes(16))})) as url:
        ran = clearkey("play", *film.files, "--license-url", url)
    assert ran.code == 4, ran.err
    assert is_one_paragraph(ran), ran.err
    assert str(wanted) in ran.err
    assert str(other) in ran.err, "what the license has instead"


def test_the_kid_in_the_byte_order_of_windows_is_named(clearkey, film) -> None:
    (kid, key), *_ = film.keys
    with fixed_answer(encode_jwk_set({KeyId.parse(kid).byte_reversed: ContentKey.parse(key)})) as url:
        ran = clearkey("play", *film.files, "--license-url", url)
    assert ran.code == 4, ran.err
    assert "maybe" in ran.err
    assert "guid-le:" in ran.err


def test_a_server_that_does_not_hold_the_kid(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(keys={KeyId.parse("ab" * 16): ContentKey(bytes(range(16)))})
    ran = clearkey("play", *film.files, "--license-url", server.license_url)
    assert ran.code == 4, ran.err
    assert is_one_paragraph(ran), ran.err
    assert str(KeyId.parse(film.keys[0][0])) in ran.err


def test_a_wrong_key_from_a_server_is_a_wrong_key(clearkey, clearkey_servers, film, tmp_path) -> None:
    kid = KeyId.parse(film.keys[0][0])
    server = clearkey_servers(keys={kid: ContentKey(bytes(range(16)))})
    hashes = tmp_path / "hashes"
    ran = clearkey("play", *film.files, "--license-url", server.license_url, "--framemd5", hashes)
    assert ran.code == 5, ran.err
    assert is_one_paragraph(ran), ran.err
    assert str(kid) in ran.err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_ends_a_wait_for_a_slow_server_at_once(clearkey, film, faulty) -> None:
    process = clearkey.start("play", *film.files, "--license-url", faulty + "/drip")
    try:
        time.sleep(1.5)
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=10)
        assert process.returncode == 130, err
        assert time.monotonic() - began < 3.0
        assert "Traceback" not in err
    finally:
        end(process)


def test_a_license_server_that_is_killed_after_the_license_is_not_missed(clearkey, clearkey_servers, film) -> None:
    """It is asked once; what plays has its keys."""
    keys = {KeyId.parse(kid): ContentKey.parse(key) for kid, key in film.keys}
    server = clearkey_servers(keys=keys)
    process = clearkey.start("play", *film.files, "--license-url", server.license_url, "-v")
    try:
        lines = []
        while not any("LICENSE_ACQUISITION_COMPLETED" in line and "sealed" in line for line in lines):
            lines.append(process.stderr.readline())
            assert lines[-1], "".join(lines)
        server.stop()
        _out, err = process.communicate(timeout=20)
        assert process.returncode == 0, err
        assert "license_path: sealed" in err
    finally:
        end(process)


# Last in the file: these were started first of all (conftest.py).
@pytest.mark.parametrize(("path", "limit", "words"), [
    ("/silent", SILENCE, "nothing for 10 seconds"),
    ("/drip", AN_ANSWER_TAKES, "did not finish"),
])  # fmt: skip
def test_a_slow_server_is_given_up_in_time(slow, path: str, limit: float, words: str) -> None:
    process, began = slow[path]
    try:
        out, err = process.communicate(timeout=max(1.0, began + limit + 15 - time.monotonic()))
    except subprocess.TimeoutExpired:
        pytest.fail(f"it still waits after {time.monotonic() - began:.0f} seconds")
    ran = Ran(process.returncode, out, err, time.monotonic() - began)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert words in ran.err
