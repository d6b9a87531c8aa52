"""URLs that a server behind a proxy writes: those that clients ask, where it was told to believe the proxy."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from license_server.web.trusted_proxy import asked_for

MPD = (Path(__file__).parents[3] / "data" / "vectors" / "generated" / "pk_hls_fmp4" / "stream.mpd").read_bytes()
KEYS = {KeyId(b"k" * 16): ContentKey(b"Z" * 16)}


@pytest.mark.parametrize(
    ("forwarded", "proto", "host", "found"),
    [
        ("", "https", "", ("https", "")),
        ("", "HTTPS", "films.example:8443", ("https", "films.example:8443")),
        ("", "http, https", "evil.example, films.example", ("https", "films.example")),
        ("for=192.0.2.1;proto=https;host=films.example", "http", "x.example", ("https", "films.example")),
        ('for="[2001:db8::1]:47011";Proto=https;Host="films.example:443"', "", "", ("https", "films.example:443")),
        ("proto=http;host=evil.example, for=10.0.0.1;proto=https;host=[::1]:80", "", "", ("https", "[::1]:80")),
        ('for="a,b;proto=http",proto=https', "", "", ("https", "")),
        ("for=192.0.2.1", "https", "films.example", ("", "")),
        ("", "gopher", 'films.example"><script>', ("", "")),
        ("", "https", "films.example/path", ("https", "")),
        ("", "https", "user@films.example", ("https", "")),
        ("proto=https;" * 1000, "", "", ("", "")),
        ('proto="ht\\tps"', "", "", ("https", "")),
        ('proto="https', "", "", ("", "")),
        ("", "", "", ("", "")),
    ],
)
def test_what_is_said_in_one_way_is_taken(forwarded: str, proto: str, host: str, found: tuple[str, str]) -> None:
    assert asked_for(forwarded, proto, host) == found


@pytest.mark.parametrize("headers", [{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "films.example"},
                                     {"Forwarded": 'for=192.0.2.1;host=films.example;proto="https"'}])  # fmt: skip
@pytest.mark.parametrize("trusts", [True, False])
def test_a_server_believes_its_proxy_only_where_it_was_told_to(headers: dict[str, str], trusts: bool) -> None:
    with LicenseServer(keys=KEYS, trust_proxy=trusts) as server:
        made = requests.post(f"{server.url}/signal", data=MPD, headers=headers, timeout=10).content
        home = requests.get(server.url, headers=headers, timeout=10).text
    base = "https://films.example" if trusts else server.url
    assert f'Lic_type="EME-1.0">{base}/license</clearkey:Laurl>'.encode() in made
    assert f"to {base}/license\n" in home
