"""HLS playlists as segments: ranges, variables, keys, discontinuities, and what is refused."""

from __future__ import annotations

import pytest

from drm.errors import MalformedMediaError, MediaError, UnsupportedMediaError
from drm.keys import KeyId
from drm.manifests.playlist import Context, parse_playlist
from drm.manifests.playlist_keys import key_groups
from drm.streaming.playlist_master import PlaylistReference, read_multivariant
from drm.streaming.playlist_media import MediaPlaylist, read_media_playlist
from drm.streaming.presentation import Kind, Piece

URL = "https://cdn.example/one/v.m3u8?token=t1"
KID = KeyId(bytes(range(16)))


def read(body: str, context: Context | None = None, *, as_listed: bool = False) -> MediaPlaylist:
    return read_media_playlist(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n{body}".encode(), URL, context, as_listed=as_listed)


def ended(body: str, context: Context | None = None) -> MediaPlaylist:
    return read(f"{body}\n#EXT-X-ENDLIST\n", context)


def test_ranges_with_and_without_an_offset() -> None:
    found = ended(
        '#EXT-X-MAP:URI="f.mp4",BYTERANGE="100@0"\n#EXTINF:2,\n#EXT-X-BYTERANGE:50@100\nf.mp4\n'
        "#EXTINF:1.5,\n#EXT-X-BYTERANGE:70\nf.mp4\n"
    )
    uri = ("https://cdn.example/one/f.mp4",)
    first, second = (each.segment for each in found.segments)
    assert first.initialization == second.initialization == Piece(uri, 0, 100)
    assert (first.media, second.media) == (Piece(uri, 100, 50), Piece(uri, 150, 70))
    assert (first.duration, second.start, second.duration) == (2, 2, 1.5)


@pytest.mark.parametrize(
    "body",
    [
        "#EXTINF:2,\n#EXT-X-BYTERANGE:50\na\n",
        "#EXTINF:2,\n#EXT-X-BYTERANGE:50@0\na\n#EXTINF:2,\n#EXT-X-BYTERANGE:50\nb\n",
        "#EXTINF:2,\n#EXT-X-BYTERANGE:5@0\na\n#EXTINF:2,\nb\n#EXTINF:2,\n#EXT-X-BYTERANGE:5@0\nb\n"
        "#EXTINF:2,\n#EXT-X-BYTERANGE:5\na\n",
    ],
)
def test_a_range_without_an_offset_is_behind_the_last_one_of_the_same_file(body: str) -> None:
    with pytest.raises(MalformedMediaError, match="without an offset"):
        ended(body)


def test_variables_of_all_three_kinds() -> None:
    context = Context({"cdn": "https://x.example"}, "?token=t1")
    found = ended(
        '#EXT-X-DEFINE:IMPORT="cdn"\n#EXT-X-DEFINE:QUERYPARAM="token"\n#EXT-X-DEFINE:NAME="d",VALUE="dir"\n'
        "#EXTINF:2,\n{$cdn}/{$d}/a?token={$token}\n",
        context,
    )
    assert found.segments[0].segment.media.uris == ("https://x.example/dir/a?token=t1",)


@pytest.mark.parametrize("define", ["", '#EXT-X-DEFINE:IMPORT="x"\n', '#EXT-X-DEFINE:QUERYPARAM="x"\n'])
def test_a_variable_that_nobody_defines(define: str) -> None:
    with pytest.raises(MalformedMediaError, match="not defined"):
        ended(f"{define}#EXTINF:2,\n{{$x}}\n", Context({}, ""))


def test_a_bomb_of_variables() -> None:
    value = "x" * 60_000
    with pytest.raises(MalformedMediaError, match="characters"):
        ended(f'#EXT-X-DEFINE:NAME="a",VALUE="{value}"\n' + "#EXTINF:2,\n{$a}\n" * 10_000)


def test_a_key_line_ends_those_of_its_own_format_alone() -> None:
    lines = (
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="a",KEYFORMAT="one"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="b",KEYFORMAT="two"\n'
        '#EXTINF:2,\n1\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="c",KEYFORMAT="one"\n#EXTINF:2,\n2\n'
        "#EXT-X-KEY:METHOD=NONE\n#EXTINF:2,\n3\n"
    )
    held = [[key.uri for key in each.keys] for each in ended(lines).segments]
    assert held == [["a", "b"], ["b", "c"], []]
    groups = key_groups(parse_playlist(f"#EXTM3U\n{lines}".encode()))
    assert [[key.uri for key in group.keys] for group in groups] == held


def test_key_ids_and_key_lines_in_words() -> None:
    found = ended(
        f'#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="https://l.example/x",KEYFORMAT="org.w3.clearkey",KEYID=0x{KID.hex}\n'
        '#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:text/plain;base64,ABEiM0RVZneImaq7zN3u/w=="\n#EXTINF:2,\n1\n'
    )
    named = {kid for statement in found.statements() for kid in statement.key_ids}
    assert named == {KID}  # what stands in an identity data: URI may be a key: nobody is asked for it
    assert "ABEiM0" not in "".join(found.key_lines())
    assert len(found.key_lines()) == 2


def test_the_discontinuity_sequence() -> None:
    found = ended("#EXT-X-DISCONTINUITY-SEQUENCE:4\n#EXTINF:2,\n1\n#EXT-X-DISCONTINUITY\n#EXTINF:2,\n2\n")
    assert [each.discontinuity for each in found.segments] == [4, 5]


def test_a_gap_is_left_out_and_takes_its_time() -> None:
    found = ended("#EXTINF:2,\n1\n#EXT-X-GAP\n#EXTINF:2,\n2\n#EXTINF:2,\n3\n")
    assert [each.segment.start for each in found.segments] == [0, 4]
    assert found.notes


REFUSED = {
    "AES-128": '#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:2,\n1\n',
    "unknown method": '#EXT-X-KEY:METHOD=ROT13,URI="k"\n#EXTINF:2,\n1\n',
    "trick play": "#EXT-X-I-FRAMES-ONLY\n#EXTINF:2,\n1\n",
    "delta": "#EXT-X-SKIP:SKIPPED-SEGMENTS=4\n#EXTINF:2,\n1\n",
    "no duration": "#EXTINF:,\n1\n",
    "a range": "#EXTINF:2,\n#EXT-X-BYTERANGE:x\n1\n",
    "a master": "#EXT-X-STREAM-INF:BANDWIDTH=1\n1\n",
    "5,000 digits": f"#EXTINF:{'9' * 5000},\n1\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_not_played_is_refused_by_name(body: str) -> None:
    with pytest.raises(MediaError):
        ended(body)


def test_live_is_refused_with_a_way_out() -> None:
    with pytest.raises(UnsupportedMediaError) as refused:
        read("#EXTINF:2,\n1\n")
    assert "--as-listed" in refused.value.remedy
    assert len(read("#EXTINF:2,\n1\n", as_listed=True).segments) == 1
    assert len(read("#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:2,\n1\n").segments) == 1


def test_variants_and_their_sound() -> None:
    text = """#EXTM3U
#EXT-X-DEFINE:NAME="d",VALUE="deep"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="German",LANGUAGE="de",DEFAULT=YES,URI="{$d}/de.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="g",NAME="English",LANGUAGE="en",URI="en.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="English",URI="s.m3u8"
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=5,URI="i.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=900,RESOLUTION=640x360,CODECS="avc1.64001e,mp4a.40.2",AUDIO="g"
high.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=300,RESOLUTION=320x180,CODECS="avc1.64000c,mp4a.40.2"
low.m3u8
"""
    found = read_multivariant(text.encode(), URL)
    pictures, german, english = found.periods[0].sets
    assert [(each.kind, each.height, each.sound) for each in pictures.renditions] == [
        (Kind.VIDEO, 360, "g"),
        (Kind.MIXED, 180, ""),
    ]
    assert (german.is_default, german.language, english.language) == (True, "de", "en")
    reference = german.renditions[0].source
    assert isinstance(reference, PlaylistReference)
    assert reference.url == "https://cdn.example/one/deep/de.m3u8"
    assert reference.context.variables == {"d": "deep"}
    assert len(found.passed_over) == 2
