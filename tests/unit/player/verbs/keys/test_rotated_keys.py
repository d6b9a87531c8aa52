"""A wrong key that rotates in is named before a frame of it is shown, by `keys check` and in mid-play."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drm.keys import KeyId

OWN = Path(__file__).parents[4] / "data" / "vectors"
VECTORS: dict[str, Any] = {each["id"]: each for each in json.loads((OWN / "vectors.json").read_text())["vectors"]}
NAMES = ["gp_roll_frag_v", "gp_roll_prog_v", "pk_cbcs_rot_v", "pk_cenc_rot_a"]
WRONG = "5a" * 16


def run(name: str, wrong: str, *verb: str) -> subprocess.CompletedProcess[str]:
    vector = VECTORS[name]
    told = [f"{key['kid']}:{WRONG if key['kid'] == wrong else key['key']}" for key in vector["keys"]]
    keys = [word for pair in told for word in ("--key", pair)]
    words = [sys.executable, "-m", "player.cli", *verb, str(OWN / vector["files"][0]["path"]), *keys]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", NAMES)
def test_each_kid_is_checked_where_its_samples_begin(name: str) -> None:
    first, second, *_ = VECTORS[name]["tracks"][0]["kids"]
    assert run(name, "", "keys", "check").returncode == 0
    assert run(name, "", "play").returncode == 0
    for verb in (["keys", "check"], ["play"]):
        for kid in (first, second):
            ran = run(name, kid, *verb)
            assert ran.returncode == 5, ran.stderr
            assert f"wrong key for KID {KeyId.parse(kid)}" in ran.stderr
            if verb == ["play"] and kid == second:
                assert "s after the start" in ran.stderr, "only there was it looked at"
