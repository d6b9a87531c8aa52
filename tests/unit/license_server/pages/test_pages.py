"""The pages without a browser: who is let in, what every answer carries, what of a folder is served and what is not."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import requests

from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from license_server.pages.admission import PageRules, password_hash_of
from license_server.pages.media import catalogue_of
from player.verbs.serve.settings import page_rules
from tests.interop.command import Command

KID = KeyId.parse("00112233445566778899aabbccddeeff")
KEY = ContentKey.parse("112233445566778899aabbccddeeff00")
PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "password").write_text(PASSWORD)
    (folder / "keys").write_text(f"{KID}:{KEY.secret.hex()}")
    film = folder / "films" / "one"
    film.mkdir(parents=True)
    (film / "manifest.mpd").write_text("<MPD/>")
    (film / "video.mp4").write_bytes(bytes(range(256)))
    (film / "notes.txt").write_text("no kind that players read")
    (film / ".draft.mp4").write_bytes(b"hidden")
    (folder / "secret.mp4").write_bytes(b"outside")
    (film / "link.mp4").symlink_to(folder / "secret.mp4")
    (folder / "films" / "linked").symlink_to(folder)
    return folder


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    clearkey = Command(folder / "home")
    process = clearkey.start("serve", "--port", 0, "--keys-file", folder / "keys", "--catalogue", folder / "films",
                             "--admin-password-file", folder / "password")  # fmt: skip
    try:
        yield process.stdout.readline().removeprefix("license server: ").strip()
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.fixture
def anyone() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(scope="module")
def signed_in(url: str) -> requests.Response:
    """The answer that opened a session. Ten attempts in a minute are allowed to all tests of this file."""
    return requests.post(f"{url}/sign-in", data={"password": PASSWORD}, allow_redirects=False)


@pytest.fixture
def admin(signed_in: requests.Response, anyone: requests.Session) -> requests.Session:
    anyone.cookies.update(signed_in.cookies)
    return anyone


def csrf_of(page: str) -> str:
    return re.search(r'name="csrf" value="([^"]+)"', page)[1]  # type: ignore[index]


# ------------------------------------------------------------------------------------------------ who is let in
@pytest.mark.parametrize(
    "path", ["overview", "overview/now", "keys", f"keys/{KID.hex}", "licenses", "path", "trust", "tools"]
)
def test_a_stranger_is_led_to_the_sign_in(path: str, url: str, anyone: requests.Session) -> None:
    answer = anyone.get(f"{url}/{path}", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/sign-in?next=/{path}")
    assert str(KID) not in answer.text


def test_a_stranger_reads_no_events_and_changes_nothing(url: str, anyone: requests.Session) -> None:
    assert anyone.get(f"{url}/api/events").status_code == 401
    for path in (
        f"keys/{KID.hex}/revoke",
        f"keys/{KID.hex}/show",
        "keys/new",
        "keys/import",
        "keys/period",
        "sign-out",
    ):
        assert anyone.post(f"{url}/{path}", allow_redirects=False).status_code == 303
    assert anyone.post(f"{url}/license", data=f'{{"kids":["{KID.base64url}"]}}').status_code == 200


@pytest.mark.parametrize("form", [{}, {"password": "wrong"}, {"token": "wrong"}])
def test_nothing_else_opens_a_session(form: dict[str, str], url: str, anyone: requests.Session) -> None:
    assert anyone.post(f"{url}/sign-in", data=form).status_code == 403
    assert not anyone.cookies


def test_a_form_of_another_site_opens_none(url: str, anyone: requests.Session) -> None:
    form = {"password": PASSWORD}
    assert anyone.post(f"{url}/sign-in", data=form, headers={"Origin": "http://other.test"}).status_code == 403
    assert anyone.post(f"{url}/sign-in", data=form, headers={"Origin": "null"}).status_code == 403


def test_after_sign_in_nobody_is_sent_to_another_site(url: str, anyone: requests.Session) -> None:
    for place, led_to in (("/keys", "/keys"), ("/\t/other.test", "/overview"), ("/keys\r\nA: b", "/overview")):
        answer = anyone.post(f"{url}/sign-in", data={"password": PASSWORD, "next": place}, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, led_to)


def test_the_cookie_is_for_this_site_and_no_script(signed_in: requests.Response) -> None:
    said = signed_in.headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in said.split(";")}


def test_a_form_needs_the_token_of_its_session(url: str, admin: requests.Session) -> None:
    token = csrf_of(admin.get(f"{url}/keys").text)
    for sent in ("", "wrong", token[:-1]):
        answer = admin.post(f"{url}/keys/new", data={"content": "forged", "csrf": sent})
        assert answer.status_code == 403
    assert "forged" not in admin.get(f"{url}/keys").text
    assert "made" in admin.post(f"{url}/keys/new", data={"content": "mine", "csrf": token}).text


def test_a_session_ends_for_whoever_has_a_copy_of_its_cookie_too(folder: Path) -> None:
    clearkey = Command(folder / "home")
    process = clearkey.start("serve", "--port", 0, "--keys-file", folder / "keys", "--workers", 2,
                             "--admin-password-file", folder / "password")  # fmt: skip
    try:
        url = process.stdout.readline().removeprefix("license server: ").strip()
        here, there, copied = requests.Session(), requests.Session(), requests.Session()
        for each in (here, there):
            each.post(f"{url}/sign-in", data={"password": PASSWORD})
        copied.cookies.update(here.cookies)
        token = csrf_of(copied.get(f"{url}/keys").text)
        here.post(f"{url}/sign-out", data={"csrf": token})
        for _ in range(6):  # whichever worker answers
            assert copied.get(f"{url}/keys", allow_redirects=False).status_code == 303
            assert copied.get(f"{url}/api/events").status_code == 401
            assert copied.post(f"{url}/keys/new", data={"csrf": token}, allow_redirects=False).headers["Location"] == (
                "/sign-in?next=/keys/new"
            )
            assert there.get(f"{url}/keys", allow_redirects=False).status_code == 200
        for each in (here, there, copied):
            each.close()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_a_printed_link_opens_one_session(folder: Path) -> None:
    clearkey = Command(folder / "home")
    process = clearkey.start("serve", "--port", 0, "--keys-file", folder / "keys", "--workers", 2)
    try:
        url = process.stdout.readline().removeprefix("license server: ").strip()
        link = next(line for line in process.stderr if line.startswith("pages: ")).removeprefix("pages: ").strip()
        token = link.partition("?token=")[2]
        assert link.startswith(f"{url}/sign-in?token=")
        for turn in range(3):
            with requests.Session() as session:
                session.get(link)  # to look at it opens nothing
                answer = session.post(f"{url}/sign-in", data={"token": token})
                assert (answer.status_code, bool(session.cookies)) == ((403, False) if turn else (200, True))
    finally:
        process.terminate()
        process.communicate(timeout=10)


# ------------------------------------------------------------------------------------------------ what answers carry
def test_pages_hold_no_script_of_their_own_and_no_other_site_reads_them(url: str, admin: requests.Session) -> None:
    for path in ("overview", "keys", f"keys/{KID.hex}", "licenses", "watch", "path", "trust", "tools", "api/events"):
        answer = admin.get(f"{url}/{path}", headers={"Origin": "http://localhost:1"})
        assert answer.status_code == 200
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert not re.search(r"<script(?![^>]*\ssrc=)|\sstyle=|\son\w+=|javascript:", answer.text)
        assert KEY.secret.hex() not in answer.text


def test_curl_gets_a_line_of_text_and_a_browser_the_pages(url: str, anyone: requests.Session) -> None:
    assert anyone.get(url).text.startswith("This is a Clear Key license server.")
    assert (
        anyone.get(url, headers={"Accept": "text/html,*/*"}, allow_redirects=False).headers["Location"] == "/overview"
    )


def test_an_unknown_key_is_a_page_that_says_so(url: str, admin: requests.Session) -> None:
    for kid in ("42" * 16, "no-kid"):
        answer = admin.get(f"{url}/keys/{kid}")
        assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_the_mpd_snippet_is_read_on_its_own(url: str, admin: requests.Session) -> None:
    """It is pasted into MPDs that declare neither prefix."""
    page = admin.get(f"{url}/keys/{KID.hex}").text
    snippet = html.unescape(page[page.index("&lt;ContentProtection") : page.rindex("/ContentProtection&gt;")])
    root = ET.fromstring(f"<AdaptationSet>{snippet}/ContentProtection></AdaptationSet>")
    assert root[0].get("{urn:mpeg:cenc:2013}default_KID") == str(KID)
    assert (root[1][0].text or "").endswith("/license")


# ------------------------------------------------------------------------------------------------ media
def test_a_manifest_comes_back_as_it_was_typed(url: str, admin: requests.Session) -> None:
    """With a form's line ends, a mark at its start and characters that nobody sees: it is sent, and copied, again."""
    typed = "\ufeff#EXTM3U\r\n#EXT-X-VERSION:5\r\n# na\xadme\r\n"
    page = admin.get(f"{url}/tools", timeout=10).text
    (csrf,) = set(re.findall(r'name="csrf" value="([^"]+)"', page))
    form = {"csrf": csrf, "tool": "signal", "manifest": typed, "license_url": "http://127.0.0.1/license"}
    for _ in range(2):
        page = admin.post(f"{url}/tools", data=form, timeout=10).text
        (back,) = re.findall(r'<textarea name="manifest"[^>]*>(.*?)</textarea>', page, re.DOTALL)
        form["manifest"] = html.unescape(back)
    assert form["manifest"].replace("\r\n", "\n") == typed.replace("\r\n", "\n")


def test_films_are_served_whole_and_in_ranges_to_every_site(url: str, anyone: requests.Session) -> None:
    where, whole = f"{url}/media/one/video.mp4", bytes(range(256))
    answer = anyone.get(where, headers={"Origin": "http://player.test"})
    assert (answer.status_code, answer.content) == (200, whole)
    assert answer.headers["Access-Control-Allow-Origin"] == "http://player.test"
    for asked, status, part in (
        ("bytes=0-0", 206, whole[:1]),
        ("bytes=100-", 206, whole[100:]),
        ("bytes=-5", 206, whole[-5:]),
        ("bytes=250-999", 206, whole[250:]),
    ):
        answer = anyone.get(where, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (status, part)
    assert anyone.get(where, headers={"Range": "bytes=256-"}).status_code == 416
    assert anyone.get(where, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    ["one/notes.txt", "one/.draft.mp4", "one/link.mp4", "linked/secret.mp4", "one/%2e%2e/%2e%2e/secret.mp4",
     "../secret.mp4", "one//video.mp4", "one", "", "one/absent.mp4", "one/video.mp4/video.mp4", "one/%00.mp4"],
)  # fmt: skip
def test_nothing_else_of_the_folder_is_served(path: str, url: str, anyone: requests.Session) -> None:
    request = requests.Request("GET", url).prepare()
    request.url = f"{url}/media/{path}"  # as it stands: requests would tidy it up
    assert anyone.send(request).status_code == 404


def test_the_catalogue_lists_what_can_be_watched(folder: Path, tmp_path: Path) -> None:
    assert [(film.name, film.manifests) for film in catalogue_of(folder / "films")] == [("one", ("one/manifest.mpd",))]
    for name, text in (("shaka.m3u8", "#EXT-X-STREAM-INF"), ("hlsjs.m3u8", "#EXT-X-STREAM-INF"), ("video.m3u8", "")):
        (tmp_path / name).write_text(text)
    assert [film.manifests for film in catalogue_of(tmp_path)] == [("shaka.m3u8",)]
    assert catalogue_of(tmp_path / "absent") == []


def test_passwords_cannot_be_tried_without_end(url: str, anyone: requests.Session) -> None:
    assert 429 in [anyone.post(f"{url}/sign-in", data={"password": "wrong"}).status_code for _ in range(11)]
    assert anyone.post(f"{url}/sign-in", data={"password": PASSWORD}).status_code == 429


# ------------------------------------------------------------------------------------------------ what is done
def test_what_is_done_in_the_pages_is_written_down(folder: Path, url: str, admin: requests.Session) -> None:
    token = csrf_of(admin.get(f"{url}/keys").text)
    before = admin.get(f"{url}/api/events").json()["events"][-1:]
    for path, form in (
        ("keys/new", {"content": "a made film", "tracks": "HD"}),
        ("keys/period", {"content": "a made film"}),
        ("keys/import", {"keys": f"{'42' * 16}:{'43' * 16}"}),
    ):
        admin.post(f"{url}/{path}", data={"csrf": token, **form})
    after = before[0]["id"] if before else 0
    events = admin.get(f"{url}/api/events", params={"after": after}).json()["events"]
    assert [(event["action"], event["code"], event["subject"]) for event in events] == [
        ("pages", "keys_generated", "administrator: content a made film"),
        ("pages", "content_rotated", "administrator: content a made film"),
        ("pages", "keys_imported", "administrator"),
    ]
    assert "0 refused" in re.sub(r"\s+", " ", admin.get(f"{url}/overview").text)


def test_a_short_password_is_refused_and_none_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("short\nand a second line\n")
    with pytest.raises(InvalidArgumentError, match="fewer than 8"):
        password_hash_of(file)
    file.write_text(f"{PASSWORD}\n")
    assert PASSWORD not in (found := password_hash_of(file))
    assert found not in repr(PageRules(password_hash=found))


# ------------------------------------------------------------------------------------------------ setting up
def test_pages_are_there_on_this_machine_alone_unless_they_are_asked_for(folder: Path) -> None:
    for host, wanted, there in (("127.0.0.1", None, True), ("::1", None, True), ("localhost", None, True),
                                ("0.0.0.0", None, False), ("example.test", None, False), ("0.0.0.0", True, True),
                                ("127.0.0.1", False, False)):  # fmt: skip
        assert (page_rules(wanted, host, None, None, is_https=False) is not None) == there
    assert page_rules(None, "0.0.0.0", None, folder, is_https=False) is not None
    with pytest.raises(InvalidArgumentError):
        page_rules(False, "127.0.0.1", None, folder, is_https=False)
