"""The license server's own pages, as a person with a browser, a keyboard or a small screen has them."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.pages_server import FILM, PASSWORD, Running, pages_server
from tests.interop.command import Command

PAGES = ("overview", "keys", f"keys/{FILM.keys['video'][0].hex}", "licenses", "watch", "path", "trust", "tools")
NARROW = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def running(clearkey: Command, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("pages")
    with pages_server(clearkey, folder, "--admin-password-file", folder / "password", "--faults") as started:
        yield started


@pytest.fixture(scope="module")
def admin_state(browser, running: Running):
    """The cookie of a session that was opened with the keyboard alone."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{running.url}/keys")
    assert page.url.startswith(f"{running.url}/sign-in")
    page.wait_for_selector("input[type=password]:focus")  # without a click
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{running.url}/keys")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def admin(browser, admin_state):
    """A page of that session; what the browser complains of fails the test."""
    context = browser.new_context(storage_state=admin_state)
    context.set_default_timeout(20_000)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: message.type in ("error", "warning") and complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.complaints = complaints
    yield page
    context.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_a_narrow_screen_and_names_what_it_has(name: str, scheme: str, admin, running: Running) -> None:
    admin.emulate_media(color_scheme=scheme)
    admin.set_viewport_size(NARROW)
    admin.goto(f"{running.url}/{name}")
    assert admin.url == f"{running.url}/{name}"
    assert admin.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert admin.locator("h1").count() == 1
    unnamed = admin.evaluate(
        """[...document.querySelectorAll("input:not([type=hidden]), select, textarea, button, a")].filter((each) =>
            !(each.labels && each.labels.length) && !each.textContent.trim() && !each.ariaLabel).length"""
    )
    assert unnamed == 0
    background, text = admin.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert (brightness(background) > brightness(text)) == (scheme == "light")


def brightness(color: str) -> int:
    return sum(int(part) for part in color.removeprefix("rgb(").removesuffix(")").split(","))


def test_the_first_key_press_leads_past_the_navigation_and_the_focus_is_seen(admin, running: Running) -> None:
    admin.goto(f"{running.url}/overview")
    admin.keyboard.press("Tab")
    assert admin.evaluate("document.activeElement.className") == "skip"
    assert admin.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    admin.keyboard.press("Enter")
    assert admin.evaluate("document.activeElement.id") == "main"
    admin.keyboard.press("Shift+Tab")
    assert admin.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_a_film_plays_and_eme_is_told_beside_it_with_keys_masked(page, running: Running) -> None:
    """Without signing in."""
    page.goto(f"{running.url}/watch")
    page.select_option("select[name=manifest]", f"/media/{FILM.name}/manifest.mpd")
    page.click("#choice button")
    page.wait_for_function("() => document.querySelector('video').currentTime > 1.5")
    kids = {kid.hex for kid, _key in FILM.keys.values()}
    assert {row.split()[0]: row.split()[1] for row in page.locator("#statuses li").all_inner_texts()} == dict.fromkeys(
        kids, "usable"
    )
    timeline = page.locator("#timeline").inner_text()
    places = [timeline.index(word) for word in ("createSession", "generateRequest", "message", "update", "key status")]
    assert places == sorted(places)
    whole = page.content()
    assert "••••" in whole
    for _kid, key in FILM.keys.values():
        assert base64.urlsafe_b64encode(key.secret).decode().rstrip("=") not in whole
    page.wait_for_function("() => document.querySelector('#played').textContent.endsWith(' s')")


def test_a_fault_is_told_in_the_servers_words(page, running: Running) -> None:
    page.goto(f"{running.url}/watch")
    page.click("[data-fault=expired]")
    page.wait_for_selector("#error:not([hidden])")
    assert "6007: The license period is over" in page.locator("#error").inner_text()
    page.click("[data-fault='']")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.5")
    assert page.locator("#error").is_hidden()


def test_rows_come_as_players_ask(admin, page, running: Running) -> None:
    admin.goto(f"{running.url}/licenses")
    admin.wait_for_function("() => document.querySelector('#live').textContent === 'live'")
    before = admin.locator("#events tbody tr").count()
    kid = FILM.keys["audio"][0]
    for body in ({"kids": [kid.base64url]}, {"kids": ["AAAAAAAAAAAAAAAAAAAAAA"]}):
        page.request.post(f"{running.url}/license", data=json.dumps(body))
    admin.wait_for_function("before => document.querySelectorAll('#events tbody tr').length === before + 2", arg=before)
    assert "404 key unknown" in admin.locator("#events tbody tr").nth(0).inner_text()
    second = admin.locator("#events tbody tr").nth(1).inner_text()
    assert "200 issued" in second
    assert str(kid) in second
    admin.fill("input[name=text]", kid.hex)
    shown = admin.locator("#events tbody tr:visible")
    assert {str(kid) in row for row in shown.all_inner_texts()} == {True}


def test_the_overview_counts_what_was_refused(admin, page, running: Running) -> None:
    admin.goto(f"{running.url}/overview")
    assert "Ready" in admin.locator(".health").inner_text()
    for _ in range(3):
        page.request.post(f"{running.url}/license", data='{"kids":[]}')
    admin.wait_for_selector("td:has-text('request malformed')")  # by itself, without a reload


def test_a_key_is_shown_after_a_second_step_which_is_written_down(admin, running: Running) -> None:
    kid, key = FILM.keys["video"]
    admin.goto(f"{running.url}/keys?q={kid.base64url}")
    admin.click(f"a:has-text('{kid}')")
    assert key.secret.hex() not in admin.content()
    for typed, is_shown in (("not the password", False), (PASSWORD, True)):
        admin.fill("input[name=confirm]", typed)
        admin.click("button:has-text('Show the key')")
        admin.wait_for_load_state()
        assert (key.secret.hex() in admin.content()) == is_shown
    admin.goto(f"{running.url}/licenses")
    admin.wait_for_selector("text=key not shown")
    chips = admin.locator("#events tbody tr .chip")
    assert [chips.nth(at).inner_text() for at in (0, 1)] == ["key shown", "key not shown"]
    assert [chips.nth(at).get_attribute("class").strip() for at in (0, 1)] == ["chip", "chip"], "nobody was refused"


def test_a_revoked_key_is_not_issued_until_it_is_restored(admin, page, running: Running) -> None:
    kid = FILM.keys["audio"][0]
    ask = json.dumps({"kids": [kid.base64url]})
    for button, status in (("Revoke", 403), ("Issue it again", 200)):
        admin.goto(f"{running.url}/keys/{kid.hex}")
        admin.click(f"button:has-text('{button}')")
        admin.wait_for_timeout(1300)  # a worker may keep what it read for a second
        assert page.request.post(f"{running.url}/license", data=ask).status == status


def test_keys_are_made_rotated_and_imported(admin, running: Running) -> None:
    admin.goto(f"{running.url}/keys")
    admin.fill("input[name=content]", "a film")
    admin.fill("input[name=tracks]", "HD AUDIO")
    admin.click("button:has-text('Make')")
    admin.wait_for_url("**/keys?q=a*film")
    assert admin.locator("tbody tr").count() == 2
    admin.click("button:has-text('Rotate')")
    admin.wait_for_selector("text=next crypto period")
    assert admin.locator("tbody tr").count() == 4
    admin.fill("textarea[name=keys]", "00112233445566778899aabbccddeeff:not a key")
    admin.click("button:has-text('Import')")
    assert admin.locator(".note.bad").count() == 1
    admin.fill("textarea[name=keys]", f"{'42' * 16}:{'43' * 16}")
    admin.click("button:has-text('Import')")
    admin.wait_for_selector("text=1 new")


def test_the_tools_say_what_players_make_of_a_manifest_and_what_a_box_holds(admin, running: Running) -> None:
    admin.goto(f"{running.url}/tools")
    mpd = (Path(running.catalogue) / FILM.name / "manifest.mpd").read_text()
    admin.fill("textarea[name=manifest]", mpd.replace("Laurl", "laurl"))
    admin.check("input[name=only_check]")
    admin.click("button:has-text('Signal')")
    admin.wait_for_selector("#signal tbody tr")
    assert admin.locator("#signal tbody tr").all_inner_texts()[0].split("\t")[:2] == ["shaka", "not known"]
    assert "right, with a setting" in admin.locator("#signal tbody tr").all_inner_texts()[0]
    admin.uncheck("input[name=only_check]")
    admin.click("button:has-text('Signal')")
    admin.wait_for_selector("#signal pre")
    assert admin.locator("#signal tbody tr").all_inner_texts()[0].split("\t")[:2] == ["shaka", "not known"]
    assert admin.locator("#signal tbody tr").all_inner_texts()[0].split("\t")[2] == "right"
    assert '<clearkey:Laurl Lic_type="EME-1.0">' in admin.locator("#signal pre").inner_text()
    admin.fill("textarea[name=pssh]", "AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAEAESIzRFVmd4iZqrvM3e7/AAAAAA==")
    admin.click("button:has-text('Decode')")
    assert "00112233-4455-6677-8899-aabbccddeeff" in admin.locator("#pssh").inner_text()
    token = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIHZpZXdlciIsImV4cCI6MX0.AAAA"
    admin.fill("textarea[name=token]", token)
    admin.click("button:has-text('Inspect')")
    said = admin.locator("#token").inner_text()
    assert "a viewer" in said
    assert "1970-01-01 00:00:01 UTC" in said
    assert token not in admin.content()
