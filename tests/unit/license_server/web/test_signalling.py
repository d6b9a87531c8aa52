"""Manifests over HTTP: rewritten as the command does it, judged, bounded, and refused in words."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from drm.keys import ContentKey, KeyId
from drm.manifests.rewrite import signal_manifest
from license_server.process import LicenseServer
from license_server.web.signalling import MAX_MANIFEST, MINUTE_BYTES

SHAKAS = Path(__file__).parents[3] / "data" / "vectors" / "generated" / "pk_hls_fmp4"
MPD = (SHAKAS / "stream.mpd").read_bytes()
LICENSES = "https://licenses.example.test/license"
KID = "00112233445566778899aabbccddeeff"
PLAYLIST = b'#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI="i.mp4"\n#EXTINF:4,\nv.m4s\n#EXT-X-ENDLIST\n'
LOCKED = PLAYLIST.replace(b"#EXTINF", b'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="a",KEYFORMAT="identity"\n#EXTINF')
TWO_KIDS = MPD.replace(b'default_KID="', b'default_KID="%b ' % KID.encode())


@pytest.fixture(scope="module")
def server() -> Iterator[LicenseServer]:
    with LicenseServer(keys={KeyId(b"k" * 16): ContentKey(b"Z" * 16)}) as running:
        yield running


def ask(server: LicenseServer, data: bytes = MPD, accept: str = "", **query: str) -> requests.Response:
    headers = {"Accept": accept} if accept else {}
    return requests.post(f"{server.url}/signal", params=query, data=data, headers=headers, timeout=10)


def test_a_manifest_comes_back_as_the_command_writes_it(server: LicenseServer) -> None:
    answer = ask(server, license_url=LICENSES)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/dash+xml")
    assert answer.content == signal_manifest(MPD, "m", LICENSES).data != MPD
    only = ask(server, license_url=LICENSES, only="1").content
    assert only == signal_manifest(MPD, "m", LICENSES, only_clearkey=True).data


def test_without_a_license_url_players_are_sent_to_this_server(server: LicenseServer) -> None:
    assert ask(server).content == signal_manifest(MPD, "m", server.license_url).data


def test_playlists_are_for_one_player_or_all_with_keys_where_the_query_says(server: LicenseServer) -> None:
    query = {"license_url": LICENSES, "kid": KID, "scheme": "cbcs"}
    shaka = ask(server, LOCKED, **query, **{"for": "shaka"}, keys_base="https://keys.example.test/k")
    assert shaka.headers["Content-Type"] == "application/vnd.apple.mpegurl"
    assert b"https://keys.example.test/k/" in shaka.content
    hlsjs = ask(server, LOCKED, **query, **{"for": "hls.js"})
    assert b'KEYFORMAT="org.w3.clearkey"' in hlsjs.content
    assert b"identity" not in hlsjs.content


def test_verdicts_come_as_json_to_who_wants_them(server: LicenseServer) -> None:
    told = ask(server, accept="application/json", license_url=LICENSES).json()
    assert {each["player"]: each["form"] for each in told["verdicts"]} == {"shaka": "manifest", "dash.js": "manifest"}
    assert {(each["plays"], each["rests_on"]) for each in told["verdicts"]} == {("unknown", "nothing")}, "no media here"
    assert (told["outcome"], told["changed"]) == ("unknown", True)
    again = ask(server, told["manifest"].encode(), accept="application/json", license_url=LICENSES).json()
    assert (again["manifest"], again["changed"]) == (told["manifest"], False)
    assert told["manifest"].encode() == signal_manifest(MPD, "m", LICENSES).data
    as_it_is = ask(server, check="1").json()
    assert "manifest" not in as_it_is
    assert {each["player"]: each["plays"] for each in as_it_is["verdicts"]}["dash.js"] == "no"
    assert all(each["why"] for each in as_it_is["verdicts"])


def test_what_plays_nowhere_is_a_problem_that_holds_verdicts_and_manifest(server: LicenseServer) -> None:
    told = ask(server, TWO_KIDS, license_url=LICENSES).json()
    assert (told["status"], told["outcome"]) == (422, "nowhere")
    assert {each["answer"] for each in told["verdicts"]} == {"no"}
    assert "CKC-46" in {each["id"] for each in told["findings"]}
    assert LICENSES in told["manifest"]
    judged = ask(server, TWO_KIDS, check="1")
    assert (judged.status_code, judged.json()["outcome"]) == (200, "nowhere"), "to be judged is what was asked"


def test_a_page_of_another_site_may_ask(server: LicenseServer) -> None:
    answer = requests.post(f"{server.url}/signal", data=MPD, headers={"Origin": "http://page.example"}, timeout=10)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://page.example"


@pytest.mark.parametrize(
    ("data", "query", "status", "code", "words"),
    [
        (b"", {}, 422, "manifest_malformed", "neither an MPD nor"),
        (b"<MPD", {}, 422, "manifest_malformed", ""),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><MPD>&b;</MPD>', {}, 422, "manifest_malformed", ""),
        (LOCKED, {"license_url": LICENSES}, 422, "manifest_lacks_kids", ""),
        (PLAYLIST, {"license_url": LICENSES}, 422, "manifest_lacks_kids", "nothing here says that it is encrypted"),
        (PLAYLIST, {"kid": KID, "scheme": "cbcs"}, 422, "manifest_lacks_kids", "nothing here says"),
        (TWO_KIDS, {}, 422, "manifest_plays_nowhere", "2 KIDs are named at once"),
        (MPD, {"for": "hls.js", "check": "1"}, 400, "request_malformed", "hls.js reads no MPD"),
        (MPD, {"license_url": "not a url"}, 400, "request_malformed", "http or https URL"),
        (MPD, {"for": "vlc"}, 400, "request_malformed", "shaka, dash.js, hls.js"),
        (MPD, {"for": "hls.js"}, 400, "request_malformed", "hls.js reads no MPD"),
        (MPD, {"kid": "7"}, 400, "request_malformed", ""),
        (PLAYLIST, {"kid": KID, "scheme": "rot13"}, 400, "request_malformed", "cenc"),
        (MPD, {"only": "yes"}, 400, "request_malformed", "only is 0 or 1"),
        (MPD, {"licence_url": LICENSES}, 400, "request_malformed", "license_url"),
        (b"<" * (MAX_MANIFEST + 1), {}, 413, "request_too_large", str(MAX_MANIFEST)),
    ],
)
def test_what_cannot_be_done_is_a_problem_document(
    server: LicenseServer, data: bytes, query: dict[str, str], status: int, code: str, words: str
) -> None:
    answer = ask(server, data, **query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["code"] == code
    assert words in answer.json()["detail"]


def test_a_chunked_body_is_bounded_as_well(server: LicenseServer) -> None:
    pieces = (b"<" * 65536 for _ in range(MAX_MANIFEST // 65536 + 1))
    answer = requests.post(f"{server.url}/signal", data=pieces, timeout=10)
    assert answer.json()["code"] == "request_too_large"


def test_the_largest_manifest_holds_a_worker_for_moments(server: LicenseServer) -> None:
    one = b'<ContentProtection schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e"><a/></ContentProtection>'
    many = one * ((MAX_MANIFEST - 1000) // len(one))
    began = time.monotonic()
    ask(
        server,
        b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>%b</AdaptationSet></Period></MPD>' % many,
    )
    assert time.monotonic() - began < 5


def test_one_client_sends_so_much_in_a_minute_and_no_more() -> None:
    with LicenseServer(keys={KeyId(b"k" * 16): ContentKey(b"Z" * 16)}) as server:
        answers = [ask(server, b"?" * MAX_MANIFEST) for _ in range(MINUTE_BYTES // MAX_MANIFEST)]
        assert {answer.status_code for answer in answers} == {422}
        answer = ask(server)
        assert (answer.status_code, answer.json()["code"]) == (429, "rate_limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
        license_ = requests.post(server.license_url, data=b'{"kids":["a2tra2tra2tra2tra2traw"]}', timeout=5)
        assert license_.status_code == 200, "licenses are no manifests"
        address = urlsplit(server.url)
        other = socket.create_connection((address.hostname, address.port), 5, source_address=("127.0.0.2", 0))
        with other:
            other.sendall(b"POST /signal?check=1 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(MPD), MPD))
            assert other.recv(100).startswith(b"HTTP/1.1 200"), "another client has a minute of its own"
