"""`clearkey explain`: every code has an entry, found by each of its names, and the wrong word finds help."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from drm.errors import InvalidArgumentError, KeyWrongError, error_classes
from drm.hresult import HResult
from player.verbs.explain import command, entries, entries_of
from tests.interop.command import Command, is_one_paragraph
from tests.unit.player.test_cli import modules_after

PAGE = Path(__file__).parents[4] / "docs" / "reference" / "errors.md"


@pytest.fixture(scope="module")
def clearkey(tmp_path_factory: pytest.TempPathFactory) -> Command:
    return Command(tmp_path_factory.mktemp("clearkey-home"))


def said(*words: str) -> str:
    ran = CliRunner().invoke(command, list(words), catch_exceptions=False, standalone_mode=False)
    assert ran.exception is None
    return ran.stdout


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


# ------------------------------------------------------------------------------------------------ what is found
def test_the_command_prints_an_entry(clearkey: Command) -> None:
    ran = clearkey("explain", "E-KEY-WRONG")
    assert (ran.code, ran.err) == (0, "")
    assert flat(ran.out).startswith("E-KEY-WRONG means The key given for a KID does not decrypt the media: ")
    assert f" try {KeyWrongError.advice} class KeyWrongError HRESULT 0xC00D36E2 MF_E_INVALID_KEY " in flat(ran.out)
    assert flat(ran.out).endswith("exit code 5, key wrong ")
    assert max(map(len, ran.out.splitlines())) <= 110, "the command is told of 120 columns"


@pytest.mark.parametrize("code", error_classes())
def test_page_and_command_say_the_same_of_each_code(code: str) -> None:
    (section,) = re.findall(rf"^### {code}\n(.*?)(?=^##)", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    entry = flat(said(code))
    kind = error_classes()[code]
    for part in (kind.advice, kind.__name__, f"0x{int(kind.default_hresult):08X}", str(int(kind.exit_code))):
        assert part in flat(section)
        assert part in entry
    meaning = entry.partition(" means ")[2].partition(" try ")[0]
    assert meaning in section
    assert flat(kind.__doc__ or "").startswith(meaning)


@pytest.mark.parametrize(
    "word",
    ["E-KEY-WRONG", "e-key-wrong", " [E-KEY-WRONG] ", "KeyWrongError", "keywrongerror", "KeyWrong", "0xC00D36E2",
     "0xc00d36e2", "C00D36E2", "MF_E_INVALID_KEY", "mf_e_invalid_key"],
)  # fmt: skip
def test_each_way_to_name_an_error(word: str) -> None:
    assert [entry.code for entry in entries_of(word)] == ["E-KEY-WRONG"]


def test_an_hresult_of_several_errors_gives_all_of_them() -> None:
    kinds = {code for code, kind in error_classes().items() if kind.default_hresult == HResult.MF_E_INVALIDREQUEST}
    assert len(kinds) > 2
    assert {entry.code for entry in entries_of("0xC00D36B2")} == kinds
    assert said("0xC00D36B2").count("\n\n") == len(kinds) - 1


def test_the_hresult_of_an_http_status_is_known() -> None:
    assert [entry.code for entry in entries_of("0x80190194")] == ["E-UPDATE-HTTP"]


# ------------------------------------------------------------------------------------------------ lists
def test_without_a_word_all_codes_a_line_each(clearkey: Command) -> None:
    ran = clearkey("explain")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split()[0] for line in ran.out.splitlines()] == sorted(error_classes())
    assert all(len(line.split()) > 3 for line in ran.out.splitlines())


@pytest.mark.parametrize("words", [(), ("E-KEY-WRONG",), ("0xC00D36B2",)])
def test_as_json(words: tuple[str, ...]) -> None:
    found = json.loads(said(*words, "--json"))["errors"]
    wanted = entries_of(words[0]) if words else entries()
    assert [each["code"] for each in found] == [each.code for each in wanted]
    for each in found:
        kind = error_classes()[each["code"]]
        assert each["class"] == kind.__name__
        assert each["try"] == kind.advice
        assert each["exit_code"] == kind.exit_code
        assert each["hresult"] == kind("").to_dict()["hresult"]
        assert each["hresult_name"] == kind("").to_dict()["hresult_name"]
        assert each["meaning"]


# ------------------------------------------------------------------------------------------------ what is not found
@pytest.mark.parametrize(
    ("word", "near"),
    [("E-KEY-WRNOG", "E-KEY-WRONG"), ("KEY-WRONG", "E-KEY-WRONG"), ("e-licence", "E-LICENSE"),
     ("revoked", "E-TRUST-REVOKED"), ("KeyWorngError", "E-KEY-WRONG"), ("MF_E_INVALIDKEY", "E-KEY-WRONG")],
)  # fmt: skip
def test_an_unknown_code_names_what_is_near(clearkey: Command, word: str, near: str) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        entries_of(word)
    assert near in error.value.maybe
    (advised,) = re.findall(r"clearkey explain (\S+)", error.value.remedy)
    assert entries_of(advised), "the command that is advised works"


def test_an_unknown_code_is_a_fault_of_usage(clearkey: Command) -> None:
    ran = clearkey("explain", "E-KEY-WRNOG")
    assert (ran.code, ran.out) == (2, "")
    assert is_one_paragraph(ran)
    assert "E-KEY-WRONG" in ran.err


@pytest.mark.parametrize(
    "word", ["", "?", "E-", "0x", "0xDEADBEEF", "MF_E_THINNING_UNSUPPORTED", "x" * 100_000, "\x1b[31m"]
)
def test_what_is_nothing_of_ours_is_refused_in_few_words(word: str) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        entries_of(word)
    assert "clearkey explain" in error.value.remedy
    assert len(error.value.render()) < 500
    assert "\x1b" not in error.value.render()


def test_it_costs_no_library() -> None:
    loaded = modules_after("explain", "E-KEY-WRONG")
    assert "player.verbs.explain" in loaded
    assert not {"av", "cryptography", "requests", "flask", "tuf", "sqlalchemy"} & loaded
