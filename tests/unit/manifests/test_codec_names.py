"""Names of codecs in manifests, from configurations whose names are known from other writers."""

from __future__ import annotations

import pytest

from drm.errors import MalformedMediaError
from drm.manifests.codec_names import codec_name
from drm.media import TrackInfo, TrackType


def track(codec: str, config: str, decoder: str = "") -> TrackInfo:
    return TrackInfo(1, TrackType.VIDEO, codec, 1000, codec_config=bytes.fromhex(config), decoder=decoder)


@pytest.mark.parametrize(
    ("codec", "config", "name"),
    [
        ("avc1", "0164001fffe1", "avc1.64001f"),
        ("avc3", "0142c01effe1", "avc3.42c01e"),
        ("hvc1", "0101600000009000000000005df000", "hvc1.1.6.L93.90"),
        ("hev1", "0122200000009000000000009900", "hev1.2.4.H153.90"),
        ("hev1", "01016000000000000000000078", "hev1.1.6.L120"),
        ("hvc1", "01416000000000000000000078", "hvc1.A1.6.L120"),
        ("av01", "81040c00", "av01.0.04M.08"),
        ("av01", "812dcc00", "av01.1.13H.10"),
        ("vp09", "0100000000 1f 80 02020200", "vp09.00.31.08"),
        ("vp09", "0100000002 33 a2 09101000", "vp09.02.51.10"),
        ("Opus", "", "opus"),
        ("fLaC", "", "flac"),
        ("ec-3", "", "ec-3"),
        ("wvtt", "", "wvtt"),
    ],
)
def test_names(codec: str, config: str, name: str) -> None:
    assert codec_name(track(codec, config)) == name


@pytest.mark.parametrize(
    ("config", "decoder", "name"),
    [("1190", "aac", "mp4a.40.2"), ("2b92", "aac", "mp4a.40.5"), ("f94c", "aac", "mp4a.40.42"), ("", "mp3", "mp4a.6B")],
)
def test_names_of_sound_in_mpeg_4_descriptors(config: str, decoder: str, name: str) -> None:
    assert codec_name(track("mp4a", config, decoder)) == name


@pytest.mark.parametrize("codec", ["avc1", "hvc1", "av01", "vp09"])
def test_a_configuration_that_is_cut_is_named(codec: str) -> None:
    with pytest.raises(MalformedMediaError, match=codec):
        codec_name(track(codec, "0101"))
