"""The samples: the same bytes every time, and each what its recipe says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import av
import pytest

from drm.cenc.decrypt import SampleDecrypter
from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError
from drm.isobmff.samples import open_presentation
from drm.license.clearkey import parse_jwk_set
from drm.media import Scheme
from sample_content.maker import SampleFile, make_samples
from sample_content.recipes import DEMO, RECIPES

ENCRYPTED = [name for name, recipe in RECIPES.items() if recipe.scheme]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SampleFile]:
    return {sample.name: sample for sample in make_samples(tmp_path_factory.mktemp("samples"))}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def by_ffmpeg(path: Path, keys: str = "") -> dict[str, list[tuple[int | None, int | None, bytes]]]:
    found: dict[str, list[tuple[int | None, int | None, bytes]]] = {}
    with av.open(str(path), options={"decryption_keys": keys} if keys else {}) as file:
        for packet in file.demux():
            if packet.size:
                found.setdefault(packet.stream.type, []).append((packet.pts, packet.dts, bytes(packet)))
    return found


def test_another_process_makes_the_same_bytes(samples: dict[str, SampleFile], tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "sample_content", tmp_path], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.count("\n") == len(RECIPES) == run.stdout.count("  made")
    for sample in samples.values():
        assert sha256(tmp_path / sample.path.name) == sha256(sample.path), sample.name


@pytest.mark.parametrize("name", ENCRYPTED)
def test_ffmpeg_reads_every_packet_of_the_clear_original(samples: dict[str, SampleFile], name: str) -> None:
    sample = samples[name]
    keys = ":".join(f"{kid.hex}={key.secret.hex()}" for kid, key in sample.keys.items())
    clear = by_ffmpeg(sample.clear)
    assert by_ffmpeg(sample.path, keys) == clear
    assert len(clear["video"]) == 240
    assert any(pts != dts for pts, dts, _ in clear["video"]), "no B-frames"
    hidden = by_ffmpeg(sample.path)
    assert all(hidden[kind] != clear[kind] for kind in clear)


@pytest.mark.parametrize("name", ENCRYPTED)
def test_our_reader_finds_what_the_recipe_says(samples: dict[str, SampleFile], name: str) -> None:
    sample, recipe = samples[name], RECIPES[name]
    with SourceFile(sample.path) as source, SourceFile(sample.clear) as original:
        opened, clear = open_presentation(source), open_presentation(original)
        assert opened.is_fragmented == recipe.clip.fragmented
        assert [set(box.key_ids) for box in opened.pssh] == [set(sample.keys)]
        assert [track.codec for track in opened.tracks] == ["avc1", "mp4a"]
        assert opened.tracks[0].key_ids != opened.tracks[1].key_ids
        for track, other in zip(opened.tracks, clear.tracks, strict=True):
            assert track.scheme == recipe.scheme
            assert track.edits == other.edits != ()
            pairs = list(zip(opened.samples(track.track_id), clear.samples(other.track_id), strict=True))
            lead = track.timescale * recipe.clear_lead if track.type == "video" else 0
            for mine, its in pairs:
                assert (mine.crypto is None) == (mine.dts < lead)
                data = memoryview(source.read(mine.offset, mine.size))
                if mine.crypto:
                    SampleDecrypter(sample.keys[mine.crypto.key_id]).decrypt_into(data, mine.crypto, data)
                assert data == original.read(its.offset, its.size)
            assert (mine.dts, mine.cts_offset, mine.duration) == (its.dts, its.cts_offset, its.duration)


def test_one_sample_has_a_clear_lead_and_all_schemes_and_layouts_are_there() -> None:
    made = {(recipe.scheme, recipe.clip.fragmented) for recipe in RECIPES.values()}
    assert made == {(scheme, layout) for scheme in (None, Scheme.CENC, Scheme.CBCS) for layout in (True, False)}
    assert any(recipe.clear_lead for recipe in RECIPES.values())
    assert RECIPES[DEMO].scheme


def test_the_keys_file_is_a_license_for_every_sample(samples: dict[str, SampleFile]) -> None:
    keys = parse_jwk_set(samples[DEMO].keys_file.read_bytes())
    for sample in samples.values():
        assert {kid: keys[kid] for kid in sample.keys} == sample.keys
    assert len(keys) == 2 * len(ENCRYPTED)


def test_work_that_is_done_is_not_done_again_and_damage_is_repaired(
    samples: dict[str, SampleFile], tmp_path: Path
) -> None:
    first = make_samples(tmp_path, [DEMO])
    assert [sample.name for sample in first] == ["fragmented_clear", DEMO]
    assert all(sample.was_made for sample in first)
    assert not any(sample.was_made for sample in make_samples(tmp_path, [DEMO]))
    first[1].path.write_bytes(first[1].path.read_bytes()[:-1])
    assert [sample.was_made for sample in make_samples(tmp_path, [DEMO])] == [False, True]
    assert sha256(first[1].path) == sha256(samples[DEMO].path)
    ledger = tmp_path / "recipes.json"
    told = json.loads(ledger.read_bytes())
    told[DEMO]["recipe"] = "another"
    ledger.write_text(json.dumps(told))
    assert [sample.was_made for sample in make_samples(tmp_path, [DEMO])] == [False, True]
    ledger.write_text("[")
    assert all(sample.was_made for sample in make_samples(tmp_path, [DEMO]))


def test_an_unknown_sample_is_refused_with_the_known_names(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no sample 'holiday'") as refused:
        make_samples(tmp_path, ["holiday"])
    assert DEMO in refused.value.remedy
    run = subprocess.run(
        [sys.executable, "-m", "sample_content", tmp_path, "--only", "holiday"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == 2
    assert run.stderr.startswith("error: there is no sample 'holiday'")
    assert "Traceback" not in run.stderr
