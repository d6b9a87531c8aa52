"""`clearkey inspect`: what a file says about itself, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from drm.app.byte_stream import FileByteStream
from drm.errors import DRMError
from drm.isobmff.samples import open_presentation
from player.verbs.inspect import command
from player.verbs.inspect.box_listing import list_boxes

MANIFEST = Path(__file__).parents[2] / "data" / "vectors" / "vectors.json"
MP4 = [v for v in json.loads(MANIFEST.read_text())["vectors"] if v["container"] == "mp4" and "multi" not in v["id"]]


def run(*words: object) -> str:
    ran = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def report(*words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--json", *words))
    return found


@pytest.mark.parametrize("vector", MP4, ids=lambda vector: vector["id"])
def test_tracks_keys_and_counts_are_those_of_the_manifest(own_vectors: Path, vector: dict[str, Any]) -> None:
    files = [own_vectors / file["path"] for file in vector["files"]]
    found = {track["track_id"]: track for track in report("--no-boxes", *files)["tracks"]}
    for wanted in vector["tracks"]:
        track = found[wanted["track_id"]]
        assert (track["type"], track["scheme"], track["samples"]) == (
            wanted["type"], wanted["scheme"], wanted["samples"],
        )  # fmt: skip
        assert track["bytes"] == wanted["bytes"]
        assert [entry if "/" in entry else f"{entry}/" for entry in track["sample_entries"]] == wanted["sample_entry"]
        used = {kid["hex"] for kid in track["kids"] if kid["samples"]}
        assert used == set(wanted["kids"])
        if wanted["samples_encrypted"] is not None:
            assert track["samples_encrypted"] == wanted["samples_encrypted"]
            assert track["samples_clear"] == wanted["samples_clear"]


def test_clear_lead_iv_pattern_and_kid_notations(own_vectors: Path) -> None:
    found = report(own_vectors / "generated" / "pk_cbcs_clearlead_v.mp4")
    assert (found["schema"], found["version"]) == ("clearkey-inspect", 1)
    track = found["tracks"][0]
    assert track["clear_lead"] == {"samples": 24, "seconds": 1.0}
    assert track["seconds"] == 3.0
    protection = track["protections"][0]
    assert protection["pattern"] == "1:9"
    assert (protection["iv_size"], protection["constant_iv"]) == (0, "ee0102030405060708090a0b0c0d0e0f")
    assert track["kids"] == [
        {
            "uuid": "10000000-1000-1000-1000-100000000001",
            "hex": "10000000100010001000100000000001",
            "base64url": "EAAAABAAEAAQABAAAAAAAQ",
            "samples": 48,
        }
    ]
    assert found["pssh"][0]["system"] == "W3C common"


def test_the_text_says_it_plainly(own_vectors: Path) -> None:
    clear = run("--no-boxes", own_vectors / "clear" / "src_avc_aac.mp4")
    assert clear.splitlines()[1] == "not encrypted"
    assert clear.count("  not encrypted") == 2
    text = run(own_vectors / "generated" / "pk_cenc_rot_v.mp4")
    assert "scheme cenc" in text
    assert "no clear lead" in text
    assert text.splitlines()[1] == "encrypted: cenc, 2 keys, rotating; nothing wrong"
    tenc = next(line for line in text.splitlines() if " tenc " in line)
    assert tenc.startswith("*")
    assert "KID 00000000-0000-0000-0000-000000000000" in tenc
    assert next(line for line in text.splitlines() if " mdat " in line).startswith(" ")
    assert " mvhd " not in text
    assert " mvhd " in run("--boxes", own_vectors / "generated" / "pk_cenc_rot_v.mp4")


def test_fragments_alike_are_told_once_and_those_under_another_key_are_not_alike(own_vectors: Path) -> None:
    def folded(name: str) -> tuple[int, int]:
        with FileByteStream(own_vectors / "generated" / name) as stream:
            boxes = list(list_boxes(stream))
        return sum(box.type == "moof" for box in boxes), sum(box.alike for box in boxes)

    assert folded("pk_cenc_iv8_v.mp4") == (1, 2)
    shown, alike = folded("pk_cenc_rot_a.mp4")
    assert shown + alike == 3
    assert shown == 3


def test_a_broken_file_is_shown_as_far_as_it_goes_and_then_refused(own_vectors: Path, tmp_path: Path) -> None:
    whole = (own_vectors / "generated" / "pk_cenc_iv8_a.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[:-100])
    ran = CliRunner().invoke(command, [str(cut), "--json"])
    assert isinstance(ran.exception, DRMError)
    assert ran.exception.exit_code == 3
    track = json.loads(ran.stdout)["tracks"][0]
    assert 0 < track["samples"] < 142
    assert track["error"]["code"] == "E-MEDIA-TRUNCATED"


def test_every_key_of_a_group_of_several_is_named(own_vectors: Path) -> None:
    ran = CliRunner().invoke(command, [str(own_vectors / "generated" / "gp_multikey_prog_v.mp4"), "--json"])
    video, audio = json.loads(ran.stdout)["tracks"]
    assert (video["samples_encrypted"], audio["samples_encrypted"]) == (72, 0)
    for kid in ("10000000-1000-1000-1000-100000000001", "30000000-3000-3000-3000-300000000003"):
        assert kid in ran.stdout


PARSE_ONLY = [
    "sp_sintel_video",
    "spe_encrypted_key_rotation",
    "bipbop_cbcs_audio_init",
    "bipbop_cbcs_video_init",
    "androidx_sample_fragmented_widevine",
]


@pytest.mark.parametrize("name", PARSE_ONLY)
def test_files_whose_keys_nobody_published_are_read_all_the_same(vectors_folder: Path, name: str) -> None:
    manifest = json.loads((vectors_folder / "vectors.json").read_text())["parse_only"]
    wanted = next(each for each in manifest if each["id"] == name)
    with FileByteStream([vectors_folder / file for file in wanted["files"]]) as stream:
        presentation = open_presentation(stream)
        boxes = {
            (box.system_id.value.hex(), box.version, *(kid.hex for kid in box.key_ids)) for box in presentation.pssh
        }
        assert boxes == {(box["system_id"], box["version"], *box["kids"]) for box in wanted["pssh"]}
        for told in wanted["tracks"]:
            samples = list(presentation.samples(told["track"]))
            protections = presentation.tracks[told["track"] - 1].protections
            assert [p.scheme if p else "" for p in protections] == told["schemes"]
            assert [p.key_id.hex if p else None for p in protections] == [t and t["kid"] for t in told["tenc"]]
            assert len(samples) == told["samples"]
            assert sum(s.crypto is not None for s in samples) == told["encrypted"]
            assert list(dict.fromkeys(s.crypto.key_id.hex for s in samples if s.crypto)) == told["kids_in_order"]
