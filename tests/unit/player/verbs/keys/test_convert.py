"""`clearkey keys convert` and `import` with the files of other tools, as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from drm.keyfile.writing import WRITERS
from tests.unit.keyfile.specimens import KEY, KEY2, KID, OTHER, SPECIMENS, UUID

LINES = f"{KID}:{KEY}\n{OTHER}:{KEY2}\n"


def keys(*words: object, home: Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "player.cli", "keys", *map(str, words)],
        input=stdin, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "CLEARKEY_HOME": str(home)},
    )  # fmt: skip


@pytest.mark.parametrize("form", WRITERS)
def test_a_file_goes_into_a_tools_form_and_back(form: str, tmp_path: Path) -> None:
    (tmp_path / "gpac.xml").write_text(SPECIMENS["GPAC, as its own examples begin"][1])
    there = keys("convert", tmp_path / "gpac.xml", "--to", form, home=tmp_path)
    assert there.returncode == 0, there.stderr
    back = keys("convert", "-", "--to", "lines", home=tmp_path, stdin=there.stdout)
    assert (back.returncode, back.stdout) == (0, LINES)
    alone = keys("convert", KID, "--to", form, home=tmp_path)
    assert alone.returncode == 2
    assert "needs a KID and a key" in alone.stderr


def test_an_encrypted_cpix_document_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "keys.cpix").write_text(SPECIMENS["CPIX"][1].replace("s:PlainValue", "s:EncryptedValue"))
    done = keys("convert", tmp_path / "keys.cpix", "--to", "lines", home=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert f"read as a CPIX document: the key of KID {UUID} is encrypted" in done.stderr
    assert f"{tmp_path / 'keys.cpix'}, ContentKey in line 4" in done.stderr


def test_a_table_says_what_its_keys_are_for_on_standard_input_as_well(tmp_path: Path) -> None:
    table = f"kid;key;content;track\n{KID};{KEY};film;HD\n{OTHER};{KEY2};;\n"
    done = keys("import", "-", home=tmp_path, stdin=table)
    assert done.returncode == 0, done.stderr
    rows = json.loads(keys("list", "--json", home=tmp_path).stdout)["keys"]
    assert {(row["kid_hex"], row["content"], row["track"]) for row in rows} == {
        (KID, "film", "HD"),
        (OTHER, None, None),
    }
