"""The command as a user meets it: what it imports, what goes where, and what it ends with."""

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from drm.keyfile.formats import parse_keys_file
from player.cli import _VERBS
from tests.interop.command import Command, without_remarks

KEYS_VERBS = ["new", "convert", "check", "import", "list", "remove", "policy", "devices"]
COMPONENTS_VERBS = ["list", "verify", "update"]


@pytest.fixture(scope="module")
def clearkey(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("clearkey-home"))


def modules_after(*words: str) -> set[str]:
    """What a fresh Python has imported once the command with these words is through."""
    program = "import sys\nfrom player.cli import main\ntry:\n main(sys.argv[1:])\nexcept SystemExit:\n pass\n"
    program += "print('\\n'.join(sys.modules), file=sys.stderr)"
    run = subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True, text=True)
    return set(run.stderr.split())


# ------------------------------------------------------------------------------------------------ imports
HEAVY = {"av", "cryptography", "Crypto", "flask", "werkzeug", "requests", "sqlalchemy", "alembic", "joserfc", "rich",
         "jinja2", "numpy", "asyncio"}  # fmt: skip


def test_help_costs_no_library() -> None:
    loaded = modules_after("--help")
    assert "click" in loaded, "the control: what is there is seen"
    assert not HEAVY & loaded
    assert not {name for name in loaded if name.startswith("player.verbs.")}


def test_the_list_of_verbs_is_not_what_keeps_them_out() -> None:
    """The control of the test above: a verb that needs a library does load it."""
    assert "flask" in modules_after("serve", "--help")


def test_the_application_that_plays_imports_no_decoder_and_no_decrypter() -> None:
    """Where the keys are, the application is not."""
    loaded = modules_after("play", "--help")
    assert "drm.app.session_proxy" in loaded
    assert not {"av", "drm.cenc.decrypt", "drm.pmp", "ita", "flask"} & loaded


# ------------------------------------------------------------------------------------------------ files to write
@pytest.mark.parametrize(
    "words",
    [
        ["keys", "new", "-o"],
        ["pssh", "make", "--kid", "00112233445566778899aabbccddeeff", "-o"],
        ["play", "--framemd5"],
        ["inspect", "--svg"],
    ],
    ids=" ".join,
)
def test_a_file_that_cannot_be_begun_is_named(clearkey, tmp_path: Path, clips, words: list[str]) -> None:
    more = [clips()] if words[0] in {"play", "inspect"} else []
    ran = clearkey(*words, tmp_path / "no" / "out", *more)
    assert ran.code == 2
    assert f"error: cannot write {tmp_path}/no/out: there is no folder {tmp_path}/no" in ran.err
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------ help and usage
@pytest.mark.parametrize("verb", ["", *_VERBS, *(f"keys {verb}" for verb in KEYS_VERBS),
                                  *(f"components {verb}" for verb in COMPONENTS_VERBS)])  # fmt: skip
def test_help_of_every_verb(clearkey, verb: str) -> None:
    ran = clearkey(*verb.split(), "--help")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    assert ran.out.startswith(f"Usage: {f'clearkey {verb}'.strip()} ")
    assert max(map(len, ran.out.splitlines())) <= 120


def test_help_names_every_verb(clearkey) -> None:
    listed = re.findall(r"^  ([\w-]+) ", clearkey("--help").out.partition("Verbs:")[2], re.MULTILINE)
    assert listed == list(_VERBS)
    assert set(listed) >= {"demo", "play", "serve", "keys", "inspect", "digest", "components", "doctor"}


def test_the_version_is_that_of_the_distribution(clearkey) -> None:
    assert clearkey("--version").out.strip().endswith(version("clearkey"))


@pytest.mark.parametrize("words", [
    ["paly"], ["--nonsense"], ["play"], ["play", "--nonsense", "a.mp4"], ["keys", "nonsense"], ["digest"],
    ["play", "--min-level", "9", "a.mp4"], ["serve", "--port", "99999"], ["components", "nonsense"],
    ["components", "list", "a.mp4"],
], ids=" ".join)  # fmt: skip
def test_a_slip_in_the_command_line_is_exit_2_and_goes_to_stderr(clearkey, words: list[str]) -> None:
    ran = clearkey(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert "Error: " in ran.err or "error: " in ran.err
    assert "Traceback" not in ran.err


# ------------------------------------------------------------------------------------------------ data and words
def test_data_goes_to_stdout_and_errors_to_stderr(clearkey, own_vectors) -> None:
    film = own_vectors / "generated" / "pk_cenc_iv8_v.mp4"
    good = clearkey("inspect", "--json", film)
    assert (good.code, good.err) == (0, "")
    assert good.out.startswith("{")
    bad = clearkey("digest", "--json", film)
    assert (bad.code, bad.out) == (4, "")
    assert bad.err.startswith("error: ")


def test_a_reader_that_goes_away_is_no_failure(clearkey, own_vectors) -> None:
    """As `clearkey inspect FILE | head -1` does it."""
    film = own_vectors / "generated" / "pk_cenc_iv8_v.mp4"
    (kid, key) = ("10000000100010001000100000000001", "3a2a1b68dd2bd9b2eeb25e84c4776668")
    for words in (["inspect", film], ["play", film, "--key", f"{kid}:{key}", "--framemd5", "-"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            run = subprocess.run([clearkey.path, *map(str, words)], check=False, stdout=writer, text=True,
                                 stderr=subprocess.PIPE, env=clearkey.environment, timeout=30)  # fmt: skip
        finally:
            os.close(writer)
        assert "Traceback" not in run.stderr
        assert "error: " not in run.stderr, run.stderr
        assert run.returncode == 0, run.stderr


def test_a_standard_output_that_is_closed_is_told(clearkey, own_vectors) -> None:
    film = own_vectors / "generated" / "pk_cenc_iv8_v.mp4"
    shell = ["sh", "-c", 'exec "$0" play "$1" --framemd5 - >&-', clearkey.path, str(film)]
    run = subprocess.run(shell, check=False, capture_output=True, text=True, env=clearkey.environment, timeout=30)
    assert run.returncode == 2
    assert "Traceback" not in run.stderr
    assert run.stderr.startswith("error: there is no standard output")


# ------------------------------------------------------------------------------------------------ the demo
@pytest.fixture(scope="module")
def demo(clearkey, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("demo")
    return folder, clearkey("demo", "--output", folder)


def test_the_demo_ends_by_itself_and_well(demo) -> None:
    _folder, ran = demo
    assert ran.code == 0, ran.err
    assert without_remarks(ran.err) == []
    assert 4 <= len(ran.out.splitlines()) <= 12
    assert "615 frames, all equal to the clear original" in ran.out
    assert re.search(r"license: +sealed", ran.out)
    assert re.search(r"isolation level [12] ", ran.out)


def test_every_file_that_the_demo_names_is_there(demo) -> None:
    _folder, ran = demo
    named = [Path(found) for found in re.findall(r"(/\S+\.(?:mp4|png|html))", ran.out)]
    assert len(named) == 3
    assert [path for path in named if not path.is_file()] == []


def test_the_demo_leaves_a_page_that_loads_nothing(demo) -> None:
    folder, _ran = demo
    page = (folder / "demo" / "index.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page, "the contact sheet"
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    for word in ("SESSION_STARTED", "LICENSE_ACQUISITION_COMPLETED", "SESSION_ENDED", "seccomp", "landlock", "moof",
                 "senc", "sealed"):  # fmt: skip
        assert word in page, word
    assert (folder / "demo" / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_leaves_no_key_in_what_it_shows(demo) -> None:
    """The keys are published demo keys; even so, the page must not have them."""
    folder, ran = demo
    shown = ran.out + (folder / "demo" / "index.html").read_text(encoding="utf-8")
    keys = parse_keys_file((folder / "sample" / "keys.json").read_bytes())
    assert not [kid for kid, key in keys.items() if key.secret.hex() in shown.lower()]
    assert any(str(kid) in shown for kid in keys), "the control: the KIDs are there"


def test_the_demo_over_again_is_as_good(clearkey, demo) -> None:
    folder, _ran = demo
    ran = clearkey("demo", "--output", folder)
    assert ran.code == 0, ran.err
    assert "all equal" in ran.out
