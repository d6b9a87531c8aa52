"""Where browsers offer EME: a page elsewhere over plain http says so in words, and over https it plays."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.chromium import chromium
from tests.browser.pages_server import FILM, pages_server
from tests.interop.command import Command

ELSEWHERE = "films.test"  # a name that leads here, and that browsers do not take for this machine's own


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium(f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1") as started:
        yield started


def test_a_plain_http_page_says_that_eme_needs_https(browser, clearkey: Command, tmp_path: Path) -> None:
    with pages_server(clearkey, tmp_path) as running:
        page = browser.new_page()
        page.goto(f"{running.url.replace('127.0.0.1', ELSEWHERE)}/watch")
        assert page.locator("#insecure").is_visible()
        assert "EME needs HTTPS" in page.locator("#insecure").inner_text()
        assert page.locator("#choice button").is_disabled()
        page.goto(f"{running.url}/watch")  # the control: the same page on this machine's own name
        assert page.locator("#insecure").is_hidden()


def test_the_same_page_over_tls_plays(browser, clearkey: Command, tmp_path: Path) -> None:
    with pages_server(clearkey, tmp_path, "--tls", license_host=ELSEWHERE) as running:
        context = browser.new_context(ignore_https_errors=True)  # the certificate is made for this run
        page = context.new_page()
        page.goto(f"{running.url.replace('127.0.0.1', ELSEWHERE)}/watch")
        assert page.locator("#insecure").is_hidden()
        page.select_option("select[name=manifest]", f"/media/{FILM.name}/manifest.mpd")
        page.click("#choice button")
        page.wait_for_function("() => document.querySelector('video').currentTime > 1.5")
        assert page.locator("#statuses .ok").count() == 2
        context.close()
