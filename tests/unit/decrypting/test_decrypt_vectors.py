"""Every encrypted MP4 of other tools, decrypted to a file: no keys are needed to read it, and its samples are right."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.cenc.dialect import Dialect
from drm.decrypting.fast.fragmented import decrypt_fast
from drm.decrypting.file import decrypt_file
from drm.decrypting.unmark_boxes import OddLayoutError
from drm.errors import KeyMissingError, UnsupportedMediaError
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks

OWN = Path(__file__).parents[2] / "data" / "vectors"
OWN_VECTORS: list[dict[str, Any]] = json.loads((OWN / "vectors.json").read_text())["vectors"]
FOREIGN = [
    "mp4ff_cbcs", "mp4ff_prog_8s_enc_dashinit", "mp4ff_piff_audio", "mp4ff_piff_wma",
    "androidx_sample_fragmented_clearkey", "mp4parse_short_cenc", "spe_encrypted_low", "spe_encrypted_low_cbcs",
    "sp_dash_clearkey", "sp_multidrm_video", "sp_clear_encrypted_video", "sp_hls_sample_aes",
]  # fmt: skip
NO_MP4 = {"pk_webm_opus_a", "pk_webm_vp8_v", "pk_webm_vp9_full_v", "pk_webm_vp9_v", "pk_hls_ts"}
MP4 = [vector for vector in OWN_VECTORS if vector["id"] not in NO_MP4]
# What the fast way must take: were it to refuse everything, all the tests of equality would still be green.
FAST = {
    "b4_mpeg-cbcs_av", "b4_mpeg-cenc_1track_av", "b4_mpeg-cenc_av", "b4_mpeg-cenc_iv8_av", "ff_cenc_prog_av",
    "gp_av1_ctr_prog_v", "gp_cbcs_2_8_frag_v", "gp_cbcs_piv_prog_v", "gp_cbcs_prog_av", "gp_cbcs_slices_prog_v",
    "gp_ctr16_prog_av", "gp_noalign_prog_v", "gp_nosenc_prog_v",
    "pk_cbcs_10_0_v", "pk_cbcs_1_9_v", "pk_cbcs_2_8_v", "pk_cbcs_a", "pk_cbcs_ac3_a", "pk_cbcs_clearlead_v",
    "pk_cbcs_hevc_v", "pk_cbcs_slices_v", "pk_cenc_av1_v", "pk_cenc_clearlead_v", "pk_cenc_iv16_v", "pk_cenc_iv8_a",
    "pk_cenc_iv8_v", "pk_cenc_slices_v", "pk_cenc_vp9_v", "pk_cencv1_v",
}  # fmt: skip
FFMPEG_REWRITES = {("mp4ff_cbcs", 2)}  # closed captions come out of its demuxer in another form


def media(folder: Path, vector: dict[str, Any]) -> list[Path]:
    return [folder / file["path"] for file in vector["files"] if not file["path"].endswith((".m3u8", ".bin"))]


def keys_of(vector: dict[str, Any]) -> dict[KeyId, ContentKey]:
    return {KeyId.parse(key["kid"]): ContentKey.parse(key["key"]) for key in vector["keys"] if key["kid"]}


def dialects_of(vector: dict[str, Any]) -> frozenset[Dialect]:
    return frozenset(map(Dialect, vector.get("needs_dialect") or ()))


def by_us(path: Path) -> dict[int, str]:
    with FileByteStream(path) as stream:
        found, _ = digest_tracks(stream, {}, frozenset())
        assert not any(track.is_protected for track in open_presentation(stream).tracks)
        assert not open_presentation(stream).pssh
    return {track.track_id: track.sha256 for track in found}


def by_ffmpeg(path: Path) -> dict[int, str]:
    found: dict[int, Any] = {}
    with av.open(str(path), options={"ignore_editlist": "1"}) as file:
        for packet in file.demux():
            if packet.size:
                found.setdefault(packet.stream.id, hashlib.sha256()).update(bytes(packet))
    return {track_id: digest.hexdigest() for track_id, digest in found.items()}


def check(folder: Path, vector: dict[str, Any], target: Path) -> None:
    """Decrypt it in every way, hold the ways equal, and read the output with our reader and with FFmpeg's."""
    sources, keys, dialects = media(folder, vector), keys_of(vector), dialects_of(vector)
    told = decrypt_file(sources, target, keys, dialects=dialects)
    assert told.is_encrypted
    written = target.read_bytes()
    for way in ({"fast": False}, {"jobs": 3}, {"jobs": 2, "fast": False}):
        decrypt_file(sources, target, keys, dialects=dialects, **way)
        assert target.read_bytes() == written, way
    assert len(written) == sum(path.stat().st_size for path in sources)
    wanted = {track["track_id"]: track["sha256"] for track in vector["tracks"]}
    assert by_us(target) == wanted
    rewritten = {track for name, track in FFMPEG_REWRITES if name == vector["id"]}
    read = by_ffmpeg(target)
    assert {track: read[track] for track in wanted if track not in rewritten} == {
        track: digest for track, digest in wanted.items() if track not in rewritten
    }


@pytest.mark.parametrize("vector", MP4, ids=lambda vector: vector["id"])
def test_our_own_vectors(tmp_path: Path, vector: dict[str, Any]) -> None:
    check(OWN, vector, tmp_path / "clear.mp4")


@pytest.mark.parametrize("name", FOREIGN)
def test_vectors_of_other_projects(vectors_folder: Path, tmp_path: Path, name: str) -> None:
    manifest = json.loads((vectors_folder / "vectors.json").read_text())["vectors"]
    check(vectors_folder, next(each for each in manifest if each["id"] == name), tmp_path / "clear.mp4")


@pytest.mark.parametrize("vector", MP4, ids=lambda vector: vector["id"])
def test_the_fast_way_takes_the_usual_and_leaves_the_rest(tmp_path: Path, vector: dict[str, Any]) -> None:
    sources = media(OWN, vector)
    target = tmp_path / "clear.mp4"
    secrets = {kid.value: key.secret for kid, key in keys_of(vector).items()}
    with sources[0].open("rb") as source, target.open("w+b") as out:
        try:
            decrypt_fast(source.fileno(), out.fileno(), secrets)
            taken = True
        except OddLayoutError:
            taken = False
    assert taken == (vector["id"] in FAST)
    if taken:
        assert by_us(target) == {track["track_id"]: track["sha256"] for track in vector["tracks"]}


@pytest.mark.parametrize(
    ("vector", "kid"),
    [(vector, kid) for vector in MP4 for track in vector["tracks"] for kid in track["kids"]],
    ids=lambda value: value if isinstance(value, str) else value["id"],
)
def test_without_a_key_it_is_named_and_nothing_is_written(tmp_path: Path, vector: dict[str, Any], kid: str) -> None:
    keys = keys_of(vector)
    del keys[KeyId.parse(kid)]
    with pytest.raises(KeyMissingError, match=str(KeyId.parse(kid))) as missing:
        decrypt_file(media(OWN, vector), tmp_path / "clear.mp4", keys, dialects=dialects_of(vector))
    assert missing.value.kids == (str(KeyId.parse(kid)),)
    assert list(tmp_path.iterdir()) == []


def test_a_transport_stream_is_refused_by_name(tmp_path: Path) -> None:
    vector = next(each for each in OWN_VECTORS if each["id"] == "pk_hls_ts")
    with pytest.raises(UnsupportedMediaError, match="this file is"):
        decrypt_file(media(OWN, vector), tmp_path / "clear.mp4", keys_of(vector))
    assert list(tmp_path.iterdir()) == []
