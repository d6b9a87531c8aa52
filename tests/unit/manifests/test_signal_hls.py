"""`signal_playlist`: the Clear Key lines of any packager's playlist change, and no other line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import DRMError, InvalidArgumentError, KeyMissingError, MalformedMediaError, UnsupportedMediaError
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.initialization import Initialization
from drm.manifests.judging.check_playlist import playlist_members
from drm.manifests.judging.verdicts import Plays
from drm.manifests.playlist import parse_playlist
from drm.manifests.rewrite import check_manifest, is_playlist, manifest_initializations, signal_manifest
from drm.manifests.rewrite_playlist import signal_playlist
from drm.media import Scheme

URL = "https://licenses.example.test/drm/license"
V, A = KeyId.parse("00112233445566778899aabbccddeeff"), KeyId.parse("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
CENC, CBCS = Initialization((V,), Scheme.CENC), Initialization((V,), Scheme.CBCS)
TOP = "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n"
MAP = '#EXT-X-MAP:URI="init.mp4"\n'
SEGMENTS = "#EXTINF:4.000,\n1.m4s\n#EXTINF:4.000,\n2.m4s\n"
END = "#EXT-X-ENDLIST\n"
WIDEVINE = (
    '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AAAA",'
    'KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"\n'
)


def identity(kid: KeyId, method: str = "SAMPLE-AES") -> str:
    return (
        f'#EXT-X-KEY:METHOD={method},URI="https://licenses.example.test/drm/hls/key/{kid.hex}",KEYFORMAT="identity"\n'
    )


def clearkey(kid: KeyId, method: str = "SAMPLE-AES") -> str:
    return f'#EXT-X-KEY:METHOD={method},URI="{URL}?kid={kid.hex}",KEYID=0x{kid.hex},KEYFORMAT="org.w3.clearkey"\n'


def signalled(text: str, kids: dict[str, Initialization], player: Player | None = None, **options: bool) -> str:
    return signal_playlist(text.encode(), URL, None, kids, player, **options).data.decode()


def test_shaka_packagers_key_id_in_the_place_of_the_key_becomes_the_keys_address() -> None:
    uri = "data:text/plain;base64,ABEiM0RVZneImaq7zN3u/w=="
    own = f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{uri}",IV=0x00,KEYFORMAT="identity"\n'
    text = TOP + MAP + own + SEGMENTS + END
    assert signalled(text, {}, Player.SHAKA) == TOP + MAP + identity(V) + SEGMENTS + END
    assert signalled(text, {}, Player.HLSJS) == TOP + MAP + clearkey(V) + SEGMENTS + END
    assert manifest_initializations(text.encode(), "m") == ["init.mp4"]


def test_a_playlist_that_says_nothing_gets_its_lines_behind_the_map() -> None:
    text = TOP + MAP + SEGMENTS + END
    assert signalled(text, {"init.mp4": CENC}) == (
        TOP + MAP + identity(V, "SAMPLE-AES-CTR") + clearkey(V, "SAMPLE-AES-CTR") + SEGMENTS + END
    )
    assert signalled(text, {}) == text, "nothing says that it is encrypted"


def test_no_playlist_serves_both_players_with_cbcs_and_that_is_said() -> None:
    done = signal_playlist((TOP + MAP + SEGMENTS).encode(), URL, None, {"init.mp4": CBCS})
    assert done.data.decode() == TOP + MAP + identity(V) + SEGMENTS
    assert {each.player: each.plays for each in done.verdicts} == {
        Player.SHAKA: Plays.FROM_MANIFEST,
        Player.HLSJS: Plays.NO,
    }
    assert any("cbcs" in note for note in done.notes)


def test_clear_leads_and_clear_parts_stay_clear() -> None:
    none = "#EXT-X-KEY:METHOD=NONE\n"
    old = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key.bin",KEYFORMAT="identity"\n'
    text = TOP + MAP + "#EXTINF:1,\n0.m4s\n" + old + SEGMENTS + none + "#EXTINF:1,\n9.m4s\n"
    made = signalled(text, {"init.mp4": CBCS}, Player.SHAKA)
    assert made == text.replace(old, identity(V))
    verdicts = check_manifest(made.encode(), "m", {"init.mp4": CBCS}).verdicts
    assert [each.plays for each in verdicts] == [Plays.FROM_MANIFEST, Plays.NO]


def test_another_initialization_segment_gets_a_key_line_of_its_own() -> None:
    other = '#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="other.mp4"\n'
    text = TOP + MAP + clearkey(V) + SEGMENTS + other + SEGMENTS
    kids = {"init.mp4": CBCS, "other.mp4": Initialization((A,), Scheme.CBCS)}
    first, second = clearkey(V), clearkey(A)
    assert signalled(text, kids, Player.HLSJS) == TOP + MAP + first + SEGMENTS + other + second + SEGMENTS
    kids["other.mp4"] = CBCS
    assert signalled(text, kids, Player.HLSJS) == text


def test_keys_that_change_keep_their_places_and_their_kids() -> None:
    text = TOP + clearkey(V) + MAP + SEGMENTS + clearkey(A) + SEGMENTS
    assert signalled(text, {}, Player.SHAKA) == TOP + identity(V) + MAP + SEGMENTS + identity(A) + SEGMENTS


def test_other_systems_stay_unless_they_are_to_go() -> None:
    text = TOP + MAP + WIDEVINE + SEGMENTS
    assert signalled(text, {"init.mp4": CBCS}, Player.SHAKA) == TOP + MAP + identity(V) + WIDEVINE + SEGMENTS
    assert signalled(text, {"init.mp4": CBCS}, Player.SHAKA, only_clearkey=True) == TOP + MAP + identity(V) + SEGMENTS


@pytest.mark.parametrize("player", [Player.SHAKA, Player.HLSJS, None])
def test_once_more_changes_nothing(player: Player | None) -> None:
    once = signalled(TOP + MAP + SEGMENTS + END, {"init.mp4": CENC}, player)
    assert signalled(once, {"init.mp4": CENC}, player) == once


def test_line_ends_stay_what_they_were() -> None:
    text = (TOP + MAP + SEGMENTS).replace("\n", "\r\n").rstrip()
    made = signalled(text, {"init.mp4": CBCS}, Player.SHAKA)
    assert made == (TOP + MAP + identity(V) + SEGMENTS).replace("\n", "\r\n").rstrip()


def test_a_multivariant_playlist_names_the_new_ones_and_loses_session_keys_alone() -> None:
    text = (
        "#EXTM3U\n"
        '#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="data:,",KEYFORMAT="identity"\n'
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"\n'
        '#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="avc1.64001f,mp4a.40.2"\nv/v.m3u8\n'
        '#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"\n'
    )
    assert list(playlist_members(text.encode())) == ["a.m3u8", "i.m3u8", "v/v.m3u8"]
    renamed = {"a.m3u8": "o-a.m3u8", "v/v.m3u8": "v/o-v.m3u8"}
    made = signal_playlist(text.encode(), URL, None, {}, None, renamed)
    lines = text.splitlines(keepends=True)
    assert made.data.decode() == "".join(
        [lines[0], lines[2].replace("a.m3u8", "o-a.m3u8"), lines[3], "v/o-v.m3u8\n", lines[5]]
    )
    assert made.verdicts == ()


def test_keys_may_lie_elsewhere() -> None:
    text = (TOP + MAP + SEGMENTS).encode()
    made = signal_manifest(text, "m", URL, "https://keys.example.test/k/", {"init.mp4": CBCS}, Player.SHAKA).data
    assert f'URI="https://keys.example.test/k/{V.hex}"'.encode() in made
    with_token = signal_manifest(text, "m", URL + "?token=t", None, {"init.mp4": CBCS}, Player.SHAKA).data
    assert f'/drm/hls/key/{V.hex}?token=t"'.encode() in with_token


@pytest.mark.parametrize(
    ("text", "kids", "kind"),
    [
        ("#EXTINF:1,\n1.ts\n", {}, MalformedMediaError),
        (TOP + '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n' + SEGMENTS, {"init.mp4": CBCS}, UnsupportedMediaError),
        (TOP + '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="k"\n' + MAP + SEGMENTS, {}, KeyMissingError),
        (TOP + clearkey(V).replace("0x00", "0x0g") + MAP + SEGMENTS, {}, MalformedMediaError),
        (TOP + MAP + SEGMENTS, {"init.mp4": Initialization((V,), Scheme.CENS)}, UnsupportedMediaError),
        (TOP + "#" + "x" * 70_000, {}, MalformedMediaError),
        (TOP + MAP + WIDEVINE * 17 + SEGMENTS, {}, MalformedMediaError),
        (
            TOP + MAP + "".join(WIDEVINE.replace("edef", f"{n:04}") + "1\n" for n in range(17)),
            {"init.mp4": CBCS},
            MalformedMediaError,
        ),
    ],
)
def test_what_cannot_be_signalled_is_refused(text: str, kids: dict[str, Initialization], kind: type[DRMError]) -> None:
    with pytest.raises(kind):
        signal_playlist(text.encode(), URL, None, kids)


def test_players_are_asked_only_for_what_they_read() -> None:
    with pytest.raises(InvalidArgumentError, match=r"dash\.js reads no HLS"):
        signal_manifest(TOP.encode(), "m", URL, player=Player.DASHJS)
    with pytest.raises(InvalidArgumentError, match=r"hls\.js reads no MPD"):
        signal_manifest(b"<MPD/>", "m", URL, player=Player.HLSJS)
    assert is_playlist(b"\xef\xbb\xbf#EXTM3U\n", "m")


@given(st.lists(st.sampled_from([MAP, SEGMENTS, WIDEVINE, identity(V), clearkey(A), "#EXT-X-KEY:METHOD=NONE\n",
                                 "#EXT-X-KEY:\n", "\n", "#EXT-X-KEY", "\r\n", '#EXT-X-MAP:URI="', "#x"])))  # fmt: skip
def test_any_lines_are_signalled_or_refused_and_nothing_else_is_lost(parts: list[str]) -> None:
    text = TOP + "".join(parts)
    assert "".join(line.text + line.end for line in parse_playlist(text.encode())) == text
    try:
        made = signalled(text, {"init.mp4": CBCS}, Player.SHAKA)
    except DRMError:
        return
    kept = [line for line in text.split("\n") if not line.startswith("#EXT-X-KEY:METHOD=SAMPLE")]
    assert [line for line in made.split("\n") if not line.startswith("#EXT-X-KEY:METHOD=SAMPLE")] == kept
