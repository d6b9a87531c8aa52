"""`clearkey play` of a URL, and with the container read in the worker: the same frames, and errors with a remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conformance.pmp_media_session.remote.media_server import MediaServer
from tests.interop.command import Command
from tests.interop.vectors import Vector

Keys = Callable[[Vector], Path]


@pytest.mark.parametrize("name", ["pk_cenc_iv8_v", "pk_hls_fmp4_v"])
def test_the_worker_may_read_the_container(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Keys, tmp_path: Path, name: str
) -> None:
    """Of one file over its descriptor; of an initialization and its segments as one byte stream."""
    film = vector(name)
    hashes = []
    for option in ((), ("--remote-source",)):
        target = tmp_path / f"hashes{len(option)}"
        ran = clearkey("play", *film.files, "--keys-file", keys_of(film), "--framemd5", target, *option)
        assert ran.code == 0, ran.said
        hashes.append(target.read_text())
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("option", [(), ("--remote-source",)], ids=["application", "worker"])
def test_a_url_plays_and_its_query_is_not_shown(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Keys, option: tuple[str, ...]
) -> None:
    film = vector("pk_cenc_iv8_v")
    with MediaServer(film.files[0].read_bytes()) as server:
        ran = clearkey("play", f"{server.url}?token=secret", "--keys-file", keys_of(film), *option)
        assert ran.code == 0, ran.said
        assert "72 frames" in ran.err
        server.status = 404
        ran = clearkey("play", f"{server.url}?token=secret", "--keys-file", keys_of(film), *option)
    assert ran.code == 3
    assert "the server has no such file  [E-MEDIA-UNREACHABLE]" in ran.err
    assert "HTTP 404" in ran.err
    assert "secret" not in ran.said


def test_a_url_is_played_alone(clearkey: Command) -> None:
    ran = clearkey("play", "http://127.0.0.1:1/init.mp4", "http://127.0.0.1:1/1.m4s")
    assert (ran.code, "a URL is played alone" in ran.err) == (2, True), ran.said


def test_a_scheme_that_nobody_opens(clearkey: Command) -> None:
    ran = clearkey("play", "ftp://127.0.0.1/film.mp4")
    assert (ran.code, "[E-UNSUPPORTED-SCHEME]" in ran.err) == (2, True), ran.said


READERS = {
    "inspect": ["inspect"],
    "inspect-json": ["inspect", "--json"],
    "inspect-samples": ["inspect", "--samples"],
    "digest": ["digest", "KEYS"],
    "keys-check": ["keys", "check", "KEYS"],
    "pssh-show": ["pssh", "show"],
    "trace": ["trace", "--scenario", "license", "KEYS"],
}


@pytest.mark.parametrize("words", READERS.values(), ids=READERS)
def test_what_reads_a_file_reads_its_url(
    clearkey: Command, vector: Callable[[str], Vector], keys_of: Keys, words: list[str]
) -> None:
    """And says the same of it, but for its name; the query of a URL may be a token."""
    film = vector("pk_cenc_iv8_v")
    file = film.files[0]
    words = [f"--keys-file={keys_of(film)}" if word == "KEYS" else word for word in words]
    with MediaServer(file.read_bytes()) as server:
        url = f"{server.url}?token=secret"
        from_url, from_file = clearkey(*words, url), clearkey(*words, file)
        assert server.requests
    assert (from_url.code, from_file.code) == (0, 0), from_url.said
    assert "secret" not in from_url.said
    if words[0] != "trace":  # whose lines have times
        shown = from_url.out.replace(f"{server.url}?...=...", "FILE").replace(f"{server.url}", "FILE")
        assert shown.replace(file.name, "FILE") == from_file.out.replace(str(file), "FILE").replace(file.name, "FILE")


@pytest.mark.parametrize("words", [("digest",), ("keys", "check"), ("inspect",)])
def test_errors_do_not_show_the_query_either(clearkey: Command, words: tuple[str, ...]) -> None:
    with MediaServer(b"no media at all") as server:
        ran = clearkey(*words, f"{server.url}?token=secret", "--keys-file=-" if words != ("inspect",) else "--json")
    assert ran.code == 3, ran.said
    assert "secret" not in ran.said


@pytest.mark.parametrize("words", [
    ("decrypt", "-o", "OUT"), ("encrypt", "-o", "OUT", "--key", f"{'00' * 16}:{'11' * 16}"),
    ("package", "-o", "OUT", "--clear"), ("signal", "--check"), ("pssh insert", "-o", "OUT"),
], ids=lambda words: words[0])  # fmt: skip
def test_what_needs_a_file_says_so_and_which_command_does(
    clearkey: Command, tmp_path: Path, words: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    ran = clearkey(*words[0].split(), "https://host.example/film.mp4?token=secret",
                   *(out if word == "OUT" else word for word in words[1:]))  # fmt: skip
    assert ran.code == 2, ran.said
    assert f"{words[0]} reads files" in ran.err
    assert f"curl -fLO URL, then clearkey {words[0]} FILE" in ran.err
    assert "secret" not in ran.said
    assert not out.exists()
