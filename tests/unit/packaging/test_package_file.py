"""`package_file`: the files hold the clear frames, and manifests say where they are and what opens them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from drm.encrypting.file import encrypt_file
from drm.encrypting.settings import TrackEncryption
from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError, MediaError, UnsupportedMediaError
from drm.isobmff.box import top_boxes
from drm.isobmff.samples import open_presentation
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.initialization import Initialization, read_initialization
from drm.manifests.judging.verdicts import Plays
from drm.manifests.rewrite import check_manifest, signal_manifest
from drm.media import Scheme, TrackInfo
from drm.packaging.package import Package, package_file

URL = "http://localhost:8000/license"
ORIGINALS = Path(__file__).parents[2] / "data" / "vectors" / "clear"
MPD = {"m": "urn:mpeg:dash:schema:mpd:2011"}
CENC = "{urn:mpeg:cenc:2013}"


@dataclass
class Made:
    folder: Path
    source: Path
    package: Package

    def path(self, name: str) -> Path:
        return self.folder / name

    def mpd(self) -> ET.Element:
        return ET.fromstring(self.path("manifest.mpd").read_bytes())


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory, keys: Any) -> Callable[..., Made]:
    """Package a file with one key for pictures and one for sound; each combination once."""
    done: dict[tuple[object, ...], Made] = {}

    def choose(tracks: Sequence[TrackInfo]) -> Mapping[int, TrackEncryption]:
        by_type = dict(zip(("video", "audio"), keys, strict=True))
        return {track.track_id: TrackEncryption(*by_type[track.type]) for track in tracks}

    def made(source: Path, scheme: Scheme | None, **options: Any) -> Made:
        wanted = (source, scheme, *sorted(options.items()))
        if wanted not in done:
            folder = tmp_path_factory.mktemp("package")
            told = {"scheme": scheme, "tracks": choose, "license_url": URL} if scheme else {}
            done[wanted] = Made(folder, source, package_file(source, folder, segment_seconds=0.5, **told, **options))
        return done[wanted]

    return made


@pytest.fixture(params=[Scheme.CENC, Scheme.CBCS])
def made(request: pytest.FixtureRequest, make: Any, clips: Any) -> Made:
    return make(clips(), request.param)


# ------------------------------------------------------------------------------------------------ media
@pytest.mark.parametrize("fragmented", [False, True], ids=["progressive", "fragmented"])
@pytest.mark.parametrize("scheme", [Scheme.CENC, Scheme.CBCS])
def test_the_files_decrypt_to_the_clear_frames(
    make: Any, clips: Any, by_us: Any, by_ffmpeg: Any, keys: Any, scheme: Scheme, fragmented: bool
) -> None:
    made = make(clips(fragmented=fragmented), scheme)
    clear = by_us(made.source)
    for kind, pair in zip(("video", "audio"), keys, strict=True):
        path = made.path(f"{kind}.mp4")
        assert by_us(path, pair) == {kind: clear[kind]}
        with SourceFile(path) as source:
            raw = path.read_bytes()
            samples = [s for s in open_presentation(source).samples(1) if s.size > 64]
            hidden = [raw[s.offset : s.offset + s.size] not in clear[kind] for s in samples]
        assert samples
        assert all(hidden), "a sample stands in clear"
    # FFmpeg is a reader of its own, of cenc; of cbcs it decrypts video alone.
    if scheme is Scheme.CENC:
        assert by_ffmpeg(made.path("audio.mp4"), keys[1]) == {"audio": clear["audio"]}


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("src_hevc.mp4", r"he?v[c1]1?\.1\.6\.L\d+\.(?:90|B0)"),
        ("src_vp9.mp4", r"vp09\.00\.\d\d\.08"),
        ("src_av1.mp4", r"av01\.0\.\d\dM\.08"),
        ("src_avc_slices.mp4", r"avc1\.[0-9a-f]{6}"),
        ("src_ac3.mp4", r"ac-3"),
    ],
)
def test_every_codec_of_browsers_is_packaged_and_named(
    make: Any, by_us: Any, keys: Any, name: str, codecs: str
) -> None:
    made = make(ORIGINALS / name, Scheme.CBCS)
    (rendition,) = made.package.renditions
    assert re.fullmatch(codecs, rendition.codecs), rendition.codecs
    assert by_us(made.path(rendition.file_name), *keys) == by_us(made.source)


def test_pictures_are_shown_when_they_were_shown_and_need_no_edit_list_for_it(make: Any, clips: Any) -> None:
    made = make(clips(), Scheme.CENC)
    shown = []
    for path in (made.source, made.path("video.mp4")):
        with SourceFile(path) as source:
            opened = open_presentation(source)
            track = opened.tracks[0]
            start = track.edits[0].media_time if track.edits else 0
            times = [(each.dts + each.cts_offset - start) / track.timescale for each in opened.samples(track.track_id)]
            shown.append((start, times))
    (before, old), (after, new) = shown
    assert new == old
    assert (min(new), after) == (0, 0)
    assert before > 0, "nothing was shifted in the first place: this clip proves nothing"


# ------------------------------------------------------------------------------------------------ DASH
def test_the_mpd_points_at_what_is_there(made: Made) -> None:
    root = made.mpd()
    assert root.get("type") == "static"
    representations = root.findall(".//m:Representation", MPD)
    assert [each.find("m:BaseURL", MPD).text for each in representations] == ["video.mp4", "audio.mp4"]  # type: ignore[union-attr]
    for representation, rendition in zip(representations, made.package.renditions, strict=True):
        base = representation.find("m:SegmentBase", MPD)
        assert base is not None
        with SourceFile(made.path(rendition.file_name)) as source:
            tops = list(top_boxes(source))
        index = next(top for top in tops if top.type == "sidx")
        assert base.get("indexRange") == f"{index.start}-{index.end - 1}"
        assert base.find("m:Initialization", MPD).get("range") == f"0-{index.start - 1}"  # type: ignore[union-attr]
        assert [top.type for top in tops if top.end <= index.start] == ["ftyp", "moov"]
        assert base.get("timescale") == str(rendition.track.timescale)
        assert representation.get("codecs") == rendition.codecs
        assert rendition.duration == pytest.approx(1.5, abs=0.05)
    picture = representations[0]
    assert (picture.get("width"), picture.get("height"), picture.get("frameRate")) == ("320", "180", "30")
    assert representations[1].get("audioSamplingRate") == "48000"


def media(made: Made) -> dict[str, Initialization]:
    found = {}
    for rendition in made.package.renditions:
        with SourceFile(made.path(rendition.file_name)) as source:
            found[rendition.file_name] = read_initialization(source)
    return found


def test_the_mpd_is_in_the_form_that_plays_everywhere(made: Made, keys: Any) -> None:
    data = made.path("manifest.mpd").read_bytes()
    assert [verdict.plays for verdict in check_manifest(data, "m", media(made)).verdicts] == [Plays.FROM_MANIFEST] * 2
    assert [verdict.plays for verdict in check_manifest(data, "m").verdicts] == [Plays.UNKNOWN] * 2
    assert b"pssh" not in data
    kids = [
        each.get(f"{CENC}default_KID") for each in made.mpd().iter() if "mp4protection" in each.get("schemeIdUri", "")
    ]
    assert kids == [str(kid) for kid, _key in keys]
    assert signal_manifest(data, "m", URL).data == data, "the signaller would write something else"


def test_every_file_names_the_keys_of_all(made: Made, keys: Any) -> None:
    """hls.js makes one session for a license URL: with one KID in each file it asks for one key, and stalls."""
    together = b"".join(kid.value for kid, _key in keys)
    assert [together in made.path(each.file_name).read_bytes() for each in made.package.renditions] == [True, True]


# ------------------------------------------------------------------------------------------------ HLS
@pytest.mark.parametrize("player", ["shaka", "hlsjs"])
def test_playlists_point_at_whole_fragments_from_first_to_last(made: Made, player: str) -> None:
    master = made.path(f"{player}.m3u8").read_text()
    assert f'URI="{player}-audio.m3u8"' in master
    assert f"\n{player}-video.m3u8\n" in master
    for rendition in made.package.renditions:
        name = f"{player}-{rendition.file_name.removesuffix('.mp4')}.m3u8"
        lines = made.path(name).read_text().splitlines()
        data = made.path(rendition.file_name).read_bytes()
        ranges = [tuple(map(int, line.partition(":")[2].split("@"))) for line in lines if "EXT-X-BYTERANGE:" in line]
        durations = [float(line[8:].rstrip(",")) for line in lines if line.startswith("#EXTINF:")]
        assert len(ranges) == len(durations) > 1
        ends = [offset + size for size, offset in ranges]
        assert [offset for _size, offset in ranges[1:]] + [len(data)] == ends
        assert all(data[offset + 4 : offset + 8] == b"moof" for _size, offset in ranges)
        target = next(int(line.partition(":")[2]) for line in lines if "TARGETDURATION" in line)
        assert all(round(duration) <= target for duration in durations)
        assert sum(durations) == pytest.approx(1.5, abs=0.05)
        (size, offset) = re.search(r'MAP:URI="[^"]+",BYTERANGE="(\d+)@(\d+)"', "\n".join(lines)).groups()  # type: ignore[union-attr]
        assert int(offset) == 0
        assert data[int(size) + 4 : int(size) + 8] == b"sidx"


def test_each_player_gets_the_lines_that_it_takes(made: Made, keys: Any) -> None:
    for name, (kid, _key) in zip(("video", "audio"), keys, strict=True):
        shaka = check_manifest(made.path(f"shaka-{name}.m3u8").read_bytes(), "m", media(made))
        hlsjs = check_manifest(made.path(f"hlsjs-{name}.m3u8").read_bytes(), "m", media(made))
        assert {v.player: v.plays for v in shaka.verdicts}[Player.SHAKA] is Plays.FROM_MANIFEST
        assert {v.player: v.plays for v in hlsjs.verdicts}[Player.HLSJS] is Plays.WITH_CONFIG
        assert f'URI="http://localhost:8000/hls/key/{kid.hex}"'.encode() in shaka.data
        assert f"KEYID=0x{kid.hex}".encode() in hlsjs.data
        assert b"KEYFORMAT" in hlsjs.data


def test_a_clear_package_plays_in_ffmpeg_from_its_playlist(make: Any, clips: Any, by_ffmpeg: Any) -> None:
    made = make(clips(), None)
    assert not any(rendition.scheme for rendition in made.package.renditions)
    assert b"ContentProtection" not in made.path("manifest.mpd").read_bytes()
    clear = by_ffmpeg(made.source)
    played = by_ffmpeg(made.path("shaka.m3u8"))
    assert played["video"] == clear["video"], "byte ranges, order or initialization are off"
    assert played["audio"] == clear["audio"]


# ------------------------------------------------------------------------------------------------ refusals
def test_what_cannot_be_packaged_is_refused_and_leaves_nothing(tmp_path: Path, clips: Any, keys: Any) -> None:
    folder, clear = tmp_path / "out", clips()

    def refused(kind: type[Exception], source: Path = clear, **options: Any) -> str:
        told = {
            "tracks": lambda tracks: {each.track_id: TrackEncryption(*keys[0]) for each in tracks},
            "license_url": URL,
        }
        with pytest.raises(kind) as caught:
            package_file(source, folder, **(told | options))
        assert not folder.exists()
        return str(caught.value)

    assert "cens" in refused(InvalidArgumentError, scheme=Scheme.CENS)
    assert "license URL" in refused(InvalidArgumentError, license_url=None)
    assert "license URL" in refused(InvalidArgumentError, license_url="/license")
    assert "URL of keys" in refused(InvalidArgumentError, keys_base="nowhere")
    assert "pssh" in refused(InvalidArgumentError, pssh=False)
    assert "0.0 seconds" in refused(InvalidArgumentError, segment_seconds=0.0)
    sealed = tmp_path / "sealed.mp4"
    encrypt_file(clear, sealed, scheme=Scheme.CENC, tracks=lambda t: {1: TrackEncryption(*keys[0])})
    assert "encrypted already" in refused(UnsupportedMediaError, sealed)
    sealed.write_bytes(b"no media at all, and long enough to be looked at")
    refused(MediaError, sealed)


def test_a_rendition_names_its_key(made: Made, keys: Any) -> None:
    assert [rendition.key_id for rendition in made.package.renditions] == [kid for kid, _key in keys]
    assert all(isinstance(rendition.key_id, KeyId) for rendition in made.package.renditions)
    assert {path.name for path in made.folder.iterdir()} == set(made.package.files)
