"""`signal_mpd`: the Clear Key elements of any packager's MPD change, and not a byte besides."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import DRMError, InvalidArgumentError, MalformedMediaError, UnsupportedMediaError
from drm.keys import KeyId
from drm.manifests.initialization import ANY, Initialization
from drm.manifests.judging.verdicts import Plays
from drm.manifests.mpd_document import parse_mpd
from drm.manifests.rewrite import manifest_initializations, signal_manifest
from drm.manifests.rewrite_mpd import signal_mpd
from drm.media import Scheme

URL = "https://licenses.example.test/license?a=1&b=2"
SHAKAS = Path(__file__).parents[2] / "data" / "vectors" / "generated" / "pk_hls_fmp4" / "stream.mpd"
KID = KeyId.parse("00112233445566778899aabbccddeeff")
FOUND = {ANY: Initialization((KID,), Scheme.CENC)}
GENERAL = f'<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc" cenc:default_KID="{KID}"/>'
WIDEVINE = (
    '<ContentProtection schemeIdUri="urn:uuid:EDEF8BA9-79D6-4ACE-A3C8-27DCD51D21ED">'
    "<cenc:pssh>AAAA</cenc:pssh></ContentProtection>"
)
HEAD = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013"'
# Bento4's spelling: the right namespace under a prefix of its own; and our prefix stands for something else.
BENTO4 = f"""<?xml version="1.0" ?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" xmlns:clearkey="urn:other">
  <Period>
    <AdaptationSet mimeType="video/mp4">
      <!-- Widevine -->
      <ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc" cenc:default_KID="{KID}"/>
      <!-- Clear Key -->
      <ContentProtection schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e" value="ClearKey1.0">
        <ckey:Laurl xmlns:ckey="http://dashif.org/guidelines/clearKey" Lic_type="EME-1.0">http://old/</ckey:Laurl>
      </ContentProtection>
      <Representation id="v"/>
    </AdaptationSet>
  </Period>
</MPD>
"""
# FFmpeg's DASH muxer says nothing of encryption.
FFMPEGS = """<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">
\t<Period>
\t\t<AdaptationSet id="0" contentType="video">
\t\t\t<Representation id="0" mimeType="video/mp4">
\t\t\t\t<SegmentTemplate initialization="init-stream$RepresentationID$.m4s" media="c-$Number$.m4s"/>
\t\t\t</Representation>
\t\t</AdaptationSet>
\t\t<AdaptationSet id="1" contentType="audio">
\t\t\t<Representation id="1" mimeType="audio/mp4">
\t\t\t\t<AudioChannelConfiguration value="2"/>
\t\t\t\t<SegmentTemplate initialization="init-stream$RepresentationID$.m4s" media="c-$Number$.m4s"/>
\t\t\t</Representation>
\t\t</AdaptationSet>
\t</Period>
</MPD>
"""
ONE_LINE = f"{HEAD}><Period><AdaptationSet>{GENERAL}{WIDEVINE}<Representation/></AdaptationSet></Period></MPD>"
NO_GENERAL = f"{HEAD}><Period><AdaptationSet>{WIDEVINE}<Representation/></AdaptationSet></Period></MPD>"
IN_REPRESENTATION = (
    f"{HEAD}><Period><AdaptationSet><Representation>{GENERAL}</Representation></AdaptationSet></Period></MPD>"
)
NO_KID = ONE_LINE.replace(f' cenc:default_KID="{KID}"', "")
EMPTY = (
    f'{HEAD}><Period><AdaptationSet><SegmentTemplate initialization="i.mp4"/><Representation id="1"/></AdaptationSet>'
    "</Period></MPD>"
)
V = "<Representation><BaseURL>v.mp4</BaseURL></Representation>"
ALL = {
    "shaka": SHAKAS.read_text(),
    "bento4": BENTO4,
    "ffmpeg": FFMPEGS,
    "one line": ONE_LINE,
    "no general element": NO_GENERAL,
    "in a representation": IN_REPRESENTATION,
    "no kid": NO_KID,
    "an empty representation": EMPTY,
    "crlf": BENTO4.replace("\n", "\r\n"),
}
# What media says where MPDs leave it to media.
MEDIA = {
    name: Initialization((KID,), Scheme.CBCS) for name in ("i.mp4", "init-stream0.m4s", "init-stream1.m4s")
} | FOUND
# An element that this test finds by itself, without the reader under test.
OURS = re.compile(
    r'\s*<ContentProtection schemeIdUri="urn:uuid:(?:e2719d58|1077efec)-.*?</ContentProtection>', re.DOTALL
)
DECLARED = re.compile(r' xmlns:clearkey="[^"]*"')


@pytest.mark.parametrize("name", ALL)
def test_what_comes_out_plays_in_both_from_the_manifest_alone(name: str) -> None:
    done = signal_mpd(ALL[name].encode(), URL, MEDIA)
    assert [verdict.form for verdict in done.verdicts] == [Plays.FROM_MANIFEST] * 2
    assert {verdict.plays for verdict in done.verdicts} <= {Plays.FROM_MANIFEST, Plays.UNKNOWN}
    assert done.lacks == ()
    text = done.data.decode()
    assert "1077efec" not in text
    protections = [each for each in parse_mpd(done.data).walk() if "e2719d58" in each.attribute("schemeIdUri")]
    assert protections
    for each in protections:
        urls = [(child.prefix, child.namespace, child.name, child.text) for child in each.children]
        assert urls == [("clearkey", "http://dashif.org/guidelines/clearKey", "Laurl", URL)]
        assert each.children[0].attribute("Lic_type") == "EME-1.0"
        assert each.attribute("value") == "ClearKey1.0"


@pytest.mark.parametrize("name", ["shaka", "bento4", "one line", "in a representation", "crlf"])
def test_nothing_else_changes(name: str) -> None:
    before = ALL[name]
    after = signal_mpd(before.encode(), URL, {}).data.decode()
    assert after != before
    assert DECLARED.sub("", OURS.sub("", after)) == DECLARED.sub("", OURS.sub("", before))


@pytest.mark.parametrize("name", ALL)
def test_once_more_changes_nothing(name: str) -> None:
    once = signal_mpd(ALL[name].encode(), URL, MEDIA).data
    assert signal_mpd(once, URL, MEDIA).data == once
    moved = signal_mpd(once, "https://other.example.test/", MEDIA).data
    assert URL.replace("&", "&amp;").encode() not in moved
    assert signal_mpd(moved, URL, MEDIA).data == once


def test_other_systems_stay_unless_they_are_to_go() -> None:
    kept = signal_mpd(ONE_LINE.encode(), URL, {})
    assert WIDEVINE.encode() in kept.data
    assert any("other protection systems stay" in note for note in kept.notes)
    alone = signal_mpd(ONE_LINE.encode(), URL, {}, only_clearkey=True)
    assert b"EDEF8BA9" not in alone.data
    assert b"<cenc:pssh>" not in alone.data
    assert alone.verdicts[1].form is Plays.FROM_MANIFEST


def test_scheme_and_kid_come_from_the_media_where_the_mpd_says_nothing() -> None:
    assert manifest_initializations(FFMPEGS.encode(), "m") == ["init-stream0.m4s", "init-stream1.m4s"]
    kids = {
        "init-stream0.m4s": Initialization((KID,), Scheme.CBCS),
        "init-stream1.m4s": Initialization(),  # clear
    }
    text = signal_mpd(FFMPEGS.encode(), URL, kids).data.decode()
    picture, _, sound = text.partition('<AdaptationSet id="1"')
    assert f'value="cbcs" cenc:default_KID="{KID}"' in picture
    assert 'xmlns:cenc="urn:mpeg:cenc:2013"' in picture
    assert picture.index("<ContentProtection") < picture.index("<SegmentTemplate")
    assert sound == FFMPEGS.partition('<AdaptationSet id="1"')[2]
    assert "\n\t\t\t\t<ContentProtection" in picture, "not indented as its neighbours are"


def test_where_keys_change_the_mpd_names_none() -> None:
    kids = {"v.mp4": Initialization((KeyId(bytes(16)),), Scheme.CENC, rotates=True)}
    made = signal_mpd(NO_KID.replace("<Representation/>", V).encode(), URL, kids)
    assert b"default_KID" not in made.data
    assert [verdict.plays for verdict in made.verdicts] == [Plays.FROM_MANIFEST, Plays.NO]
    assert "the keys change" in " ".join(made.notes)


def test_a_missing_kid_is_put_in_when_the_media_tells_one() -> None:
    assert f'value="cenc" cenc:default_KID="{KID}"/>'.encode() in signal_mpd(NO_KID.encode(), URL, FOUND).data
    unknown = signal_mpd(NO_KID.encode(), URL, {})
    assert unknown.verdicts[1].plays is Plays.NO
    assert any("default_KID" in lack for lack in unknown.lacks)


def test_prefixes_that_stand_for_something_else_are_declared_anew() -> None:
    made = signal_mpd(BENTO4.encode(), URL, {}).data.decode()
    assert '<clearkey:Laurl xmlns:clearkey="http://dashif.org/guidelines/clearKey" Lic_type="EME-1.0">' in made
    assert 'xmlns:clearkey="urn:other"' in made
    assert "ckey" not in made


def test_heads_are_found_wherever_they_are_named() -> None:
    data = f"""{HEAD}><BaseURL>a/</BaseURL><Period><AdaptationSet>
    <SegmentTemplate initialization="$Bandwidth%05d$$$.mp4"/>
    <Representation id="1" bandwidth="77"/><Representation id="2"><SegmentList><Initialization sourceURL="i.mp4"/>
    </SegmentList></Representation></AdaptationSet><AdaptationSet><Representation><BaseURL>b.mp4</BaseURL></Representation>
    </AdaptationSet><AdaptationSet><Representation><BaseURL>http://[</BaseURL></Representation></AdaptationSet>
    </Period></MPD>"""
    assert manifest_initializations(data.encode(), "m") == ["a/00077$.mp4", "a/i.mp4", "a/b.mp4"]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'<!DOCTYPE MPD [<!ENTITY a "b">]><MPD>&a;</MPD>', MalformedMediaError),
        (b"<MPD>" + b"<a>" * 100 + b"</a>" * 100 + b"</MPD>", MalformedMediaError),
        (b"<MPD>" + b"<a/>" * 200_001 + b"</MPD>", MalformedMediaError),
        (b"<MPD " + b" ".join(b'xmlns:p%d="u"' % n for n in range(300)) + b"/>", MalformedMediaError),
        (b"<MPD><Period></MPD>", MalformedMediaError),
        (b"<html/>", MalformedMediaError),
        (f"{HEAD}><Period><AdaptationSet>{WIDEVINE * 65}<Representation/></AdaptationSet></Period></MPD>".encode(),
         MalformedMediaError),
        (f"{HEAD}><Period><AdaptationSet>{WIDEVINE * 64}<Representation>{WIDEVINE}</Representation></AdaptationSet>"
         "</Period></MPD>".encode(), MalformedMediaError),
        (b"<MPD>" + b" " * (16 << 20) + b"</MPD>", MalformedMediaError),
        ("<MPD/>".encode("utf-16"), UnsupportedMediaError),
        (b'<?xml version="1.0" encoding="x-none"?><MPD/>', MalformedMediaError),
        (b'<m:MPD xmlns:m="urn:mpeg:dash:schema:mpd:2011"/>', UnsupportedMediaError),
        (b"\x00\x00\x00\x18ftypiso6", MalformedMediaError),
    ],
)  # fmt: skip
def test_what_could_hurt_is_refused(data: bytes, kind: type[DRMError]) -> None:
    with pytest.raises(kind):
        signal_manifest(data, "m", URL)


@pytest.mark.parametrize(
    "url", ["", "/license", "ftp://h/", "https://", "https://h/ x", 'https://h/"', "https://h/<", "https://h/\n", "http://[",
            "https://h/ä", "javascript:1", "https://h/" + "a" * 3000]
)  # fmt: skip
def test_an_address_that_would_break_the_manifest_is_refused(url: str) -> None:
    for data in (ONE_LINE.encode(), b"#EXTM3U\n"):
        with pytest.raises(InvalidArgumentError):
            signal_manifest(data, "m", url)


@given(st.data())
def test_a_damaged_mpd_is_signalled_or_refused_and_nothing_worse(data: st.DataObject) -> None:
    whole = bytearray(ALL[data.draw(st.sampled_from(sorted(ALL)))].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
    try:
        done = signal_mpd(bytes(whole), URL, MEDIA)
    except DRMError:
        return
    parse_mpd(done.data)
