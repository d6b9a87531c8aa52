"""Which form of license a server is asked for: nothing of ours goes to a server that does not say it takes it."""

import json

import pytest

from drm.app.rights.license_forms import SealedServers, offers_sealed
from drm.errors import LicenseRefusedError, LicenseServerUnreachableError
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import b64url
from tests.interop.command import Command, is_one_paragraph
from tests.interop.license.recorder import recorder

BOTH = "plain, sealed"
ELSEWHERE = "http://license.example/license"  # reached through a proxy: the one way to be another machine here


@pytest.fixture
def film(vector):
    return vector("pk_cenc_iv8_v")


@pytest.fixture
def keys(film) -> dict[str, str]:
    return {KeyId.parse(kid).base64url: b64url(ContentKey.parse(key).secret) for kid, key in film.keys}


def members(body: bytes) -> set[str]:
    return set(json.loads(body))


# ------------------------------------------------------------------------------------------------ what is sent
def test_a_server_that_says_nothing_of_itself_gets_what_eme_has(clearkey, film, keys) -> None:
    with recorder(keys) as server:
        ran = clearkey("play", *film.files, "--license-url", server.url)
    assert ran.code == 0, ran.err
    assert "license_path: clear" in ran.err
    assert server.lines == ["OPTIONS /license", "POST /license"], "asked what it takes before asked for keys"
    assert [json.loads(body) for body in server.bodies] == [{"kids": sorted(keys), "type": "temporary"}]


@pytest.mark.parametrize("status", [400, 406, 413])
def test_a_server_that_refuses_what_it_does_not_know_is_never_given_it(clearkey, film, keys, status: int) -> None:
    with recorder(keys, refuses=status) as server:
        ran = clearkey("play", *film.files, "--license-url", server.url)
    assert ran.code == 0, ran.err
    assert "note:" not in ran.err
    assert [members(body) for body in server.bodies] == [{"kids", "type"}]


@pytest.mark.parametrize("status", [400, 406, 413])
def test_a_server_that_says_it_takes_the_sealed_form_and_refuses_it_is_asked_in_plain(
    clearkey, film, keys, status: int
) -> None:
    """Something before the server may have refused; and the user reads that the keys came in plain."""
    with recorder(keys, forms=BOTH, refuses=status) as server:
        ran = clearkey("play", *film.files, "--license-url", server.url)
    assert ran.code == 0, ran.err
    assert "license_path: clear" in ran.err
    assert f"refused the sealed form with status {status}" in ran.err
    assert [members(body) for body in server.bodies] == [{"kids", "type", "pmp"}, {"kids", "type"}]


def test_a_server_that_says_so_and_ignores_it_is_told_of(clearkey, film, keys) -> None:
    with recorder(keys, forms=BOTH) as server:
        ran = clearkey("play", *film.files, "--license-url", server.url)
    assert ran.code == 0, ran.err
    assert "ignored it: its license is plain" in ran.err


def test_our_own_server_says_so(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(keys={KeyId.parse(kid): ContentKey.parse(key) for kid, key in film.keys})
    assert offers_sealed(server.license_url)
    ran = clearkey("play", *film.files, "--license-url", server.license_url)
    assert ran.code == 0, ran.err
    assert "license_path: sealed" in ran.err


# ------------------------------------------------------------------------------------------------ what users force
def test_plain_asks_nothing_but_for_keys(clearkey, film, keys) -> None:
    with recorder(keys, forms=BOTH) as server:
        ran = clearkey("play", *film.files, "--license-url", server.url, "--plain")
    assert ran.code == 0, ran.err
    assert server.lines == ["POST /license"]
    assert members(server.bodies[0]) == {"kids", "type"}


@pytest.mark.parametrize("refuses", [0, 400])
def test_sealed_takes_no_plain_license(clearkey, film, keys, refuses: int) -> None:
    with recorder(keys, refuses=refuses) as server:
        ran = clearkey("play", *film.files, "--license-url", server.url, "--sealed")
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert server.lines == ["POST /license"], "and does not ask twice"
    assert not [key for _kid, key in film.keys if key in ran.said]


def test_both_at_once_are_refused(clearkey, film) -> None:
    ran = clearkey("play", *film.files, "--license-url", ELSEWHERE, "--sealed", "--plain")
    assert ran.code == 2
    assert "exclude each other" in ran.err


def test_trace_asks_in_the_same_way(clearkey, film, keys) -> None:
    with recorder(keys) as server:
        asked = clearkey("trace", *film.files, "--scenario", "license", "--license-url", server.url)
        forced = clearkey("trace", *film.files, "--scenario", "license", "--license-url", server.url, "--sealed")
    assert (asked.code, forced.code) == (0, 8), asked.err + forced.err
    assert [members(body) for body in server.bodies] == [{"kids", "type"}, {"kids", "type", "pmp"}]


# ------------------------------------------------------------------------------------------------ what is remembered
@pytest.fixture
def through_proxy(monkeypatch):
    """Have requests for names elsewhere go to `url`."""
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return lambda url: monkeypatch.setenv("http_proxy", url.removesuffix("/license"))


def test_an_origin_that_once_offered_the_sealed_form_is_held_to_it(tmp_path, film, keys, through_proxy) -> None:
    with recorder(keys, forms=BOTH) as server:
        through_proxy(server.url)
        clearkey = Command(tmp_path / "home")
        ask = ("play", *film.files, "--license-url", ELSEWHERE)
        first = clearkey(*ask)
        server.forms = ""
        server.bodies.clear()
        fallen, forced = clearkey(*ask), clearkey(*ask, "--plain")
    assert first.code == 0, first.err
    assert fallen.code == 8, fallen.err
    assert is_one_paragraph(fallen), fallen.err
    assert "offered sealed licenses before" in fallen.err
    assert "--plain" in fallen.err
    assert forced.code == 0, forced.err
    assert [members(body) for body in server.bodies] == [{"kids", "type"}], "and only --plain was sent for"


def test_a_port_of_this_machine_is_another_server_tomorrow(tmp_path, keys) -> None:
    remembered = SealedServers(tmp_path)
    with recorder(keys, forms=BOTH) as server:
        assert offers_sealed(server.url, remembered=remembered)
        server.forms = "plain"
        assert not offers_sealed(server.url, remembered=remembered)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://license.example:80/other?token=1", True),
        ("http://user:word@LICENSE.example/", True),
        ("https://license.example/license", False),
        ("http://license.example:8080/license", False),
        ("http://sub.license.example/license", False),
    ],
)
def test_what_is_remembered_is_the_origin(tmp_path, url: str, same: bool) -> None:
    remembered = SealedServers(tmp_path)
    assert not remembered.holds(ELSEWHERE)
    assert remembered.remember(ELSEWHERE)
    assert remembered.holds(ELSEWHERE)
    assert remembered.holds(url) is same


def test_what_was_remembered_counts_in_the_next_process_and_no_answer_is_no_word(tmp_path, keys, through_proxy) -> None:
    SealedServers(tmp_path).remember(ELSEWHERE)
    with recorder(keys) as server:
        through_proxy(server.url)
        with pytest.raises(LicenseRefusedError, match="offered sealed licenses before"):
            offers_sealed(ELSEWHERE, remembered=SealedServers(tmp_path))
    with pytest.raises(LicenseServerUnreachableError):  # nobody listens any more: that is no absence of the offer
        offers_sealed(ELSEWHERE, remembered=SealedServers(tmp_path))


# ------------------------------------------------------------------------------------------------ a URL that is not it
@pytest.mark.parametrize("missing", [404, 405])
def test_a_url_without_its_path_is_told_the_likely_one(clearkey, film, keys, missing: int) -> None:
    with recorder(keys, forms=BOTH, missing=missing) as server:
        root = server.url.removesuffix("/license")
        ran = clearkey("play", *film.files, "--license-url", root)
    assert ran.code == 8, ran.err
    assert is_one_paragraph(ran), ran.err
    assert f"--license-url {server.url}: a license server answers there" in ran.err


def test_our_own_server_is_found_below_its_address(clearkey, clearkey_servers, film) -> None:
    server = clearkey_servers(keys={KeyId.parse(kid): ContentKey.parse(key) for kid, key in film.keys})
    ran = clearkey("play", *film.files, "--license-url", server.url)
    assert ran.code == 8, ran.err
    assert f"--license-url {server.license_url}" in ran.err


def test_no_url_is_promised_that_did_not_answer(clearkey, film, keys) -> None:
    with recorder(keys, path="/clearkey") as server:
        ran = clearkey("play", *film.files, "--license-url", server.url.replace("/clearkey", "/"))
        other = clearkey("play", *film.files, "--license-url", server.url.replace("/clearkey", "/other"))
    assert (ran.code, other.code) == (8, 8)
    assert "answers there" not in ran.err + other.err
    assert "ends in /license" in ran.err
