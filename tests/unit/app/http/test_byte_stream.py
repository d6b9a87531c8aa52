"""The HTTP byte stream against a real server with the habits of real servers."""

import random
import threading
import time

import pytest

from drm.app.http.byte_stream import HttpByteStream
from drm.app.http.part import MediaLimits
from drm.errors import InvalidArgumentError, InvalidRequestError, MediaChangedError, MediaUnreachableError
from drm.hresult import HResult
from tests.conformance.pmp_media_session.remote.media_server import MediaServer, wait_for

DATA = random.Random(3).randbytes(3_000_000)
QUICK = MediaLimits(connect=0.5, gap=0.4, answer=0.6, block=1.0, spool=4_000_000)


@pytest.fixture
def server():
    with MediaServer(DATA) as serving:
        yield serving


@pytest.fixture
def stream(server: MediaServer):
    with HttpByteStream(server.url, limits=QUICK) as opened:
        yield opened


def reads(stream: HttpByteStream) -> None:
    chance = random.Random(4)
    for _ in range(60):
        offset, size = chance.randrange(len(DATA)), chance.choice((1, 16, 5000, 200_000))
        assert stream.read_at(offset, size) == DATA[offset : offset + size]


def test_any_part_is_what_is_there(stream: HttpByteStream) -> None:
    assert stream.size == len(DATA)
    reads(stream)
    assert stream.read_at(len(DATA), 10) == b""


def test_reading_on_is_one_request(server: MediaServer, stream: HttpByteStream) -> None:
    assert b"".join(stream.read_at(at, 10_000) for at in range(0, len(DATA), 10_000)) == DATA
    assert server.requests == [0]


def test_two_readers_far_apart_are_two_requests(server: MediaServer, stream: HttpByteStream) -> None:
    for at in range(0, 1_400_000, 7_000):
        assert stream.read_at(at, 7_000) == DATA[at : at + 7_000]
        assert stream.read_at(1_500_000 + at, 7_000) == DATA[1_500_000 + at :][:7_000]
    assert len(server.requests) == 2


@pytest.mark.parametrize("tells", [True, False], ids=["with its length", "without"])
def test_a_server_without_parts_is_read_into_a_temporary_file(server: MediaServer, tells: bool) -> None:
    server.gives_parts, server.tells_length = False, tells
    with HttpByteStream(server.url, limits=QUICK) as stream:
        assert stream.size == len(DATA)
        reads(stream)
    assert len(server.requests) == 1


@pytest.mark.parametrize("tells", [True, False], ids=["with its length", "without"])
def test_a_temporary_file_has_a_limit(server: MediaServer, tells: bool) -> None:
    server.gives_parts, server.tells_length = False, tells
    with pytest.raises(MediaUnreachableError, match="no parts"):
        HttpByteStream(server.url, limits=MediaLimits(spool=1_000_000)).open()


def test_redirections_are_followed_and_counted(server: MediaServer) -> None:
    server.redirects = 3
    with HttpByteStream(server.url, limits=QUICK) as stream:
        assert stream.read_at(5, 5) == DATA[5:10]
    server.redirects = 50
    with pytest.raises(MediaUnreachableError, match="redirects"):
        HttpByteStream(server.url, limits=QUICK).open()


@pytest.mark.parametrize(
    ("status", "words"), [(404, "no such file"), (403, "refuses"), (503, "failed"), (418, "no file")]
)
def test_a_refusal_is_said_in_words(server: MediaServer, status: int, words: str) -> None:
    server.status = status
    with pytest.raises(MediaUnreachableError, match=words) as refused:
        HttpByteStream(f"{server.url}?token=secret", limits=QUICK).open()
    assert "secret" not in refused.value.render()


def test_compressed_answers_are_refused(server: MediaServer) -> None:
    server.encoding = "gzip"
    with pytest.raises(MediaUnreachableError, match="compressed"):
        HttpByteStream(server.url, limits=QUICK).open()


def test_nobody_listens() -> None:
    with pytest.raises(MediaUnreachableError, match="cannot be reached"):
        HttpByteStream("http://127.0.0.1:1/film", limits=QUICK).open()


@pytest.mark.parametrize("url", ["http://", "http://[::1", "ftp://a/b", "http://a:x/b"])
def test_a_url_that_cannot_be_used(url: str) -> None:
    with pytest.raises(InvalidArgumentError):
        HttpByteStream(url)


def test_an_empty_file(server: MediaServer) -> None:
    server.data = b""
    with HttpByteStream(server.url, limits=QUICK) as stream:
        assert (stream.size, stream.read_at(0, 10)) == (0, b"")


@pytest.mark.parametrize("change", ["etag", "shorter", "longer"])
def test_a_file_that_changes_is_an_error(server: MediaServer, stream: HttpByteStream, change: str) -> None:
    assert stream.read_at(0, 10) == DATA[:10]
    match change:
        case "etag":
            server.etag = '"two"'
        case "shorter":
            server.data = DATA[:100_000]
        case "longer":
            server.data = DATA + b"more"
    with pytest.raises(MediaChangedError, match="another one"):
        stream.read_at(2_000_000, 10)


def test_what_breaks_off_is_asked_for_anew_and_not_for_ever(server: MediaServer, stream: HttpByteStream) -> None:
    server.breaks_after = 300_000
    assert stream.read_at(1_000_000, 1_000_000) == DATA[1_000_000:2_000_000]
    server.breaks_after = 0
    with pytest.raises(MediaUnreachableError, match="broke off"):
        stream.read_at(2_500_000, 100_000)


@pytest.mark.parametrize("how", ["stalls", "trickles"])
def test_a_server_that_stalls_or_trickles_is_an_error_in_time(server: MediaServer, how: str) -> None:
    if how == "stalls":
        server.stalls_at = 500_000
    with HttpByteStream(server.url, limits=QUICK) as stream:
        server.trickles = how == "trickles"
        began = time.monotonic()
        with pytest.raises(MediaUnreachableError, match=r"sent nothing|seconds"):
            stream.read_at(2_000_000, 70_000)
        assert time.monotonic() - began < 3.0


def test_a_server_that_does_not_answer_at_all(server: MediaServer) -> None:
    silent = []
    server.process_request = lambda *request: silent.append(request)  # takes the connection, and says nothing
    with pytest.raises(MediaUnreachableError, match=r"sent nothing|did not answer"):
        HttpByteStream(server.url, limits=QUICK).open()
    assert silent
    silent[0][0].close()


@pytest.mark.parametrize("ending", ["interrupt", "close"])
def test_a_read_lets_go_when_it_is_told(server: MediaServer, ending: str) -> None:
    server.stalls_at = 1_000_000
    stream = HttpByteStream(server.url)
    stream.open()
    found: list[int] = []

    def read() -> None:
        try:
            stream.read_at(990_000, 100_000)
        except InvalidRequestError as error:
            found.append(error.hresult)

    reader = threading.Thread(target=read)
    reader.start()
    wait_for(server.stalled)
    time.sleep(0.1)
    getattr(stream, ending)()
    reader.join(2)
    assert found == [HResult.MF_E_OPERATION_CANCELLED]
    if ending == "interrupt":
        server.stalls_at = None
        assert stream.read_at(990_000, 20_000) == DATA[990_000:1_010_000]
        stream.close()
    with pytest.raises(InvalidRequestError):
        stream.read_at(0, 10)
