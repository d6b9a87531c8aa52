"""What each program writes in each of its modes, ours among them: no fault is found in it, and no right key refused.

The faults that are true are listed, and asserted as well: a peer that mends one shows here.
"""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from drm.decrypting.file import decrypt_file
from drm.encrypting.settings import TrackEncryption
from drm.errors import DRMError
from drm.keys import ContentKey, KeyId
from drm.media import Scheme
from drm.packaging.package import package_file
from drm.session.key_check import KeyOutcome
from player.verbs.inspect import command
from player.verbs.keys.check_file import verdicts
from tests.interop.peers import sealed, writers
from tests.interop.peers.clips import FRAGMENTED, PROGRESSIVE, Clips
from tests.interop.peers.programs import PeerError, Program

TRUE = {
    "ffmpeg 5, cenc, in fragments, *": {"damaged"},  # it writes no encryption data there, and none for AV1
    "ffmpeg 5, cenc, av1, progressive": {"damaged"},
    "ffmpeg *, cenc, in fragments, avc+aac, *": {"senc-surplus"},  # entries of earlier fragments are carried along
    "PyAV, cenc, in fragments, avc+aac, *": {"senc-surplus"},
    "ffmpeg *, cenc, *hevc, *": {"headers-encrypted"},  # of a header's two bytes it leaves one clear
}


def faults(*files: Path) -> set[str]:
    ran = CliRunner().invoke(command, ["--json", "--no-boxes", *map(str, files)])
    report = json.loads(ran.stdout)
    assert report["encrypted"]
    return {found["code"] for found in report["findings"] if found["level"] == "fault"}


def refused(files: list[Path], keys: dict[str, str]) -> list[str]:
    """What `keys check` has against a file with its right keys."""
    held = {KeyId.parse(kid): ContentKey.parse(key) for kid, key in keys.items()}
    checked = verdicts([str(path) for path in files], held)
    assert any(verdict.outcome is KeyOutcome.RIGHT for verdict in checked.verdicts)
    said = [f"{verdict.key_id}: {verdict.seen}" for verdict in checked.verdicts if verdict.failed]
    try:
        checked.raise_for_status(str(files[0]))
    except DRMError as error:
        said.append(error.render())
    return said


@pytest.mark.parametrize("case", sealed.CASES, ids=lambda case: case.name)
def test_what_we_encrypt(clips: Clips, tmp_path: Path, case: sealed.Case) -> None:
    path, _, keys = case.encrypt(clips, tmp_path)
    assert faults(path) == set()
    assert refused([path], keys) == []


@pytest.mark.parametrize("case", writers.CASES, ids=lambda case: case.name)
def test_what_peers_encrypt(programs: dict[str, Program], clips: Clips, tmp_path: Path, case: writers.Case) -> None:
    if case.program not in programs:
        pytest.skip(f"peer not on PATH: {case.program}")
    clip, path = case.clip(clips), tmp_path / case.file_name
    try:
        case.make(programs[case.program], clip, path)
    except PeerError as error:
        pytest.fail(f"cannot write it: {error}")
    known = next((codes for name, codes in TRUE.items() if fnmatch.fnmatchcase(case.name, name)), set())
    assert faults(path) == known
    if "damaged" not in known and not case.dialects:
        assert refused([path], case.keys(clip)) == []


@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CBCS])
@pytest.mark.parametrize("codec", ["avc+aac", "hevc", "av1", "vp9", "opus"])
def test_what_we_package(clips: Clips, tmp_path: Path, codec: str, scheme: Scheme) -> None:
    clip = clips(codec, PROGRESSIVE)
    keys = {kid: key for kid, key, _ in (sealed.KEYS[kind] for kind in clip.kinds)}
    pairs = [TrackEncryption(KeyId.parse(kid), ContentKey.parse(key)) for kid, key in keys.items()]
    package_file(
        clip.path,
        tmp_path,
        scheme=scheme,
        tracks=lambda tracks: {each.track_id: pair for each, pair in zip(tracks, pairs, strict=True)},
        license_url="http://localhost:8000/license",
        segment_seconds=1.0,
    )
    for kind in clip.kinds:
        path = tmp_path / f"{kind}.mp4"
        assert faults(path) == set()
        assert refused([path], keys) == []


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("layout", [FRAGMENTED, PROGRESSIVE])
def test_what_we_decrypt(clips: Clips, tmp_path: Path, layout: str, scheme: Scheme) -> None:
    """Nothing of the encryption is left in a clear file."""
    path, _, keys = sealed.Case("avc+aac", layout, scheme).encrypt(clips, tmp_path)
    clear = tmp_path / "clear.mp4"
    decrypt_file(path, clear, {KeyId.parse(kid): ContentKey.parse(key) for kid, key in keys.items()})
    report = json.loads(CliRunner().invoke(command, ["--json", "--no-boxes", str(clear)]).stdout)
    assert not report["encrypted"]
    assert report["findings"] == report["unjudged"] == report["warnings"] == []


def test_segments_as_shaka_packager_writes_them(programs: dict[str, Program], clips: Clips, tmp_path: Path) -> None:
    if "packager" not in programs:
        pytest.skip("peer not on PATH: packager")
    kid, key, _ = sealed.KEYS["video"]
    programs["packager"].run(
        f"in={clips('avc', PROGRESSIVE).path},stream=video,init_segment={tmp_path}/init.mp4,"
        f"segment_template={tmp_path}/$Number$.m4s", "--quiet", "--enable_raw_key_encryption",
        "--keys", f"label=:key_id={kid}:key={key}", "--segment_duration", "1", "--clear_lead", "0",
        makes=tmp_path / "init.mp4",
    )  # fmt: skip
    files = [tmp_path / "init.mp4", *sorted(tmp_path.glob("*.m4s"))]
    assert len(files) > 3
    assert faults(*files) == set()
    assert faults(files[0], *files[2:]) == set()  # some of them, as players fetch them
    assert refused(files, {kid: key}) == []
