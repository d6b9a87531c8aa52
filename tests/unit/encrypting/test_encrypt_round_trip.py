"""Every codec, scheme and setting: what `decrypt_file` makes of our files is the original, by either of its ways."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from drm.app.byte_stream import FileByteStream
from drm.decrypting.file import decrypt_file
from drm.encrypting.file import Encryption, TrackEncryption, encrypt_file
from drm.encrypting.source_file import SourceFile
from drm.errors import DRMError, MalformedMediaError, UnsupportedMediaError
from drm.isobmff.box import top_boxes
from drm.isobmff.samples import open_presentation
from drm.keys import ContentKey, KeyId
from drm.media import SampleCrypto, Scheme, TrackInfo, TrackType
from player.digests import digest_tracks
from sample_content.clip import Clip, make_clip

VIDEO, AUDIO = TrackType.VIDEO, TrackType.AUDIO
CLEAR = Path(__file__).parents[2] / "data" / "vectors" / "clear"
KEYS = [(KeyId(bytes(15) + bytes([n])), ContentKey(bytes([n]) * 16)) for n in range(1, 5)]
ALL = dict(KEYS)


def hashes(path: Path) -> list[tuple[str, int, str]]:
    with FileByteStream(path) as stream:
        digests, warnings = digest_tracks(stream, ALL, frozenset())
    assert not warnings
    return [(track.type, track.samples, track.sha256) for track in digests]


def encrypt(clear: Path, sealed: Path, scheme: Scheme, jobs: int = 1, **settings: Any) -> Encryption:
    """All tracks, the video under the first key, the sound under the second."""

    def choose(tracks: Any) -> dict[int, TrackEncryption]:
        pairs = {VIDEO: KEYS[0], AUDIO: KEYS[1]}
        return {track.track_id: TrackEncryption(*pairs[track.type], **settings) for track in tracks}

    return encrypt_file(clear, sealed, scheme=scheme, tracks=choose, jobs=jobs)


def comes_back(clear: Path, sealed: Path, folder: Path) -> None:
    original = hashes(clear)
    assert hashes(sealed) == original
    for fast in (True, False):
        target = folder / "back.mp4"
        decrypt_file(sealed, target, ALL, fast=fast)
        assert hashes(target) == original


def cryptos(path: Path) -> list[list[SampleCrypto | None]]:
    with SourceFile(path) as source:
        opened = open_presentation(source)
        return [[sample.crypto for sample in opened.samples(track.track_id)] for track in opened.tracks]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], Path]:
    """A clear vector by name, fragmented or progressive."""
    folder = tmp_path_factory.mktemp("sources")

    def source(name: str, fragmented: bool) -> Path:
        if name == "src_av1":
            return CLEAR / "src_av1.mp4"  # PyAV has no encoder of that name, and so no stream like this one
        target = folder / f"{name}_{fragmented}.mp4"
        if not target.exists():
            options = {"movflags": "frag_keyframe+delay_moov+default_base_moof"} if fragmented else {}
            with av.open(str(CLEAR / f"{name}.mp4")) as film, av.open(str(target), "w", options=options) as out:
                streams = {stream.index: out.add_stream_from_template(stream) for stream in film.streams}
                for packet in film.demux():
                    if packet.size:
                        packet.stream = streams[packet.stream.index]
                        out.mux(packet)
        return target

    return source


@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("name", ["src_avc_aac", "src_avc_slices", "src_hevc", "src_av1", "src_vp9", "src_ac3"])
def test_every_codec_under_every_scheme(
    tmp_path: Path, sources: Any, name: str, scheme: Scheme, fragmented: bool
) -> None:
    clear, sealed = sources(name, fragmented), tmp_path / "sealed.mp4"
    done = encrypt(clear, sealed, scheme)
    comes_back(clear, sealed, tmp_path)
    for track in done.tracks:
        assert track.samples == track.encrypted + track.too_short
        assert track.encrypted
    for samples in cryptos(sealed):
        assert None not in samples


SETTINGS: list[tuple[str, Scheme, dict[str, Any]]] = [
    ("IVs of 16 bytes", Scheme.CENC, {"iv_size": 16}),
    ("cbcs with IVs of its own", Scheme.CBCS, {"iv_size": 16}),
    ("pattern 5:5", Scheme.CBCS, {"pattern": (5, 5)}),
    ("pattern 2:3", Scheme.CENS, {"pattern": (2, 3)}),
    ("every block", Scheme.CBCS, {"pattern": (0, 0)}),
    *((f"lead {scheme}", scheme, {"clear_lead": 1.2}) for scheme in Scheme),
    *((f"periods {scheme}", scheme, {"period": 0.7, "later_keys": tuple(KEYS[2:])}) for scheme in Scheme),
    ("lead and periods", Scheme.CBCS, {"clear_lead": 1.2, "period": 0.7, "later_keys": tuple(KEYS[2:])}),
]


@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
@pytest.mark.parametrize(("scheme", "settings"), [row[1:] for row in SETTINGS], ids=[row[0] for row in SETTINGS])
def test_every_setting_by_one_process_and_by_three(
    tmp_path: Path, sources: Any, clips: Any, scheme: Scheme, settings: dict[str, Any], fragmented: bool
) -> None:
    clear, sealed, shared = clips(fragmented=fragmented, frames=90), tmp_path / "sealed.mp4", tmp_path / "shared.mp4"
    fixed: dict[str, Any] = {"first_iv": bytes(8)} if scheme is not Scheme.CBCS or "iv_size" in settings else {}
    fixed |= {"constant_iv": bytes(16)} if not fixed else {}
    alone = encrypt(clear, sealed, scheme, **settings, **fixed)
    comes_back(clear, sealed, tmp_path)
    assert encrypt(clear, shared, scheme, jobs=3, **settings, **fixed) == alone
    assert shared.read_bytes() == sealed.read_bytes()


@pytest.mark.parametrize("movflags", ["frag_keyframe", "frag_every_frame"])
@pytest.mark.parametrize("lead", [0.0, 0.5])
def test_frames_that_build_on_fragments_of_other_processes(
    tmp_path: Path, sources: Any, remux: Any, movflags: str, lead: float
) -> None:
    clear = remux(sources("src_vp9", False), f"{movflags}+delay_moov+default_base_moof")
    fixed: dict[str, Any] = {"first_iv": bytes(8), "clear_lead": lead}
    alone = encrypt(clear, tmp_path / "alone.mp4", Scheme.CENC, **fixed)
    assert encrypt(clear, tmp_path / "shared.mp4", Scheme.CENC, jobs=3, **fixed) == alone
    assert (tmp_path / "shared.mp4").read_bytes() == (tmp_path / "alone.mp4").read_bytes()
    assert hashes(tmp_path / "shared.mp4") == hashes(clear)


@pytest.mark.parametrize("fragmented", [True, False], ids=["fragmented", "progressive"])
def test_keys_change_when_their_periods_end(tmp_path: Path, clips: Any, fragmented: bool) -> None:
    """A second for each of three keys, and the first one again; fragments are of half a second."""
    clear, sealed = clips(fragmented=fragmented, frames=120, sound=False), tmp_path / "sealed.mp4"
    encrypt(clear, sealed, Scheme.CENC, period=1.0, later_keys=tuple(KEYS[2:]))
    (video,) = cryptos(sealed)
    rounds = [crypto.key_id for crypto in video if crypto]
    assert rounds == [kid for kid, _ in (KEYS[0], *KEYS[2:], KEYS[0]) for _ in range(30)]
    assert len({crypto.iv for crypto in video if crypto}) == 120
    with SourceFile(sealed) as source:
        (box,) = open_presentation(source).pssh
    assert box.key_ids == (KEYS[0][0], KEYS[2][0], KEYS[3][0])


# ------------------------------------------------------------------------------------------------ layouts
def test_a_fragment_larger_than_what_is_held_is_read_in_parts(tmp_path: Path) -> None:
    clear, sealed = tmp_path / "clear.mp4", tmp_path / "sealed.mp4"
    make_clip(
        clear,
        Clip(width=640, height=360, frames=24, gop=24, bitrate=120_000_000, preset="ultrafast", noise=100,
             fragmented=True, slices=2),
    )  # fmt: skip
    with SourceFile(clear) as source:
        largest = max(top.size for top in top_boxes(source) if top.type == "mdat")
    assert largest > 5 << 20, "the clip is smaller than it must be"
    for scheme in (Scheme.CENC, Scheme.CBCS):
        encrypt(clear, sealed, scheme)
        comes_back(clear, sealed, tmp_path)


def test_a_file_without_an_index_gets_one_of_all_fragments(tmp_path: Path, clips: Any) -> None:
    """FFmpeg up to 5.1 needs it. The last fragment of a muxed file often has sound alone, and is in it too."""
    for settings in ({}, {"sound": False}):
        sealed = tmp_path / "sealed.mp4"
        clear = clips(fragmented=True, **settings)
        encrypt(clear, sealed, Scheme.CENC)
        with SourceFile(sealed) as source:
            tops = list(top_boxes(source))
            (index,) = [top for top in tops if top.type == "sidx"]
        data = sealed.read_bytes()[index.start : index.end]
        count = int.from_bytes(data[38:40], "big")
        rows = [
            [int.from_bytes(data[at + n : at + n + 4], "big") for n in (0, 4, 8)] for at in range(40, len(data), 12)
        ]
        moofs = [top.start for top in tops if top.type == "moof"]
        assert len(rows) == count == len(moofs)
        ends = [index.end]
        for size, _, _ in rows:
            ends.append(ends[-1] + size)
        assert ends[:-1] == moofs
        assert ends[-1] == next((top.start for top in tops if top.type == "mfra"), len(sealed.read_bytes()))
        with SourceFile(sealed) as source:
            video = open_presentation(source).tracks[0]
        assert sum(duration for _, duration, _ in rows) == 45 * video.timescale // 30
        assert rows[0][2] >> 28 == 9


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("place", ["first", "last"])
def test_what_any_process_finds_wrong_is_said_by_the_first(tmp_path: Path, clips: Any, place: str, jobs: int) -> None:
    data = bytearray(clips(fragmented=True, sound=False, frames=120).read_bytes())
    at = data.index(b"trun") if place == "first" else data.rindex(b"trun")
    data[at + 8 : at + 12] = (1 << 30).to_bytes(4, "big")  # samples
    bad, target = tmp_path / "bad.mp4", tmp_path / "target.mp4"
    bad.write_bytes(data)
    target.write_bytes(b"old")
    with pytest.raises(MalformedMediaError, match="trun"):
        encrypt(bad, target, Scheme.CENC, jobs=jobs)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.mp4", "target.mp4"]


def test_more_subsamples_than_one_entry_can_tell_are_refused_by_name(tmp_path: Path, clips: Any) -> None:
    """The size of an entry is one byte (ISO/IEC 14496-12, 8.7.8): an IV, a count, and six bytes for each."""
    clear, sealed = clips(width=320, height=720, frames=3, slices=45, sound=False), tmp_path / "sealed.mp4"
    for scheme in (Scheme.CENC, Scheme.CBCS):
        with pytest.raises(UnsupportedMediaError, match="subsamples") as refused:
            encrypt(clear, sealed, scheme)
        assert refused.value.remedy
    assert list(tmp_path.iterdir()) == []


def test_a_function_may_say_which_tracks(tmp_path: Path, clips: Any) -> None:
    seen: list[TrackInfo] = []

    def choose(tracks: Any) -> dict[int, TrackEncryption]:
        seen.extend(tracks)
        return {2: TrackEncryption(*KEYS[1])}

    done = encrypt_file(clips(), tmp_path / "sealed.mp4", scheme=Scheme.CBCS, tracks=choose)
    assert [track.type for track in seen] == [VIDEO, AUDIO]
    assert [bool(track.key_ids) for track in done.tracks] == [False, True]
    with pytest.raises(DRMError, match="no track is to be encrypted"):
        encrypt_file(clips(), tmp_path / "none.mp4", scheme=Scheme.CBCS, tracks=lambda tracks: {})
