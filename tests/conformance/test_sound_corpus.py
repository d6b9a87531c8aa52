"""The vectors, ours and other people's: `inspect` finds nothing in a sound one, and in each other what is known of it.

What is known was looked at file by file; a finding that is not listed here accuses somebody, and fails.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from player.verbs.inspect import command
from tests.conformance.test_vectors import FOREIGN, NAMES, OWN, PARSE_ONLY, Vector, manifest

MEDIA = {".mp4", ".m4s", ".webm", ".isma", ".ismv"}
KNOWN = {
    # FFmpeg gives both tracks one key and the same IVs, protects slices to their last byte, and carries entries along.
    "ff_cenc_frag_av": {"iv-reused", "senc-surplus", "unaligned"},
    "ff_cenc_prog_av": {"iv-reused", "unaligned"},
    "gp_noalign_prog_v": {"unaligned"},  # GPAC, told not to align
    "mp4ff_cbcs": {"kid-of-zeros"},
    "mp4ff_prog_8s_enc_dashinit": {"iv-reused"},
    "mp4parse_short_cenc": {"unaligned"},
    "spe_encrypted_key_rotation": {"pssh-twice"},  # two of Widevine in one movie box
    "sp_sintel_video": {"unaligned"},
    "androidx_subsample_encrypted_altref": {"unaligned"},
}
UNJUDGED = {"ff_cenc_frag_av": {"saiz-against-senc"}}  # of entries that are too many, sizes say nothing


def report(folder: Path, vector: Vector) -> dict[str, Any]:
    named = [file if isinstance(file, str) else file["path"] for file in vector["files"]]
    files = [str(folder / name) for name in named if Path(name).suffix in MEDIA]
    ran = CliRunner().invoke(command, ["--json", "--no-boxes", *files], catch_exceptions=False)
    assert ran.exit_code == 0
    found: dict[str, Any] = json.loads(ran.stdout)
    assert found["error"] is None
    assert all(track["samples"] for track in found["tracks"]) or vector["id"].startswith("bipbop")
    return found


def judged(folder: Path, vector: Vector) -> None:
    found, name = report(folder, vector), vector["id"]
    assert {each["code"] for each in found["findings"] if each["level"] != "info"} == KNOWN.get(name, set())
    assert {each["code"] for each in found["unjudged"]} == UNJUDGED.get(name, set())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FOREIGN])
def test_our_vectors(name: str) -> None:
    judged(OWN, manifest(OWN)[name])


@pytest.mark.parametrize("name", [*FOREIGN, *PARSE_ONLY])
def test_other_peoples_vectors(vectors_folder: Path, name: str) -> None:
    part = "parse_only" if name in PARSE_ONLY else "vectors"
    judged(vectors_folder, manifest(vectors_folder, part)[name])


def test_what_is_known_is_of_vectors_that_are_there() -> None:
    assert set(KNOWN) <= {*NAMES, *PARSE_ONLY}
