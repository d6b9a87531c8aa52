"""The canary: a random key that a sealed license brought is nowhere in the application, during and after a playback.

A third process searches. The same search finds the key when the license came in clear, in the worker when it came
sealed, and clear samples in an application that decrypts for itself: so it can fail.
"""

import json
import os
import subprocess
import sys

import pytest

from license_server.process import LicenseServer
from tests.interop.license.plain_server import plain_server
from tests.isolation.canary import CanaryFilm, application, make_film, stands
from tests.isolation.memory_search import Searched, search

STANDS = ["answer in hand", "started", "ended", "gone"]


@pytest.fixture(scope="module")
def film(account) -> CanaryFilm:
    return make_film(account, "canary")


def searched_at_each_stand(
    account, film: CanaryFilm, url: str, *options: str
) -> tuple[dict[str, Searched], dict, set[str]]:
    """Play; return what was found at each stand, what the application told at the end, and what the worker held."""
    found, told, in_worker = {}, {}, set()
    with application(account, "canary_play.py", film.path, url, *options) as process:
        for told in stands(process):
            searched = search(told["pid"], film.needles | film.pieces)
            searched.found |= found[told["stand"]].found if told["stand"] in found else set()
            found[told["stand"]] = searched
            if told["stand"] == "started" and os.geteuid() == 0:
                in_worker = {name for _place, name in search(told["worker"], film.needles).found}
    assert list(found) == STANDS
    return found, told, in_worker


@pytest.fixture(scope="module")
def sealed(account, film: CanaryFilm):
    with LicenseServer(keys=film.keys) as server:
        return searched_at_each_stand(account, film, server.license_url)


@pytest.fixture(scope="module")
def in_clear(account, film: CanaryFilm):
    with plain_server(film.plain_keys) as url:
        return searched_at_each_stand(account, film, url)


@pytest.fixture(scope="module")
def remote(account, film: CanaryFilm):
    """The worker reads the container: what passes through the application is the stored file, or nothing at all."""
    with LicenseServer(keys=film.keys) as server:
        return searched_at_each_stand(account, film, server.license_url, "remote-source")


@pytest.mark.parametrize("stand", STANDS)
def test_in_remote_source_mode_neither_keys_nor_clear_samples_are_in_the_application(remote, stand: str) -> None:
    assert remote[0][stand].found == set()
    assert remote[1]["license_path"] == "sealed"
    assert remote[1]["frames"] == 231


@pytest.mark.parametrize("stand", STANDS)
def test_a_sealed_key_is_nowhere_in_the_application(sealed, stand: str) -> None:
    searched = sealed[0][stand]
    assert searched.found == set()


def test_the_search_went_through_all_of_the_application(sealed) -> None:
    for searched in sealed[0].values():
        assert searched.mappings > 30
        assert searched.size > 10 << 20
    assert sealed[0]["started"].files >= 2, "the film and the hashes"


def test_the_same_search_finds_a_key_that_came_in_clear(in_clear, film: CanaryFilm) -> None:
    found = {name for place, name in in_clear[0]["answer in hand"].found if place == "memory"}
    for number in range(len(film.first_keys)):
        assert f"base64url of key {number}" in found
    assert in_clear[1]["license_path"] == "clear"


def test_the_sealed_key_is_in_the_worker(sealed) -> None:
    """Root can look there: the key is in the process that needs it, in a form that the search knows."""
    if os.geteuid() != 0:
        pytest.skip("only root can show what root's worker withstands")
    assert {"raw of key 0"} <= sealed[2]


def test_an_application_that_decrypts_for_itself_is_found_out(account, film: CanaryFilm) -> None:
    """The control for clear samples: where they are, they are found."""
    with (
        LicenseServer(keys=film.keys) as server,
        application(account, "canary_play.py", film.path, server.license_url, "decrypt-here") as process,
    ):
        assert json.loads(process.stdout.readline())["stand"] == "wants-keys"
        process.stdin.write(film.words)
        process.stdin.flush()
        told = json.loads(process.stdout.readline())
        found = {name for _place, name in search(told["pid"], film.needles | film.pieces).found}
    assert len([name for name in found if name in film.pieces]) > len(film.pieces) / 2


@pytest.mark.parametrize("place", ["arguments", "environment", "open file"])
def test_the_search_finds_what_lies_outside_of_memory(tmp_path, place: str) -> None:
    secret = "canary-" + os.urandom(8).hex()
    path = tmp_path / "held"
    path.write_text(secret if place == "open file" else "nothing")
    program = "import time; print(flush=True); time.sleep(60)"
    words = [sys.executable, "-c", program, secret if place == "arguments" else "nothing"]
    environment = {"CANARY": secret} if place == "environment" else {}
    with (
        path.open("rb") as held,
        subprocess.Popen(words, stdin=held, stdout=subprocess.PIPE, env=environment) as process,
    ):
        try:
            process.stdout.readline()  # before its first line it may not be quite there
            found = search(process.pid, {"canary": secret.encode()}).found
        finally:
            process.kill()
    assert [where for where, _name in found if where.startswith(place)]


def test_the_film_was_played_in_a_worker_of_level_two(sealed) -> None:
    """Under this account: root, and an ordinary user."""
    told = sealed[1]
    assert told["level"] == 2
    assert told["license_path"] == "sealed"
    assert told["frames"] == 231
    assert told["hashes"].count("\n0,") == 90
