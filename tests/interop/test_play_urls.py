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
