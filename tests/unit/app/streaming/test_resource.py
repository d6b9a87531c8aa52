"""Where a manifest may lead, and what goes along with a request."""

from __future__ import annotations

from pathlib import Path

import pytest

from drm.app.streaming.resource import AddressGuard, Origin, Permissions
from drm.app.streaming.segment_fetcher import SegmentFetcher
from drm.errors import DRMError, MediaUnreachableError, SegmentMissingError, UnsupportedMediaError
from drm.streaming.presentation import Piece
from tests.interop.streams.origin import origin

SECRET = {"X-Token": "s1", "Authorization": "s2", "Cookie": "s3"}


def test_a_local_manifest_leads_to_files_below_its_own_folder(tmp_path: Path) -> None:
    folder = tmp_path / "film"
    (folder / "deep").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "deep" / "a").write_bytes(b"abcdef")
    (folder / "link").symlink_to(tmp_path / "secret")
    fetcher = SegmentFetcher(str(folder / "m.mpd"))
    assert fetcher.fetch(Piece(((folder / "deep" / "a").as_uri(),), 2, 3)) == b"cde"
    for uri in (f"{folder.as_uri()}/../secret", f"{folder.as_uri()}/link", (tmp_path / "secret").as_uri(),
                f"{folder.as_uri()}/%2e%2e/secret", "http://127.0.0.1:1/a", "data:,abc", "ftp://x/y"):  # fmt: skip
        with pytest.raises(MediaUnreachableError):
            fetcher.fetch(Piece((uri,)))


def test_a_manifest_of_the_network_leads_to_no_file() -> None:
    asked = Origin("https://a.example/m.mpd", Permissions())
    for uri in ("file:///etc/passwd", "data:,x", "http://a.example/1"):
        with pytest.raises(MediaUnreachableError):
            asked.local_path(uri)
    assert asked.local_path("https://b.example/1") is None


def test_headers_go_to_the_origin_of_the_manifest_alone() -> None:
    asked = Origin("https://a.example/m.mpd", Permissions(headers=SECRET))
    assert asked.headers_for("https://A.example:443/1") == SECRET
    for other in ("http://a.example/1", "https://a.example:444/1", "https://b.a.example/1"):
        assert asked.headers_for(other) == {}


def test_headers_do_not_follow_a_redirect_to_another_origin(tmp_path: Path) -> None:
    (tmp_path / "m.mpd").write_bytes(b"<MPD/>")
    (tmp_path / "a").write_bytes(b"a")
    with origin(tmp_path) as first, origin(tmp_path) as second:
        fetcher = SegmentFetcher(f"{first.url}/m.mpd", Permissions(headers=SECRET))
        fetcher.manifest()
        first.faults["a"] = [f"{second.url}/a"]
        assert fetcher.fetch(Piece((f"{first.url}/a",))) == b"a"
        assert fetcher.fetch(Piece((f"{second.url}/a",))) == b"a"
        fetcher.close()
    assert all(headers.items() >= SECRET.items() for _path, headers in first.asked)
    assert len(second.asked) == 2
    assert not any(SECRET.keys() & headers.keys() for _path, headers in second.asked)


def test_a_public_origin_leads_to_no_private_address() -> None:
    guard = AddressGuard()
    guard("93.184.216.34")
    guard("2606:2800:220:1:248:1893:25c8:1946")
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "192.168.1.1"):
        with pytest.raises(MediaUnreachableError):
            guard(address)


def test_the_address_that_is_connected_to_counts(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with origin(tmp_path) as server:
        fetcher = SegmentFetcher(f"{server.url}/m.mpd")
        assert fetcher.fetch(Piece((f"{server.url}/a",))) == b"a"  # a private origin may
        fetcher.close()
        fetcher = SegmentFetcher("http://public.example/m.mpd")
        assert fetcher._guard is not None
        fetcher._guard("93.184.216.34")  # as if the manifest had come from there
        with pytest.raises(MediaUnreachableError, match="address of this machine"):
            fetcher.fetch(Piece((f"{server.url}/a",)))
        fetcher.close()
    assert server.paths() == ["a"]


def test_tries_again_where_that_can_help(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    with origin(tmp_path) as server:
        fetcher = SegmentFetcher(f"{server.url}/m.mpd")
        server.faults["a"] = [503, "cut"]
        assert fetcher.fetch(Piece((f"{server.url}/a",))) == b"abc"
        assert (fetcher.retries, len(server.asked)) == (2, 3)
        for status in (401, 403, 404, 410):
            server.faults["a"] = [status, status]
            server.asked.clear()
            with pytest.raises(SegmentMissingError if status in {404, 410} else MediaUnreachableError):
                fetcher.fetch(Piece((f"{server.url}/a",)))
            assert len(server.asked) == 1
        server.faults["a"] = [404]
        assert fetcher.fetch(Piece((f"{server.url}/a", f"{server.url}/a?2"))) == b"abc"  # the same bytes elsewhere
        fetcher.close()
        with pytest.raises(DRMError):
            fetcher.fetch(Piece((f"{server.url}/a",)))


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(4096))
    with origin(tmp_path) as server:
        fetcher = SegmentFetcher(f"{server.url}/m.mpd")
        with pytest.raises(UnsupportedMediaError):
            fetcher.fetch(Piece((f"{server.url}/a",)), 4095)
        with pytest.raises(MediaUnreachableError, match="ends inside"):
            fetcher.fetch(Piece((f"{server.url}/a",), 4000, 100))
        fetcher.close()
