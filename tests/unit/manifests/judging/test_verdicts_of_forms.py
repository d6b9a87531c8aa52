"""Verdicts on manifests, row by row of what players were seen to do."""

from __future__ import annotations

import pytest

from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.manifests.initialization import Initialization
from drm.manifests.judging.check_mpd import check_mpd
from drm.manifests.judging.players import DashStatement, HlsKey, LicenseUrl, dash_verdicts, hls_verdicts
from drm.manifests.judging.verdicts import Plays, worst
from drm.manifests.rewrite import check_manifest

MANIFEST, CONFIG, NO = Plays.FROM_MANIFEST, Plays.WITH_CONFIG, Plays.NO
KID = "00112233-4455-6677-8899-aabbccddeeff"
PSSH = "<cenc:pssh>AAAA</cenc:pssh>"
COMMON = "1077efec-c0b2-4d02-ace3-3c1e52e2fb4b"
CLEAR_KEY = "e2719d58-a985-b3c9-781a-b030af78d30e"
CPS, CK = "https://dashif.org/CPS", "http://dashif.org/guidelines/clearKey"
LAURL = "<dashif:Laurl>http://h/l</dashif:Laurl>"
CK_LAURL = f'<ck:Laurl xmlns:ck="{CK}" Lic_type="EME-1.0">http://h/l</ck:Laurl>'


def mpd(*protections: str, scheme: str = "cenc", kid: str = f'cenc:default_KID="{KID}"') -> bytes:
    general = f'<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="{scheme}" {kid}/>'
    return (
        f'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" xmlns:dashif="{CPS}"><Period>'
        f'<AdaptationSet>{general}{"".join(protections)}<Representation id="1"/></AdaptationSet></Period></MPD>'
    ).encode()


def system(uuid: str, *inside: str) -> str:
    return f'<ContentProtection schemeIdUri="urn:uuid:{uuid}">{"".join(inside)}</ContentProtection>'


def forms(data: bytes) -> dict[str, Plays]:
    """How far the manifest's words go; no media is at hand, so no verdict goes as far."""
    found = check_manifest(data, "m").verdicts
    assert {verdict.plays for verdict in found} <= {NO, Plays.UNKNOWN}
    return {verdict.player.value: verdict.form or verdict.plays for verdict in found}


@pytest.mark.parametrize(
    ("protections", "shaka", "dashjs"),
    [
        pytest.param([system(COMMON, PSSH)], CONFIG, NO, id="what Shaka Packager writes"),
        pytest.param([], NO, NO, id="the general element alone"),
        pytest.param([system(CLEAR_KEY)], CONFIG, CONFIG, id="Clear Key, empty"),
        pytest.param([system(CLEAR_KEY, PSSH)], CONFIG, NO, id="with pssh"),
        pytest.param([system(CLEAR_KEY, LAURL)], MANIFEST, MANIFEST, id="dashif:Laurl"),
        pytest.param([system(CLEAR_KEY, LAURL, PSSH)], MANIFEST, NO, id="dashif:Laurl and pssh"),
        pytest.param([system(CLEAR_KEY, CK_LAURL)], MANIFEST, MANIFEST, id="ck:Laurl"),
        pytest.param([system(CLEAR_KEY, CK_LAURL.replace("ck:", "clearkey:").replace(":ck", ":clearkey"))],
                     MANIFEST, MANIFEST, id="clearkey:Laurl"),
        pytest.param([system(CLEAR_KEY, CK_LAURL.replace(' Lic_type="EME-1.0"', ""))], CONFIG, MANIFEST,
                     id="without Lic_type"),
        pytest.param([system(CLEAR_KEY, LAURL.replace("Laurl", "laurl"))], CONFIG, MANIFEST, id="dashif:laurl"),
        pytest.param([system(CLEAR_KEY, f'<cps:Laurl xmlns:cps="{CPS}">http://h/l</cps:Laurl>')], MANIFEST, CONFIG,
                     id="another prefix"),
        pytest.param([system(COMMON, PSSH, LAURL)], MANIFEST, NO, id="common system with pssh and Laurl"),
        pytest.param([system(COMMON, LAURL)], MANIFEST, NO, id="common system with Laurl"),
        pytest.param([system(COMMON, PSSH), system(CLEAR_KEY, LAURL)], CONFIG, MANIFEST, id="both, common first"),
        pytest.param([system(CLEAR_KEY, CK_LAURL, LAURL)], MANIFEST, MANIFEST, id="both spellings"),
        pytest.param([system(CLEAR_KEY, "<dashif:Laurl> </dashif:Laurl>")], CONFIG, CONFIG, id="an empty Laurl"),
    ],
)  # fmt: skip
def test_what_an_mpd_says_decides_who_plays_it(protections: list[str], shaka: Plays, dashjs: Plays) -> None:
    assert forms(mpd(*protections)) == {"shaka": shaka, "dash.js": dashjs}


def test_what_is_not_clear_keys_to_play_is_said() -> None:
    assert forms(mpd(system(CLEAR_KEY, LAURL), scheme="cens")) == {"shaka": NO, "dash.js": NO}
    assert forms(mpd(system(CLEAR_KEY, LAURL), kid="")) == {"shaka": MANIFEST, "dash.js": NO}
    clear = mpd().replace(b"ContentProtection", b"SupplementalProperty")
    assert forms(clear) == {"shaka": MANIFEST, "dash.js": MANIFEST}
    clear = clear.replace(
        b"<Representation", b"<Representation><BaseURL>v.mp4</BaseURL></Representation><Representation"
    )
    encrypted = check_mpd(clear, {"v.mp4": Initialization((KeyId.parse(KID),))})
    assert {verdict.plays for verdict in encrypted.verdicts} == {NO}, "the media is encrypted, and nothing says so"


def test_each_verdict_but_a_good_one_says_what_to_do() -> None:
    for protections in ([], [system(CLEAR_KEY)], [system(COMMON, PSSH)], [system(CLEAR_KEY, PSSH)]):
        for verdict in check_manifest(mpd(*protections), "m").verdicts:
            assert verdict.why
            assert "signal" in verdict.remedy
    both = check_manifest(mpd(system(COMMON, PSSH), system(CLEAR_KEY, LAURL)), "m").verdicts
    assert "serverURL" in both[1].remedy, "configured, dash.js fails on what it plays by itself"


def test_a_representation_that_does_not_play_decides() -> None:
    whole = mpd(system(CLEAR_KEY, LAURL)).replace(
        b"</Period>", mpd(system(CLEAR_KEY)).partition(b"<Period>")[2].partition(b"</Period>")[0] + b"</Period>"
    )
    assert forms(whole) == {"shaka": CONFIG, "dash.js": CONFIG}


OF_CPS = LicenseUrl("dashif", CPS, "Laurl", "", "http://h/l")
OF_CK = LicenseUrl("ck", CK, "Laurl", "EME-1.0", "http://h/l")
OURS = LicenseUrl("clearkey", CK, "Laurl", "EME-1.0", "http://h/l")


@pytest.mark.parametrize(
    ("urls", "shaka", "dashjs"),
    [
        pytest.param((OURS,), "4.3, 4.16 and 5.2", "4.7 and 5.2", id="as we write it"),
        pytest.param((OF_CPS,), "4.16 and 5.2", "4.7 and 5.2", id="dashif"),
        pytest.param((OF_CK,), "4.3, 4.16 and 5.2", "5.2", id="ck"),
        pytest.param((OF_CPS, OF_CK), "4.3, 4.16 and 5.2", "5.2", id="two"),
    ],
)
def test_a_verdict_names_the_versions_that_read_the_spelling(
    urls: tuple[LicenseUrl, ...], shaka: str, dashjs: str
) -> None:
    general = DashStatement("urn:mpeg:dash:mp4protection:2011", "cenc", has_kid=True)
    found = dash_verdicts([general, DashStatement(f"urn:uuid:{CLEAR_KEY}", urls=urls)])
    for verdict, told, best in zip(found, (shaka, dashjs), ("4.3, 4.16 and 5.2", "4.7 and 5.2"), strict=True):
        assert verdict.plays is MANIFEST
        assert verdict.why.endswith(f" in a spelling that {told} read")
        assert verdict.remedy == ("" if told == best else f"clearkey signal writes the spelling that {best} read")


IDENTITY = HlsKey("SAMPLE-AES", "identity", "http://h/hls/key/00", has_kid=False)
CLEARKEY = HlsKey("SAMPLE-AES", "org.w3.clearkey", "http://h/license", has_kid=True)


def ctr(key: HlsKey) -> HlsKey:
    return HlsKey("SAMPLE-AES-CTR", key.key_format, key.uri, key.has_kid)


def with_uri(key: HlsKey, uri: str) -> HlsKey:
    return HlsKey(key.method, key.key_format, uri, key.has_kid)


@pytest.mark.parametrize(
    ("keys", "shaka", "hlsjs"),
    [
        pytest.param([with_uri(IDENTITY, "data:text/plain;base64,AA==")], NO, NO, id="Shaka Packager's own"),
        pytest.param([], NO, NO, id="no line"),
        pytest.param([IDENTITY], MANIFEST, NO, id="identity"),
        pytest.param([ctr(IDENTITY)], MANIFEST, NO, id="identity, cenc"),
        pytest.param([CLEARKEY], NO, CONFIG, id="org.w3.clearkey"),
        pytest.param([with_uri(CLEARKEY, "data:application/json,{}")], NO, NO, id="org.w3.clearkey with data"),
        pytest.param([HlsKey("SAMPLE-AES", "org.w3.clearkey", "http://h", has_kid=False)], NO, NO, id="no KEYID"),
        pytest.param([ctr(IDENTITY), ctr(CLEARKEY)], MANIFEST, CONFIG, id="both, cenc"),
        pytest.param([IDENTITY, CLEARKEY], MANIFEST, NO, id="both, cbcs"),
    ],
)
def test_which_key_lines_a_playlist_has_decides_who_plays_it(keys: list[HlsKey], shaka: Plays, hlsjs: Plays) -> None:
    found = {each.player: each.plays for each in hls_verdicts(keys, is_protected=True, is_fmp4=True)}
    assert found == {Player.SHAKA: shaka, Player.HLSJS: hlsjs}


def test_a_verdict_on_a_playlist_names_the_versions_that_need_more() -> None:
    shaka, hlsjs = hls_verdicts([ctr(IDENTITY), ctr(CLEARKEY)], is_protected=True, is_fmp4=True)
    assert "4.16 and 5.2 fetch" in shaka.why
    assert "all that 1.7 needs (1.5 and 1.6: the license request as well)" in hlsjs.why


def test_hls_js_needs_a_pssh_in_the_media() -> None:
    found = hls_verdicts([ctr(IDENTITY), ctr(CLEARKEY)], is_protected=True, is_fmp4=True, has_pssh=False)
    assert [each.plays for each in found] == [MANIFEST, NO]
    assert "pssh insert" in found[1].remedy


def test_transport_streams_are_not_for_clear_key() -> None:
    assert {each.plays for each in hls_verdicts([IDENTITY], is_protected=True, is_fmp4=False)} == {NO}


def test_the_worst_of_each_player_is_kept() -> None:
    both = [*hls_verdicts([IDENTITY], is_protected=True, is_fmp4=True),
            *hls_verdicts([CLEARKEY], is_protected=True, is_fmp4=True)]  # fmt: skip
    assert {each.player: each.plays for each in worst(both)} == {Player.SHAKA: NO, Player.HLSJS: NO}
