"""Another process of the account keeps all that it can open between a worker's start and its hiding, and searches it.

It finds nothing, though it gets hold of each process that is executed. In a worker that hides and does not fork, which
reports the same level, the same search finds keys and clear samples.
"""

import json
import os
import subprocess

import pytest

from drm.keys import ContentKey, KeyId
from license_server.process import LicenseServer
from tests.isolation.memory_search import forms

LAUNCHES = int(os.environ.get("CLEARKEY_WINDOW_LAUNCHES", "12"))  # `make soak` has a thousand
CONTROLS = 2
SECONDS = 15  # for one launch, on a machine that is busy


@pytest.fixture(scope="module")
def film(ordinary):
    return ordinary.application("canary_make.py", ordinary.home / "window")


def attacked(account, film, launches: int, *options: str) -> dict:
    keys = {KeyId.parse(kid): ContentKey.parse(key) for kid, key in film["keys"].items()}
    needles = {f"{form} of a key {number}": needle.hex() for number, key in enumerate(keys.values())
               for form, needle in forms(key.secret).items()}  # fmt: skip
    needles |= {f"clear sample {number}": piece for number, piece in enumerate(film["clear"])}
    with LicenseServer(keys=keys) as server:
        argv = [str(account.python), str(account.programs / "window.py"), str(account.home / "window" / "film.mp4"),
                server.license_url, str(launches), *options]  # fmt: skip
        with account.user.popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as attacker:
            try:
                said, errors = attacker.communicate(json.dumps(needles) + "\n", timeout=60 + launches * SECONDS)
            finally:
                attacker.kill()
    assert attacker.returncode == 0, errors
    told = json.loads(said)
    assert told["launches"] == launches
    assert told["paths"] == ["sealed"], "what came in clear would be found in the application"
    return told


@pytest.mark.timeout(60 + LAUNCHES * SECONDS)
def test_what_was_opened_before_a_worker_hid_holds_neither_keys_nor_samples(ordinary, film) -> None:
    told = attacked(ordinary, film, LAUNCHES)
    assert told["found"] == []
    assert told["worker_reached"] == 0, "a worker is hidden from its first moment"
    assert told["reached"] > LAUNCHES / 2, "what was executed was not reached in time: this attack proves nothing"


def test_the_same_search_finds_them_in_a_worker_that_does_not_fork(ordinary, film) -> None:
    told = attacked(ordinary, film, CONTROLS, "without-fork")
    assert told["levels"] == [2] or told["levels"] == [1], "it looks as good as one that forks"
    assert told["worker_reached"] > 0
    assert {name for name in told["found"] if "of a key" in name}, told
    assert {name for name in told["found"] if name.startswith("clear sample")}, told
    assert "raw of the device key" in told["found"], told
