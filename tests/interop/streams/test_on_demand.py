"""VOD manifests of Shaka Packager, FFmpeg and our own packager, through the worker: the clear original's frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from drm.app.rights.managers import LicenseManager
from drm.errors import KeyMissingError
from drm.keys import KeyId
from drm.rights.enablers import LicensePath
from drm.session.events import MediaEventType
from drm.streaming.selection import Selection
from license_server.process import LicenseServer
from tests.interop.command import Command
from tests.interop.streams.conftest import Hashes, Play
from tests.interop.streams.made import AD_PICTURES, OTHER_KID, PICTURES, SOUNDS, Streams
from tests.interop.streams.origin import origin

CASES: dict[str, Callable[[Streams], Path]] = {
    "rotating-cenc-mpd": lambda s: s.rotating("cenc"),
    "rotating-cenc-hls": lambda s: s.rotating("cenc").with_suffix(".m3u8"),  # without any EXT-X-KEY
    "rotating-cbcs-mpd": lambda s: s.rotating("cbcs"),
    "rotating-cbcs-hls": lambda s: s.rotating("cbcs").with_suffix(".m3u8"),  # key ids in identity data: URIs
    "on-demand-cenc-mpd": lambda s: s.on_demand("cenc"),
    "on-demand-cbcs-hls": lambda s: s.on_demand("cbcs").with_suffix(".m3u8"),
    "ffmpeg-dash": lambda s: s.ffmpeg_dash,
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_the_frames_are_those_of_the_clear_original(
    streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes], make: Callable[[Streams], Path]
) -> None:
    result, hashes = play(make(streams))
    assert hashes == clear_hashes(streams.clear)
    assert (len(hashes["video 1"]), len(hashes["audio 1"])) == (PICTURES, SOUNDS)
    assert result.frames == PICTURES + SOUNDS


def test_picture_and_sound_of_the_same_segments(
    streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes]
) -> None:
    """FFmpeg drops the edit list, so one priming frame of sound more comes out."""
    _result, hashes = play(streams.ffmpeg_hls)
    clear = clear_hashes(streams.clear)
    assert hashes["video 1"] == clear["video 1"]
    assert hashes["audio 1"][1:] == clear["audio 1"]


@pytest.mark.parametrize("manifest", ["manifest.mpd", "shaka.m3u8", "hlsjs.m3u8"])
def test_what_we_package(
    clearkey: Command,
    streams: Streams,
    play: Play,
    clear_hashes: Callable[[Path], Hashes],
    tmp_path: Path,
    manifest: str,
) -> None:
    out = tmp_path / "package"
    key = next(f"{kid}:{key.secret.hex()}" for kid, key in streams.keys.items())
    ran = clearkey("package", streams.clear, "-o", out, "--key", key, "--segment-seconds", "2",
                   "--license-url", "http://127.0.0.1:1/license")  # fmt: skip
    assert ran.code == 0, ran.said
    found = out / manifest
    assert play(found)[1] == clear_hashes(streams.clear)


def test_sealed_licenses_while_keys_rotate(
    streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes]
) -> None:
    with LicenseServer(keys=streams.keys) as server:  # which has no key of KID zero
        result, hashes = play(streams.rotating("cenc"), manager=LicenseManager(server.license_url))
    assert hashes == clear_hashes(streams.clear)
    assert result.license_path is LicensePath.SEALED


def test_periods_with_a_clear_advertisement_between(
    streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes]
) -> None:
    result, hashes = play(streams.three_periods)
    clip, ad = clear_hashes(streams.clear), clear_hashes(streams.ad)
    assert hashes == {name: clip[name] + ad[name] + clip[name] for name in clip}
    assert result.frames == sum(map(len, hashes.values()))
    types = [event.type for event in result.events]
    assert types.count(MediaEventType.SESSION_ENDED) == 1
    starts = [
        event.values["start_time"]
        for event in result.events
        if event.type == MediaEventType.SESSION_NOTIFY_PRESENTATION_TIME
    ]
    assert len(starts) == 3
    assert starts == sorted(starts)


def test_a_key_that_a_later_period_lacks(streams: Streams, clearkey: Command, tmp_path: Path) -> None:
    """What comes before it plays; then the error names the key id and the period."""
    keys = tmp_path / "keys.txt"
    lines = streams.keys_file.read_text().splitlines(keepends=True)
    keys.write_text("".join(line for line in lines if not line.startswith(OTHER_KID)))
    ran = clearkey("play", streams.three_periods, "--keys-file", keys, "--framemd5", "-")
    assert ran.code == 4, ran.said
    assert str(KeyId.parse(OTHER_KID)) in ran.err
    assert "period p3" in ran.err
    pictures = [line for line in ran.out.splitlines() if line.startswith("0,")]
    assert len(pictures) == PICTURES + AD_PICTURES


def test_the_end_of_a_period_is_held_until_the_next_is_set(streams: Streams, play: Play, tmp_path: Path) -> None:
    """A period of one segment ends long before the license of the next one is there."""
    mpd = streams.three_periods.read_text().replace('duration="PT12S"', 'duration="PT1S"', 1)
    path = streams.folder / "short.mpd"
    path.write_text(mpd)
    with LicenseServer(keys=streams.keys) as server:
        result, hashes = play(path, manager=LicenseManager(server.license_url))
    assert len(hashes["video 1"]) == 25 + AD_PICTURES + PICTURES
    assert result.license_path is LicensePath.SEALED


def test_a_period_begins_inside_its_media(streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes]) -> None:
    folder = streams.rotating("cenc").parent
    path = folder / "offset.mpd"
    path.write_text(
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT6S"><Period>'
        '<AdaptationSet contentType="video" mimeType="video/mp4"><Representation id="v" bandwidth="1">'
        '<SegmentTemplate timescale="12800" presentationTimeOffset="51200" startNumber="3" endNumber="5" '
        'duration="25600" initialization="vi.mp4" media="v$Number$.m4s"/></Representation></AdaptationSet>'
        "</Period></MPD>"
    )
    _result, hashes = play(path)
    assert hashes == {"video 1": clear_hashes(streams.clear)["video 1"][100:250]}


@pytest.mark.parametrize("gives_parts", [True, False], ids=["parts", "no parts"])
def test_ranges_of_files_over_http(
    streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes], gives_parts: bool
) -> None:
    """A `sidx`, and ranges with offsets, cut by us where the server sends the whole."""
    folder = streams.on_demand("cenc").parent
    with origin(folder, gives_parts=gives_parts) as server:
        for name in ("m.mpd", "m.m3u8"):
            assert play(f"{server.url}/{name}")[1] == clear_hashes(streams.clear)


def test_one_server_fails_now_and_then(streams: Streams, play: Play, clear_hashes: Callable[[Path], Hashes]) -> None:
    with origin(streams.rotating("cenc").parent) as server:
        server.faults["v3.m4s"] = [503]
        server.faults["a2.m4s"] = ["cut"]
        _result, hashes = play(f"{server.url}/m.mpd")
        assert hashes == clear_hashes(streams.clear)
        assert [server.paths().count(name) for name in ("v3.m4s", "a2.m4s", "v1.m4s")] == [2, 2, 1]


def test_a_picture_of_a_given_height(streams: Streams, play: Play) -> None:
    """Renditions of two sizes: the wanted one is fetched, and the other one is not."""
    streams.shaka("ad", "", source=streams.ad)
    streams.rotating("cenc")
    path = streams.folder / "sizes.mpd"
    template = '<SegmentTemplate duration="2" endNumber="1" initialization="{0}/vi.mp4" media="{0}/v$Number$.m4s"/>'
    sizes = "".join(
        f'<Representation id="{name}" bandwidth="{rate}" width="{width}" height="{height}">{template.format(name)}'
        "</Representation>"
        for name, rate, width, height in (("rotating-cenc", 9, 320, 180), ("ad", 5, 480, 270))
    )
    path.write_text(
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT2S"><Period>'
        f'<AdaptationSet mimeType="video/mp4">{sizes}</AdaptationSet></Period></MPD>'
    )
    with origin(streams.folder) as server:
        best, _hashes = play(f"{server.url}/sizes.mpd")
        assert best.streams[0].track.height == 270
        server.asked.clear()
        small, _hashes = play(f"{server.url}/sizes.mpd", selection=Selection(max_height=180))
        assert small.streams[0].track.height == 180
        assert not [path for path in server.paths() if path.startswith("ad/")]


def test_keys_of_a_manifest(streams: Streams, clearkey: Command, tmp_path: Path) -> None:
    ran = clearkey("keys", "check", streams.three_periods, "--keys-file", streams.keys_file)
    assert ran.code == 0, ran.said
    assert ran.out.count("right") == 4
    wrong = tmp_path / "wrong.txt"
    wrong.write_text(streams.keys_file.read_text().replace(f"{OTHER_KID}:a1", f"{OTHER_KID}:a2"))
    ran = clearkey("keys", "check", streams.three_periods, "--keys-file", wrong)
    assert ran.code == 5, ran.said
    assert f"wrong key for KID {KeyId.parse(OTHER_KID)}" in ran.err
    assert "period p3" in ran.err


def test_digests_of_a_manifest_are_those_of_the_clear_clip(streams: Streams, clearkey: Command) -> None:
    clear = [line.split()[-1] for line in clearkey("digest", streams.clear).out.splitlines()[1:]]
    ran = clearkey("digest", streams.three_periods, "--keys-file", streams.keys_file)
    assert ran.code == 0, ran.said
    rows = [line.split() for line in ran.out.splitlines()[1:]]
    assert [row[0] for row in rows] == ["p1", "p1", "p2", "p2", "p3", "p3"]
    assert [row[-1] for row in rows if row[0] != "p2"] == clear * 2


def test_no_key_at_all(streams: Streams, play: Play) -> None:
    with pytest.raises(KeyMissingError) as refused:
        play(streams.rotating("cenc"), keys={KeyId.parse(OTHER_KID): next(iter(streams.keys.values()))})
    assert "00000000-0000" not in refused.value.render()


def test_what_a_manifest_says_is_shown(streams: Streams, clearkey: Command) -> None:
    ran = clearkey("inspect", streams.three_periods)
    assert ran.code == 0, ran.said
    assert "DASH, 3 periods" in ran.out
    assert str(KeyId.parse(OTHER_KID)) in ran.out
    ran = clearkey("inspect", streams.rotating("cbcs").with_suffix(".m3u8"))
    assert "SAMPLE-AES, KEYFORMAT 'identity', a data: URI, of which no key is taken" in ran.out
