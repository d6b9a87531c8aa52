"""Each example on the page on keys files gives the page's one key, and each form that it names is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drm.keyfile.formats import parse_key_entries
from drm.keyfile.writing import WRITERS

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "keys-files.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```(?:json|text|xml)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_is_read(text: str) -> None:
    assert {key.secret.hex() for _, _, key in parse_key_entries(text.encode())} == {"f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"}


def test_the_page_has_every_form() -> None:
    assert len(EXAMPLES) == 11
    assert set(re.findall(r"\| `([a-z][a-z.-]+)` \|$", PAGE, re.MULTILINE)) == set(WRITERS)
