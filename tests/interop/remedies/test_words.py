"""Every command, program, environment variable and page that the product's texts name is there."""

from __future__ import annotations

import re
import shutil
import tomllib

import pytest

from tests.interop.remedies.command_words import Mention, fault, mentions
from tests.interop.remedies.words import ROOT, Text, classes, remedies, texts

MENTIONS = sorted({(mention, text.path) for text in texts() for mention in mentions(text.words)}, key=str)
_VARIABLE = re.compile(r"\bCLEARKEY_[A-Z_]*[A-Z]\b")
_PAGE = re.compile(r"\bdocs/[a-z/-]+\.md\b")
_PROGRAM = re.compile(r"(?:^|: |`|; )(ffmpeg|curl|openssl|head|chmod|iconv|python|lslocks|ls|dmesg|pip) ")
_NAME = re.compile(r"`([A-Z][A-Za-z]+)(?:\.([a-z_]+))?(?:\([^`]*\))?`")


@pytest.mark.parametrize(
    ("mention", "path"), MENTIONS, ids=lambda value: " ".join(value.words) if isinstance(value, Mention) else ""
)
def test_the_command_line_takes_each_command(mention: Mention, path: str) -> None:
    assert fault(mention) == "", path


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("`clearkey inspct FILE`", "no verb"),
        ("`clearkey keys lst`", "no verb"),
        ("`clearkey inspect FILE --box`", "no option"),
        ("`clearkey inspect`", ""),
        ("make it: clearkey keys new -o keys.json --form jwk", "no option"),
        ("make it: clearkey pssh insert FILE -o", "requires an argument"),
        ("make it: clearkey pssh insert FILE", "missing"),
        ("clearkey decrypt takes it", ""),
    ],
)
def test_a_wrong_command_would_be_seen(words: str, why: str) -> None:
    (mention,) = mentions(words)
    assert why in fault(mention) if why else fault(mention) == ""


def test_many_commands_are_named() -> None:
    assert len(MENTIONS) > 100


# ------------------------------------------------------------------------------------------------ what else is named
def _in_remedies(pattern: re.Pattern[str]) -> dict[str, Text]:
    return {found.group(0): text for text in remedies() for found in pattern.finditer(text.words)}


@pytest.mark.parametrize("page", sorted({page for text in texts() for page in _PAGE.findall(text.words)}))
def test_each_page_is_there(page: str) -> None:
    assert (ROOT / page).is_file()


@pytest.mark.parametrize("variable", sorted(_in_remedies(_VARIABLE)))
def test_each_variable_is_read(variable: str) -> None:
    """It stands alone, as a string, where a program asks for it; CLEARKEY_SERVE_… come of the options."""
    assert any(text.words == variable for text in texts())


@pytest.mark.parametrize(
    "program", sorted({name for text in remedies() for name in _PROGRAM.findall(text.words)} - {"pip"})
)
def test_each_program_is_one(program: str) -> None:
    assert shutil.which(program), f"{program} is not installed here"


def test_what_pip_is_told_to_install_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {found for text in remedies() for found in re.findall(r"pip install '?([a-z]+(?:\[[a-z]+\])?)", text.words)}
    assert named == {project["name"], *(f"{project['name']}[{each}]" for each in ("postgres",))}
    assert "postgres" in project["optional-dependencies"]


@pytest.mark.parametrize("name", sorted(_in_remedies(_NAME)))
def test_each_class_and_method_is_there(name: str) -> None:
    found = _NAME.fullmatch(name)
    assert found is not None
    known = classes()
    assert found[1] in known, f"there is no class {found[1]}"
    assert found[2] is None or found[2] in known[found[1]]
