"""What a stranger meets first: a data folder that cannot be used, quiet, progress, completion."""

import json
import os
import pty
import subprocess

import pytest

from sample_content.clip import Clip, make_clip
from tests.interop.command import Command, is_one_paragraph, write_keys

KID, KEY = "00112233445566778899aabbccddeeff", "112233445566778899aabbccddeeff00"


@pytest.fixture(scope="module")
def long_films(tmp_path_factory):
    """Clear, a minute each, to be played in more than half a second."""
    folder = tmp_path_factory.mktemp("long")
    made = {}
    for fragmented in (True, False):
        path = folder / f"{'fragmented' if fragmented else 'progressive'}.mp4"
        make_clip(path, Clip(width=640, height=360, frames=1500, gop=30, fragmented=fragmented))
        made[fragmented] = path
    return made


# ------------------------------------------------------------------------------------------------ the data folder
@pytest.fixture(params=["read-only", "below-a-file"])
def homeless(request, tmp_path) -> Command:
    """Its data folder cannot be made: the kernel says no, also to root."""
    (tmp_path / "file").touch()
    places = {"read-only": "/sys/clearkey", "below-a-file": tmp_path / "file" / "home"}
    return Command(places[request.param])


@pytest.mark.parametrize("words", [("play",), ("trace",), ("doctor",)])
def test_a_data_folder_that_cannot_be_used_is_named(homeless, vector, words) -> None:
    film = vector("pk_cenc_iv8_v")
    keys = [f"--key={kid}:{key}" for kid, key in film.keys]
    ran = homeless(*words, *(() if words == ("doctor",) else (*film.files, *keys)))
    assert ran.code == 3, ran.said
    assert "E-STORAGE" in ran.err
    assert "the device key cannot be" in ran.err
    assert homeless.environment["CLEARKEY_HOME"] in ran.err
    assert "set CLEARKEY_HOME" in ran.err
    assert words != ("play",) or is_one_paragraph(ran), ran.err
    assert "Protected content can be played here" not in ran.out


def test_doctor_tells_it_to_programs(homeless, clearkey) -> None:
    bad = json.loads(homeless("doctor", "--json").out)["data_folder"]
    assert bad["error"]["code"] == "E-STORAGE"
    good = clearkey("doctor", "--json")
    assert good.code == 0, good.err
    assert json.loads(good.out)["data_folder"] == {"path": clearkey.environment["CLEARKEY_HOME"], "error": None}


# ------------------------------------------------------------------------------------------------ quiet, and not
@pytest.mark.parametrize("words", [
    ("encrypt", "{clear}", "-o", "{out}.mp4"),
    ("decrypt", "{film}", "-o", "{out}.mp4"),
    ("decrypt", "{film}", "-o", "{out}.mp4", "--check"),
    ("package", "{clear}", "-o", "{out}", "--license-url", "http://127.0.0.1:1/license"),
    ("play", "{film}"),
], ids=lambda words: " ".join(words[::4]))  # fmt: skip
def test_quiet_is_quiet(tmp_path, vector, words) -> None:
    """Also in a home of its own, where the first session has more to say, and of a key that others can read."""
    film = vector("pk_cenc_iv8_v")
    clearkey = Command(tmp_path / "home")
    names = {"clear": film.clear[0], "film": film.files[0], "out": tmp_path / "out"}
    keys = [f"--key={kid}:{key}" for kid, key in film.keys]
    ran = clearkey(*(word.format(**names) for word in words), *keys, "-q")
    assert (ran.code, ran.err) == (0, "")


def on_a_terminal(clearkey: Command, *words: object) -> str:
    """What a command shows on a terminal as its standard error."""
    parent, child = pty.openpty()
    environment = {**clearkey.environment, "TERM": "xterm"}
    with subprocess.Popen([clearkey.path, *map(str, words)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=child, env=environment) as process:  # fmt: skip
        os.close(child)
        said = b""
        while True:
            try:
                piece = os.read(parent, 65536)
            except OSError:  # EIO: the other end is closed
                break
            said += piece
        os.close(parent)
    assert process.returncode == 0, said
    return said.decode()


@pytest.mark.parametrize("fragmented", [True, False])
def test_playing_a_long_file_shows_how_far_it_is(clearkey, long_films, fragmented: bool) -> None:
    shown = on_a_terminal(clearkey, "play", long_films[fragmented])
    assert "playing" in shown
    assert ("0:" if fragmented else "%") in shown
    assert "playing" not in on_a_terminal(clearkey, "play", long_films[fragmented], "-q")


# ------------------------------------------------------------------------------------------------ writing, completing
def test_a_package_below_a_file_is_a_mistake_of_the_user(clearkey, vector, tmp_path) -> None:
    (tmp_path / "file").touch()
    ran = clearkey("package", *vector("pk_cenc_iv8_v").clear, "--clear", "-o", tmp_path / "file" / "folder")
    assert ran.code == 2, ran.err
    assert f"cannot write {tmp_path}/file/folder" in ran.err


@pytest.mark.parametrize("verb", ["new", "export"])
def test_keys_into_a_folder_that_is_not_there(clearkey, tmp_path, verb: str) -> None:
    keys, store = write_keys(tmp_path / "keys", [(KID, KEY)]), tmp_path / "keys.db"
    assert clearkey("keys", "import", keys, "--store", store).code == 0
    words = {"new": (), "export": ("--store", store)}[verb]
    ran = clearkey("keys", verb, *words, "--output", tmp_path / "no" / "keys.json")
    assert ran.code == 2, ran.err
    assert f"there is no folder {tmp_path}/no" in ran.err


@pytest.mark.parametrize(
    ("words", "number", "found"),
    [
        ("clearkey enc", 1, "encrypt"),
        ("clearkey keys che", 2, "check"),
        ("clearkey encrypt --scheme cb", 3, "cbcs"),
        ("clearkey play --se", 2, "--sealed"),
    ],
)
def test_shells_complete_verbs_options_and_words(clearkey, words: str, number: int, found: str) -> None:
    told = {"_CLEARKEY_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(number)}
    ran = subprocess.run([clearkey.path], env={**clearkey.environment, **told}, capture_output=True, text=True,
                         timeout=30, check=True)  # fmt: skip
    assert f"plain,{found}" in ran.stdout.split()
