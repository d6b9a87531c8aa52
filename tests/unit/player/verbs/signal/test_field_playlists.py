"""`clearkey signal` over playlists, and over clear parts of manifests, that people had trouble with."""

from __future__ import annotations

import base64
import json
import shutil

import pytest

from drm.errors import ExitCode, InvalidArgumentError
from drm.isobmff.pssh.payload import PLAYREADY, make_data
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.media import Scheme
from tests.unit.player.verbs.signal.signal_case import FIELD, URL, Case, M, V, against, case, of

__all__ = ["case"]


# ------------------------------------------------------------------------------------------------ what is clear
@of("kid_on_clear")
def test_a_kid_that_is_given_goes_to_what_says_that_it_is_protected(case: Case) -> None:
    text = case.text("r06_ads.mpd").replace(f' cenc:default_KID="{M}"', "")
    assert case.mend(case.put("it.mpd", text), kid=M, scheme=Scheme.CENC)[0] == 0
    before, after = (part.split("<Period") for part in (text, case.text("out")))
    assert [one == other for one, other in zip(before[1:], after[1:], strict=True)] == [True, False, True, False]
    assert f'cenc:default_KID="{M}"' in after[2]
    assert f'cenc:default_KID="{V}"' in after[4]


@of("kid_on_clear")
def test_thumbnails_and_pictures_without_protection_stay_as_they_are(case: Case) -> None:
    code, told = case.mend("r08_trick.mpd", kid=M, scheme=Scheme.CENC)
    assert code == 0
    before, after = (case.text(name).split("<AdaptationSet") for name in ("r08_trick.mpd", "out"))
    assert [one == other for one, other in zip(before[1:], after[1:], strict=True)] == [False, False, True]
    assert "th/init.mp4" not in json.dumps(told), "a picture is no media to be read"


@of("hls_rotation")
def test_a_clear_playlist_stays_clear_whatever_is_given(case: Case) -> None:
    lines = case.text("h20_rot.m3u8").splitlines(keepends=True)
    clear = "".join(line for line in lines if "EXT-X-KEY" not in line)
    case.path("init.mp4").unlink()
    name = case.put("clear.m3u8", clear)
    assert case.refused(name, kid=M, scheme=Scheme.CBCS).exit_code == 4
    shutil.copy(FIELD / "manifest_kid" / "vi.mp4", case.path("init.mp4"))
    assert case.refused(name, kid=M).exit_code == ExitCode.KEY_WRONG, "the media is under another key"
    assert case.mend(name)[0] == 0, "the media tells"
    assert V.hex in case.text("out")


# ------------------------------------------------------------------------------------------------ HLS
def _pr(kid: KeyId) -> str:
    return f"data:text/plain;charset=UTF-16;base64,{base64.b64encode(make_data(PLAYREADY, (kid,))).decode()}"


@of("hls_rotation")
@pytest.mark.parametrize(("player", "format_"), [(Player.SHAKA, "identity"), (Player.HLSJS, "org.w3.clearkey")])
def test_each_period_gets_its_own_key_and_each_key_its_own_uri(case: Case, player: Player, format_: str) -> None:
    code, told = case.mend("h20_rot.m3u8", player=player)
    ours = [line for line in case.text("out").splitlines() if f'KEYFORMAT="{format_}"' in line]
    assert [(M.hex in line, V.hex in line) for line in ours] == [(True, False), (False, True)]
    uris = [line.partition('URI="')[2].partition('"')[0] for line in ours]
    assert len(set(uris)) == 2
    assert code == 3, "two keys under one initialization segment play nowhere"
    assert "under one EXT-X-MAP" in told["verdicts"][0]["why"]
    assert [line for line in case.text("out").splitlines() if line not in ours] == case.text(
        "h20_rot.m3u8"
    ).splitlines()


@of("hls_rotation")
def test_keys_in_playreadys_data_change_with_their_maps_and_play(case: Case) -> None:
    shutil.copy(FIELD / "manifest_kid" / "vi.mp4", case.path("second.mp4"))
    parts = [
        f'#EXT-X-MAP:URI="{name}"\n#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{_pr(kid)}",KEYFORMAT="com.microsoft.playready"\n'
        f"#EXTINF:4,\n{number}.m4s\n"
        for number, (name, kid) in enumerate((("init.mp4", M), ("second.mp4", V)))
    ]
    name = case.put("it.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + "".join(parts))
    for player in (Player.SHAKA, Player.HLSJS):
        code, told = case.mend(name, player=player)
        assert (code, told["verdicts"][0]["answer"], told["verdicts"][0]["rests_on"]) == (0, "yes", "media")
    one_url = case.text("out").replace(f"?kid={M.hex}", "").replace(f"?kid={V.hex}", "")
    code, told = case.check(case.put("one.m3u8", one_url), player=Player.HLSJS)
    assert (code, "one URI, by which it knows a key" in told["verdicts"][0]["why"]) == (3, True)


@of("hls_rotation")
def test_a_line_of_one_system_leaves_those_of_others_in_force(case: Case) -> None:
    """RFC 8216, 4.3.2.4: a key line holds until the next of the same KEYFORMAT."""
    lines = case.text("h20_rot.m3u8").splitlines(keepends=True)
    ours = f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{URL}",KEYID=0x{M.hex},KEYFORMAT="org.w3.clearkey"\n'
    text = "".join(lines[:5]) + ours + "".join(lines[5:]).replace(V.hex, M.hex)
    code, told = case.check(case.put("it.m3u8", text), player=Player.HLSJS)
    assert (code, told["verdicts"][0]["plays"]) == (0, "config"), told


@of("hls_unchanged")
@pytest.mark.parametrize("method", ["SAMPLE-AES", "SAMPLE-AES-CTR"])
def test_method_and_keyid_of_other_systems_tell_scheme_and_kid(case: Case, method: str) -> None:
    text = case.text("h03_multidrm.m3u8").replace("METHOD=SAMPLE-AES,", f"METHOD={method},")
    code, told = case.mend(case.put("it.m3u8", text), player=Player.HLSJS)
    assert (code, told["changed"], told["verdicts"][0]["answer"]) == (0, True, "unknown")
    line = f'#EXT-X-KEY:METHOD={method},URI="{URL}?kid={M.hex}",KEYID=0x{M.hex},KEYFORMAT="org.w3.clearkey"\n'
    assert case.text("out").replace(line, "") == text


@of("hls_unchanged")
def test_where_no_line_tells_a_kid_what_is_missing_is_said(case: Case) -> None:
    lines = case.text("h03_multidrm.m3u8").splitlines(keepends=True)
    fairplay = "".join(line for line in lines if "EXT-X-KEY" not in line or "skd://" in line)
    name = case.put("it.m3u8", fairplay)
    refused = case.refused(name)
    assert (refused.exit_code, "init.mp4 was not read" in refused.seen, "--kid" in refused.remedy) == (4, True, True)
    assert case.mend(name, kid=M, player=Player.SHAKA)[0] == 0
    assert f"hls/key/{M.hex}" in case.text("out")


@of("hls_rotation")
@pytest.mark.parametrize(
    ("line", "question", "said"),
    [
        (f'METHOD=SAMPLE-AES,URI="{URL}",KEYID=0x{M.byte_reversed.hex},KEYFORMAT="org.w3.clearkey"', "CKA-06", "GUID"),
        (f'METHOD=SAMPLE-AES,URI="https://k/{V.hex}",KEYFORMAT="identity"', "CKA-06", str(V)),
        (f'METHOD=SAMPLE-AES-CTR,URI="https://k/{M.hex}",KEYFORMAT="identity"', "CKC-59", "cenc"),
        (f'METHOD=SAMPLE-AES,URI="{URL}",KEYID=0x{"0" * 32},KEYFORMAT="org.w3.clearkey"', "SIG-02", "zeros"),
        (f'METHOD=SAMPLE-AES,URI="{URL}",KEYID=0x77,KEYFORMAT="org.w3.clearkey"', "SIG-02", "no key id"),
        ('METHOD=SAMPLE-AES,URI="data:text/plain;base64,AAECAwQFBgcICQoLDA0ODw=="', "CKC-58", "they are the key"),
    ],
)
def test_key_lines_are_held_against_the_media(case: Case, line: str, question: str, said: str) -> None:
    text = f'#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI="init.mp4"\n#EXT-X-KEY:{line}\n#EXTINF:4,\n1.m4s\n'
    code, told = case.check(case.put("it.m3u8", text))
    assert code == 3
    assert said in against(told)[question]
    assert "000102030405" not in json.dumps(told), "what may be a key is shown to nobody"


@of("hls_rotation")
def test_what_stands_for_a_key_and_is_no_kid_of_the_media_goes_into_no_url(case: Case) -> None:
    line = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,AAECAwQFBgcICQoLDA0ODw=="\n'
    text = f'#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MAP:URI="init.mp4"\n{line}#EXTINF:4,\n1.m4s\n'
    code, _ = case.mend(case.put("it.m3u8", text), player=Player.SHAKA)
    assert (code, M.hex in case.text("out"), "000102030405" in case.text("out")) == (0, True, False)


@of("hls_rotation")
def test_a_player_that_does_not_read_it_is_no_player_to_ask_about(case: Case) -> None:
    with pytest.raises(InvalidArgumentError, match=r"dash\.js reads no HLS"):
        case.check("h20_rot.m3u8", player=Player.DASHJS)
    mpd = case.put("it.mpd", "<MPD/>")
    with pytest.raises(InvalidArgumentError, match=r"hls\.js reads no MPD"):
        case.check(mpd, player=Player.HLSJS)


@of("hls_rotation")
def test_segments_that_are_encrypted_as_a_whole_are_refused_by_name(case: Case) -> None:
    text = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:4,\n1.ts\n'
    refused = case.refused(case.put("it.m3u8", text))
    assert (refused.exit_code, refused.seen) == (3, "METHOD=AES-128")
    assert case.check("it.m3u8")[0] == 4, "whether it plays is no matter of Clear Key"


@of("hls_rotation")
def test_an_initialization_segment_that_is_not_the_one_that_was_read_tells_nothing(case: Case) -> None:
    key = f'#EXT-X-KEY:METHOD=SAMPLE-AES,URI="{URL}",KEYID=0x{V.hex},KEYFORMAT="org.w3.clearkey"\n#EXTINF:4,\n1.m4s\n'
    top = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
    for text, code in (
        (f'{top}#EXT-X-MAP:URI="init.mp4"\n{key}', 3),
        (f'{top}#EXT-X-MAP:URI="init.mp4",BYTERANGE="9@0"\n{key}', 3),
        (f'{top}#EXT-X-MAP:URI="init.mp4",BYTERANGE="900@1025"\n{key}', 4),
        (f'{top}#EXT-X-MAP:URI="init.mp4?1"\n{key}#EXT-X-MAP:URI="init.mp4?2"\n{key}', 4),
    ):
        assert case.check(case.put("it.m3u8", text), player=Player.HLSJS)[0] == code, text


# ------------------------------------------------------------------------------------------------ queries, variables
@of("query_child")
def test_a_query_is_for_servers_and_no_part_of_a_files_name(case: Case) -> None:
    case.put("m.m3u8", case.text("m.m3u8").replace("token=abc", "token=a/b.c"))
    code, _ = case.mend("m.m3u8", "out.m3u8", player=Player.HLSJS)
    assert code == 0
    assert case.text("out.m3u8").splitlines()[-1] == "out-v.m3u8?token=a/b.c"
    assert M.hex in case.text("out-v.m3u8")
    assert sorted(path.name for path in case.folder.iterdir()) == [
        "init.mp4", "m.m3u8", "out-v.m3u8", "out.m3u8", "v.m3u8"
    ]  # fmt: skip


@of("query_child")
def test_variables_are_put_in_where_lines_are_read_and_stay_where_they_stand(case: Case) -> None:
    define = '#EXT-X-DEFINE:NAME="kind",VALUE="v"\n#EXT-X-DEFINE:NAME="head",VALUE="init"\n'
    case.put("m.m3u8", case.text("m.m3u8").replace("#EXTM3U\n", f"#EXTM3U\n{define}").replace("v.m3u8", "{$kind}.m3u8"))
    imports = '#EXT-X-DEFINE:IMPORT="head"\n#EXT-X-DEFINE:QUERYPARAM="token"\n'
    child = case.text("v.m3u8").replace("#EXTM3U\n", f"#EXTM3U\n{imports}")
    case.put("v.m3u8", child.replace('URI="init.mp4"', 'URI="{$head}.mp4?{$token}"'))
    code, told = case.mend("m.m3u8", "out.m3u8", player=Player.HLSJS)
    assert (code, told["verdicts"][0]["answer"], told["verdicts"][0]["rests_on"]) == (0, "yes", "media")
    assert case.text("out.m3u8").splitlines()[-1] == "out-v.m3u8?token=abc"
    assert '#EXT-X-MAP:URI="{$head}.mp4?{$token}"' in case.text("out-v.m3u8")
    alone, told = case.check("v.m3u8")
    assert (alone, "was not read" in json.dumps(told["notes"])) == (3, True), "alone, nobody knows its variables"


@of("query_child")
def test_codecs_of_the_variant_are_held_against_its_media(case: Case) -> None:
    case.put("m.m3u8", case.text("m.m3u8").replace("avc1.64000c", "hvc1.1.6.L63.90"))
    code, told = case.mend("m.m3u8", "out.m3u8", player=Player.HLSJS)
    assert (code, "hvc1.1.6.L63.90" in against(told)["CKA-09"]) == (3, True)
