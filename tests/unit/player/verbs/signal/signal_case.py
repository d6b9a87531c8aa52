"""A folder of manifests that people had trouble with, copied, and `clearkey signal` over what is in it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from drm.errors import DRMError
from drm.keys import KeyId
from player.verbs.signal.run import SignalRequest, signal

__all__ = ["FIELD", "URL", "A", "Case", "M", "V", "against", "answers", "case", "of"]

FIELD = Path(__file__).parents[4] / "data" / "field"
URL = "https://licenses.example.test/license"
V = KeyId.parse("00112233-4455-6677-8899-aabbccddeeff")  # of manifest_kid's pictures
A = KeyId.parse("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")  # of its sound
M = KeyId.parse("6e2eabb8-5035-a404-d04f-169c971e303b")  # of the other folders


class Case:
    """A folder of the field's, copied, and the command over what is in it."""

    def __init__(self, folder: Path, capsysbinary: Any) -> None:
        self.folder = folder
        self._capture = capsysbinary

    def path(self, name: str) -> Path:
        return self.folder / name

    def put(self, name: str, text: str) -> str:
        self.path(name).write_text(text)
        return name

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def check(self, name: str, **words: Any) -> tuple[int, dict[str, Any]]:
        """`signal --check --json`: the exit code, and what was printed."""
        self._capture.readouterr()
        code = signal(SignalRequest(manifest=str(self.path(name)), check=True, as_json=True, **words))
        return code, json.loads(self._capture.readouterr().out)

    def mend(self, name: str, output: str = "out", **words: Any) -> tuple[int, dict[str, Any]]:
        """`signal --license-url … -o output --json`, likewise."""
        self._capture.readouterr()
        if "kid" in words:
            words["kid"] = str(words["kid"])
        request = SignalRequest(
            manifest=str(self.path(name)), output=str(self.path(output)), license_url=URL, as_json=True, **words
        )
        code = signal(request)
        return code, json.loads(self._capture.readouterr().out)

    def refused(self, name: str, **words: Any) -> DRMError:
        """The same where it is an error, after which nothing was written."""
        with pytest.raises(DRMError) as caught:
            self.mend(name, **words)
        assert not self.path("out").exists()
        return caught.value


@pytest.fixture
def case(tmp_path: Path, capsysbinary: Any, request: pytest.FixtureRequest) -> Case:
    shutil.copytree(FIELD / request.param, tmp_path / "case")
    return Case(tmp_path / "case", capsysbinary)


def of(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [folder], indirect=True, ids=[folder])


def answers(told: dict[str, Any]) -> dict[str, str]:
    return {each["player"]: each["answer"] for each in told["verdicts"]}


def against(told: dict[str, Any]) -> dict[str, str]:
    """Of each question that was answered with no: the evidence and the likely cause."""
    return {each["id"]: f"{each['evidence']}; {each['maybe']}" for each in told["findings"] if each["answer"] == "no"}
