"""Peers decrypt what we package for browsers, sample for sample; what they package is signalled as ours is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from drm.encrypting.settings import TrackEncryption
from drm.keys import ContentKey, KeyId
from drm.manifests.forms import Player
from drm.manifests.judging.verdicts import Plays
from drm.manifests.rewrite import check_manifest, manifest_initializations, signal_manifest
from drm.media import Scheme
from drm.packaging.package import package_file
from player.verbs.signal.beside import Beside
from tests.interop.peers import readers
from tests.interop.peers.clips import FRAGMENTED, PROGRESSIVE, Clips
from tests.interop.peers.known import READING_OURS, fault, surprise
from tests.interop.peers.outcomes import peer_reads
from tests.interop.peers.programs import Program
from tests.interop.peers.sealed import KEYS

URL = "http://localhost:8000/license"


@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CBCS])
@pytest.mark.parametrize(("codec", "kind"), [("avc", "video"), ("hevc", "video"), ("av1", "video"), ("aac", "audio")])
def test_peers_decrypt_what_we_package(
    programs: dict[str, Program], clips: Clips, tmp_path: Path, codec: str, kind: str, scheme: Scheme
) -> None:
    clip = clips(codec, PROGRESSIVE)
    kid, key, _ = KEYS[kind]
    encryption = TrackEncryption(KeyId.parse(kid), ContentKey.parse(key))
    package_file(clip.path, tmp_path, scheme=scheme, tracks=lambda tracks: {tracks[0].track_id: encryption},
                 license_url=URL, segment_seconds=1.0)  # fmt: skip
    surprises = []
    for program in (programs[name] for name in readers.NAMES if name in programs):
        outcome = peer_reads(program, tmp_path / f"{kind}.mp4", clip, {kid: key})
        words = surprise(fault(READING_OURS, program.name, f"{codec}, {FRAGMENTED}, {scheme.value}"), outcome)
        if words:
            surprises.append(f"{program.name} {program.version}: {words}")
    assert not surprises, "\n".join(surprises)


@pytest.mark.parametrize("scheme", ["cenc", "cbcs"])
@pytest.mark.parametrize("lead", [0, 1])
def test_shaka_packagers_own_manifests_are_signalled(
    programs: dict[str, Program], clips: Clips, tmp_path: Path, scheme: str, lead: int
) -> None:
    if "packager" not in programs:
        pytest.skip("peer not on PATH: packager")
    words = [
        f"in={clips('avc+aac', PROGRESSIVE).path},stream={kind},init_segment={tmp_path}/{kind}_init.mp4,"
        f"segment_template={tmp_path}/{kind}_$Number$.m4s,playlist_name={kind}.m3u8,drm_label={kind}"
        for kind in ("video", "audio")
    ]
    keys = ",".join(f"label={kind}:key_id={KEYS[kind][0]}:key={KEYS[kind][1]}" for kind in ("video", "audio"))
    programs["packager"].run(
        *words, "--quiet", "--enable_raw_key_encryption", "--keys", keys, "--protection_scheme", scheme, "--clear_lead",
        lead, "--segment_duration", 1, "--mpd_output", tmp_path / "m.mpd", "--hls_master_playlist_output",
        tmp_path / "m.m3u8", makes=tmp_path / "m.m3u8",
    )  # fmt: skip
    mpd = (tmp_path / "m.mpd").read_bytes()
    beside = Beside(tmp_path, None)
    done = signal_manifest(mpd, "m.mpd", URL, None, beside.kids(manifest_initializations(mpd, "m")))
    assert [verdict.plays for verdict in done.verdicts] == [Plays.FROM_MANIFEST] * 2
    assert b"<cenc:pssh>" in mpd
    assert b"pssh" not in done.data
    for kind in ("video", "audio"):
        playlist = (tmp_path / f"{kind}.m3u8").read_bytes()
        kids = beside.kids(manifest_initializations(playlist, "m"))
        assert [said.scheme for said in kids.values()] == [scheme]
        for player, plays, form in (
            (Player.SHAKA, Plays.FROM_MANIFEST, rf'URI="http://localhost:8000/hls/key/{KEYS[kind][0]}"'),
            (Player.HLSJS, Plays.WITH_CONFIG, rf"KEYID=0x{KEYS[kind][0]}"),
        ):
            made = signal_manifest(playlist, "m", URL, None, kids, player)
            assert next(verdict for verdict in made.verdicts if verdict.player is player).plays is plays
            lines = [line for line in made.data.decode().splitlines() if line.startswith("#EXT-X-KEY")]
            assert len(lines) == 1
            assert re.search(form, lines[0])
            others = [line for line in playlist.splitlines() if not line.startswith(b"#EXT-X-KEY")]
            assert [line for line in made.data.splitlines() if not line.startswith(b"#EXT-X-KEY")] == others
            assert {verdict.plays for verdict in check_manifest(playlist, "m", kids).verdicts} == {Plays.NO}
