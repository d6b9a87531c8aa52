"""A refusal reaches whoever wrote the page: the player's own error holds what the server said, code and KIDs."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drm.rights.policy import Policy
from license_server.process import LicenseServer
from license_server.store.keyring import find_keyring
from license_server.store.opening import open_store
from tests.browser.films import Film
from tests.browser.trial import trial_url
from tests.interop.command import Command

FILMS = {case: Film("vp9", "cenc", take=case) for case in ("expired", "revoked", "unknown")}
GOOD = Film("h264", "cenc", take="good")
ANSWERS = {"expired": (403, "license_expired"), "revoked": (403, "key_revoked"), "unknown": (404, "key_unknown")}
LIMIT = 8  # attempts; dash.js makes four for each of two keys


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[LicenseServer]:
    keys = {case: film.keys["video"] for case, film in FILMS.items()}
    held = dict((keys["expired"], keys["revoked"]))
    policies = {keys["expired"][0]: Policy(expires=1)}
    with LicenseServer(keys=held, store=store, policies=policies, faults=True) as started:
        with open_store(store, find_keyring(store, None)) as opened:
            opened.keys.revoke(keys["revoked"][0])
        time.sleep(1.5)  # a worker may keep what it read for a second
        yield started


@pytest.mark.parametrize("case", FILMS)
@pytest.mark.parametrize("player", ["shaka", "dashjs"])
def test_the_players_error_holds_the_servers_words(
    player: str, case: str, page, server: LicenseServer, site_url: str, films_folder: Path, clearkey: Command
) -> None:
    film = FILMS[case]
    film.make(clearkey, films_folder, server.license_url)
    page.goto(trial_url(site_url, player, manifest=f"{site_url}/films/{film.name}/manifest.mpd"))
    page.wait_for_function("trial.errors.length > 0")
    error = page.evaluate("trial.errors[0]")
    if player == "shaka":
        assert error["code"] == 6007
        _url, status, body = error["data"][0]["data"][:3]
        problem = json.loads(body)
    else:
        assert error["code"] == 114
        problem = error["response"]
        status = problem["status"]
    assert (status, problem["code"]) == ANSWERS[case]
    assert problem["kids"] == [film.keys["video"][0].base64url]
    assert page.evaluate("measured().frames") == 0


def test_a_players_retries_do_not_trip_the_limit_and_one_more_attempt_does(
    page, site_url: str, films_folder: Path, clearkey: Command
) -> None:
    with LicenseServer(keys=dict(GOOD.keys.values()), faults=True, rate_limit=f"{LIMIT}/60") as server:
        GOOD.make(clearkey, films_folder, f"{server.license_url}?fault=status-503")
        answers = []
        page.on("response", lambda answer: answer.request.method == "POST" and answers.append(answer.status))
        page.goto(trial_url(site_url, "dashjs", manifest=f"{site_url}/films/{GOOD.name}/manifest.mpd"))
        page.wait_for_function("trial.errors.length > 0")
        assert answers == [503] * LIMIT
        # A key that is asked for the first time is no repetition; of these there are as many as the title has keys.
        kids = [kid.base64url for kid, _key in GOOD.keys.values()]
        more = [asked(page, server.license_url, kids) for _ in range(len(kids) + 1)]
        status, body = next(answer for answer in more if answer[0] != 200)
        assert status == 429
        assert json.loads(body)["code"] == "rate_limited"


@pytest.mark.parametrize(("fault", "status"), [("expired", 403), ("status-500", 500), ("html", 200)])
def test_a_page_of_another_origin_reads_every_answer(
    fault: str, status: int, page, server: LicenseServer, site_url: str
) -> None:
    page.goto(f"{site_url}/pages/trial.js")  # any page of that origin
    kids = [FILMS["unknown"].keys["video"][0].base64url]
    assert asked(page, f"{server.license_url}?fault={fault}", kids, {"Authorization": "Bearer a.b.c"})[0] == status


def test_without_the_headers_it_reads_none(page, server: LicenseServer, site_url: str) -> None:
    """The control: it is the headers that let the page above read."""
    page.goto(f"{site_url}/pages/trial.js")
    kids = [FILMS["unknown"].keys["video"][0].base64url]
    assert asked(page, f"{server.license_url}?fault=no-cors", kids)[0] == "TypeError"


def asked(page, url: str, kids: list[str], headers: dict[str, str] | None = None) -> tuple[object, str]:
    """Status and body as the page's own fetch sees them."""
    return tuple(
        page.evaluate(
            """async ([url, kids, headers]) => {
                try {
                    const body = JSON.stringify({ kids, type: "temporary" });
                    const answer = await fetch(url, { method: "POST", body, headers });
                    return [answer.status, await answer.text()];
                } catch (error) {
                    return [error.name, error.message];
                }
            }""",
            [url, kids, headers or {}],
        )
    )
