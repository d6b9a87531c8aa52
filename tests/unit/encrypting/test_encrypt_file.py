"""Files encrypted by us, read back by FFmpeg and by our own reader: packet for packet the clear original."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.encrypting.source_file import SourceFile
from drm.isobmff.samples import open_presentation
from drm.keys import COMMON_SYSTEM
from drm.media import SampleCrypto, Scheme, TrackType
from drm.whole_file import InputTargetError

VIDEO, AUDIO = TrackType.VIDEO, TrackType.AUDIO


def cryptos(path: Path) -> dict[str, list[SampleCrypto | None]]:
    with SourceFile(path) as source:
        opened = open_presentation(source)
        return {t.type: [sample.crypto for sample in opened.samples(t.track_id)] for t in opened.tracks}


@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("slices", [1, 3])
def test_ffmpeg_and_we_decrypt_what_we_encrypt(
    tmp_path: Path, clips: Any, keys: Any, by_ffmpeg: Any, by_us: Any, fragmented: bool, scheme: Scheme, slices: int
) -> None:
    clear, sealed = clips(fragmented=fragmented, slices=slices), tmp_path / "sealed.mp4"
    tracks = {VIDEO: TrackEncryption(*keys[0]), AUDIO: TrackEncryption(*keys[1])}
    encrypt_file(clear, sealed, scheme=scheme, tracks=tracks)
    original = by_ffmpeg(clear)
    assert by_us(sealed, *keys) == original
    assert by_ffmpeg(sealed, *keys) == original
    hidden = by_ffmpeg(sealed)
    for kind, packets in original.items():
        same = sum(a == b for a, b in zip(packets, hidden[kind], strict=True))
        assert same <= len(packets) // 10, f"{same} of {len(packets)} {kind} packets are still clear"


@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        (Scheme.CENC, {"iv_size": 16}),
        (Scheme.CENC, {"first_iv": b"\xff" * 8}),
        (Scheme.CBCS, {"constant_iv": bytes(range(16))}),
        (Scheme.CBCS, {"pattern": (1, 1)}),
    ],
    ids=["iv of 16 bytes", "iv that wraps", "constant iv", "pattern 1:1"],
)
def test_settings_reach_the_file(
    tmp_path: Path, clips: Any, keys: Any, by_ffmpeg: Any, by_us: Any, fragmented: bool, scheme: Scheme, settings: Any
) -> None:
    clear, sealed = clips(fragmented=fragmented), tmp_path / "sealed.mp4"
    encrypt_file(clear, sealed, scheme=scheme, tracks={VIDEO: TrackEncryption(*keys[0], **settings)})
    original = by_ffmpeg(clear)
    assert by_us(sealed, keys[0]) == by_ffmpeg(sealed, keys[0]) == original
    found = cryptos(sealed)
    assert set(found["audio"]) == {None}
    first = found["video"][0]
    assert first is not None
    assert len(first.iv) == settings.get("iv_size", 8 if scheme is Scheme.CENC else 16)
    assert first.iv.startswith(settings.get("first_iv", b""))
    if "constant_iv" in settings:
        assert {crypto.iv for crypto in found["video"] if crypto} == {settings["constant_iv"]}
    assert (first.crypt_blocks, first.skip_blocks) == settings.get(
        "pattern", (1, 9) if scheme is Scheme.CBCS else (0, 0)
    )


def test_a_clear_lead_of_fragments_is_marked_as_clear(
    tmp_path: Path, clips: Any, keys: Any, by_ffmpeg: Any, by_us: Any
) -> None:
    clear, sealed = clips(fragmented=True), tmp_path / "sealed.mp4"
    tracks = {
        VIDEO: TrackEncryption(*keys[0], clear_lead=0.6),
        AUDIO: TrackEncryption(*keys[1], clear_lead=0.2),
    }
    encrypt_file(clear, sealed, scheme=Scheme.CENC, tracks=tracks)
    assert by_us(sealed, *keys) == by_ffmpeg(sealed, *keys) == by_ffmpeg(clear)
    found = cryptos(sealed)
    # Fragments of 15 frames at 30 per second: those that begin before 0.6 s are the first two.
    assert [crypto is None for crypto in found["video"]] == [True] * 30 + [False] * 15
    assert found["audio"][0] is None
    assert found["audio"][-1] is not None
    with SourceFile(sealed) as source:
        opened = open_presentation(source)
        assert opened.sample_entries(1) == ("encv/avc1", "avc1")
        assert opened.sample_entries(2) == ("enca/mp4a", "mp4a")


def test_a_clear_lead_counts_durations_where_fragments_tell_no_time(tmp_path: Path, clips: Any, keys: Any) -> None:
    timeless, sealed = tmp_path / "timeless.mp4", tmp_path / "sealed.mp4"
    timeless.write_bytes(clips(fragmented=True).read_bytes().replace(b"tfdt", b"free"))
    encrypt_file(timeless, sealed, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0], clear_lead=0.6)})
    assert [crypto is None for crypto in cryptos(sealed)["video"]] == [True] * 30 + [False] * 15


@pytest.mark.parametrize("scheme", Scheme)
def test_a_clear_lead_of_a_progressive_file_has_no_protected_bytes(
    tmp_path: Path, clips: Any, keys: Any, by_ffmpeg: Any, by_us: Any, scheme: Scheme
) -> None:
    clear, sealed = clips(), tmp_path / "sealed.mp4"
    tracks = {
        VIDEO: TrackEncryption(*keys[0], clear_lead=0.5),
        AUDIO: TrackEncryption(*keys[1], clear_lead=0.5),
    }
    encrypt_file(clear, sealed, scheme=scheme, tracks=tracks)
    assert by_us(sealed, *keys) == by_ffmpeg(clear)
    found = cryptos(sealed)
    for kind, per_second in (("video", 30), ("audio", 48_000 / 1024)):
        clear_count = sum(1 for crypto in found[kind] if crypto and not any(p for _, p in crypto.subsamples))
        assert abs(clear_count - per_second / 2) <= 1
    assert by_ffmpeg(sealed, *keys) == by_ffmpeg(clear)


def test_no_iv_comes_twice_under_one_key(tmp_path: Path, clips: Any, keys: Any) -> None:
    sealed = tmp_path / "sealed.mp4"
    both = TrackEncryption(*keys[0])
    encrypt_file(clips(fragmented=True), sealed, scheme=Scheme.CENC, tracks={VIDEO: both, AUDIO: both})
    ivs = [crypto.iv for track in cryptos(sealed).values() for crypto in track if crypto]
    assert len(ivs) > 100
    assert len(set(ivs)) == len(ivs)
    again = tmp_path / "again.mp4"
    encrypt_file(clips(fragmented=True), again, scheme=Scheme.CENC, tracks={VIDEO: both, AUDIO: both})
    assert set(ivs).isdisjoint(crypto.iv for track in cryptos(again).values() for crypto in track if crypto)


def test_tracks_of_one_key_share_its_ivs_whatever_their_key_ids(tmp_path: Path, clips: Any, keys: Any) -> None:
    (video, key), (audio, _) = keys
    start = bytes(8)
    tracks = {VIDEO: TrackEncryption(video, key, first_iv=start), AUDIO: TrackEncryption(audio, key, first_iv=start)}
    encrypt_file(clips(), tmp_path / "sealed.mp4", scheme=Scheme.CENC, tracks=tracks)
    ivs = [crypto.iv for track in cryptos(tmp_path / "sealed.mp4").values() for crypto in track if crypto]
    assert sorted(ivs) == [number.to_bytes(8, "big") for number in range(len(ivs))]


def test_one_key_id_per_track_stands_in_one_pssh(tmp_path: Path, clips: Any, keys: Any) -> None:
    sealed = tmp_path / "sealed.mp4"
    tracks = {1: TrackEncryption(*keys[0]), AUDIO: TrackEncryption(*keys[1])}
    encrypt_file(clips(), sealed, scheme=Scheme.CBCS, tracks=tracks)
    with SourceFile(sealed) as source:
        (box,) = open_presentation(source).pssh
    assert (box.system_id, box.version, box.data) == (COMMON_SYSTEM, 1, b"")
    assert box.key_ids == (keys[0][0], keys[1][0])
    encrypt_file(clips(), sealed, scheme=Scheme.CBCS, tracks=tracks, pssh=False)
    with SourceFile(sealed) as source:
        assert open_presentation(source).pssh == ()


def test_tenc_is_of_the_version_that_the_scheme_needs(tmp_path: Path, clips: Any, keys: Any) -> None:
    for scheme, version in ((Scheme.CENC, 0), (Scheme.CBCS, 1)):
        sealed = tmp_path / f"{scheme}.mp4"
        encrypt_file(clips(), sealed, scheme=scheme, tracks={AUDIO: TrackEncryption(*keys[1])})
        data = sealed.read_bytes()
        assert data[data.index(b"tenc") + 4] == version
        assert data.count(b"tenc") == 1


@pytest.mark.parametrize("fragmented", [True, False])
def test_sound_of_cbcs_has_no_auxiliary_information_and_says_so(
    tmp_path: Path, clips: Any, keys: Any, fragmented: bool
) -> None:
    """Bento4 takes samples without `senc` for clear ones; FFmpeg cannot open a file with sizes of 0 in `saiz`."""
    sealed = tmp_path / "sealed.mp4"
    encrypt_file(clips(fragmented=fragmented), sealed, scheme=Scheme.CBCS, tracks={AUDIO: TrackEncryption(*keys[1])})
    data = sealed.read_bytes()
    assert b"saiz" not in data
    assert b"saio" not in data
    at = data.index(b"senc")
    count = int.from_bytes(data[at + 8 : at + 12], "big")
    assert data[at - 4 : at + 8] == (16).to_bytes(4, "big") + b"senc" + bytes(4)
    assert count == len(cryptos(sealed)["audio"]) or fragmented


def test_source_and_target_may_be_the_same_if_that_is_meant(tmp_path: Path, clips: Any, keys: Any, by_us: Any) -> None:
    path = tmp_path / "movie.mp4"
    path.write_bytes(clips().read_bytes())
    with pytest.raises(InputTargetError):
        encrypt_file(path, path, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])})
    assert path.read_bytes() == clips().read_bytes()
    encrypt_file(path, path, scheme=Scheme.CENC, tracks={VIDEO: TrackEncryption(*keys[0])}, in_place=True)
    assert by_us(path, *keys) == by_us(clips())


@pytest.mark.parametrize(
    "movflags", ["frag_keyframe+empty_moov", "dash+delay_moov", "frag_keyframe+separate_moof+empty_moov", ""]
)
def test_other_layouts_of_the_same_movie(
    tmp_path: Path, clips: Any, keys: Any, by_ffmpeg: Callable[..., Any], by_us: Any, remux: Any, movflags: str
) -> None:
    """Base data offsets, a moof per track, an index in front or at the end, moov behind mdat."""
    clear, sealed = remux(clips(), movflags), tmp_path / "sealed.mp4"
    tracks = {VIDEO: TrackEncryption(*keys[0]), AUDIO: TrackEncryption(*keys[1])}
    encrypt_file(clear, sealed, scheme=Scheme.CENC, tracks=tracks)
    assert by_us(sealed, *keys) == by_ffmpeg(sealed, *keys) == by_ffmpeg(clear)
