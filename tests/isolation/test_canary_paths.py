"""The canary along every path: seek, rotation, renewal, expiry, error, crash, level 3. Neither keys nor clear samples.

At the end of each path the same application is given what it should not have, and the same search finds that.
"""

import os

import pytest

from drm.rights.policy import Policy
from license_server.process import LicenseServer
from tests.isolation.canary import CanaryFilm, application, make_film, stands
from tests.isolation.memory_search import search

OVER = Policy(play_duration=1)  # second of playing
END = ["wants-keys", "holds"]
PATHS: dict[str, tuple[list[str], str]] = {  # where it stands, and the error that it ends with
    "seek": (["sought", "ended"], ""),
    "rotation": (["started", "answer in hand", "ended"], ""),
    "renewal": (["started", "answer in hand", "ended"], ""),
    "expiry": (["failed"], "E-LICENSE-EXPIRED"),
    "error": (["failed"], "E-KEY-MISSING"),
    "crash": (["failed"], "E-PMP-DIED"),
    "service": (["sought", "ended"], ""),
}


@pytest.fixture(scope="module")
def canary(ordinary) -> CanaryFilm:
    return make_film(ordinary, "canary-paths")


def take(account, canary: CanaryFilm, path: str, *words: str, level: int = 2) -> None:
    """Go along the path, and search at each stand of it; at the last one, find what is held there."""
    keys = canary.first_keys if path == "error" else canary.keys
    policies = dict.fromkeys(keys, OVER) if path in ("expiry", "renewal") else {}
    film = canary.rotating if path in ("rotation", "error") else canary.path
    needles, names, told = canary.needles | canary.pieces, [], {}
    with (
        LicenseServer(keys=keys, policies=policies) as server,
        application(account, "canary_paths.py", path, film, server.license_url, *words) as process,
    ):
        for told in stands(process, canary.words):
            names.append(told["stand"])
            if told["stand"] == "wants-keys":
                continue
            searched = search(told["pid"], needles)
            assert searched.size > 10 << 20
            if told["stand"] != "holds":
                assert searched.found == set(), told
                assert (told["level"], told["license_path"]) == (level, "sealed")
                continue
            found = {name for place, name in searched.found if place == "memory"}
            assert found & set(canary.needles)
            assert len(found & set(canary.pieces)) > len(canary.pieces) / 2
    expected, error = PATHS[path]
    assert names == [*expected, *END]
    assert told["error"] == error


@pytest.mark.parametrize("path", [path for path in PATHS if path != "service"])
def test_along_this_path_nothing_is_in_the_application(ordinary, canary: CanaryFilm, path: str) -> None:
    take(ordinary, canary, path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a service under another account")
def test_at_level_3_nothing_is_in_the_application_or_in_the_service(ordinary, service, canary: CanaryFilm) -> None:
    """The service starts workers, and no key passes through it."""
    take(ordinary, canary, "service", str(service.socket), level=3)
    assert search(service.process.pid, canary.needles | canary.pieces).found == set()
