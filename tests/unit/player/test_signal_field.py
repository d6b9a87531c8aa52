"""`clearkey signal` over manifests that people had trouble with, and over others of the same kinds."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from drm.errors import DRMError, ExitCode
from drm.isobmff.pssh import Pssh
from drm.isobmff.pssh_payload import PLAYREADY, WIDEVINE, make_data
from drm.keys import KeyId
from drm.manifests.forms import Player
from drm.media import Scheme
from player.verbs.signal.run import SignalRequest, signal

FIELD = Path(__file__).parents[2] / "data" / "field"
URL = "https://licenses.example.test/license"
V = KeyId.parse("00112233-4455-6677-8899-aabbccddeeff")  # of manifest_kid's pictures
A = KeyId.parse("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")  # of its sound
M = KeyId.parse("6e2eabb8-5035-a404-d04f-169c971e303b")  # of the other folders
SWAPPED = "33221100-5544-7766-8899-aabbccddeeff"


class Case:
    """A folder of the field's, copied, and the command over what is in it."""

    def __init__(self, folder: Path, capsysbinary: Any) -> None:
        self.folder = folder
        self._capture = capsysbinary

    def path(self, name: str) -> Path:
        return self.folder / name

    def put(self, name: str, text: str) -> str:
        self.path(name).write_text(text)
        return name

    def text(self, name: str) -> str:
        return self.path(name).read_text()

    def check(self, name: str, **words: Any) -> tuple[int, dict[str, Any]]:
        """`signal --check --json`: the exit code, and what was printed."""
        self._capture.readouterr()
        code = signal(SignalRequest(manifest=str(self.path(name)), check=True, as_json=True, **words))
        return code, json.loads(self._capture.readouterr().out)

    def mend(self, name: str, output: str = "out", **words: Any) -> tuple[int, dict[str, Any]]:
        """`signal --license-url … -o output --json`, likewise."""
        self._capture.readouterr()
        if "kid" in words:
            words["kid"] = str(words["kid"])
        request = SignalRequest(
            manifest=str(self.path(name)), output=str(self.path(output)), license_url=URL, as_json=True, **words
        )
        code = signal(request)
        return code, json.loads(self._capture.readouterr().out)

    def refused(self, name: str, **words: Any) -> DRMError:
        """The same where it is an error, after which nothing was written."""
        with pytest.raises(DRMError) as caught:
            self.mend(name, **words)
        assert not self.path("out").exists()
        return caught.value


@pytest.fixture
def case(tmp_path: Path, capsysbinary: Any, request: pytest.FixtureRequest) -> Case:
    shutil.copytree(FIELD / request.param, tmp_path / "case")
    return Case(tmp_path / "case", capsysbinary)


def of(folder: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [folder], indirect=True, ids=[folder])


def answers(told: dict[str, Any]) -> dict[str, str]:
    return {each["player"]: each["answer"] for each in told["verdicts"]}


def against(told: dict[str, Any]) -> dict[str, str]:
    """Of each question that was answered with no: the evidence and the likely cause."""
    return {each["id"]: f"{each['evidence']}; {each['maybe']}" for each in told["findings"] if each["answer"] == "no"}


# ------------------------------------------------------------------------------------------------ what is right
@of("manifest_kid")
def test_what_agrees_with_its_media_plays_and_says_what_that_rests_on(case: Case) -> None:
    case.put("right.mpd", case.text("guidswap.mpd").replace(SWAPPED, str(V)))
    assert case.mend("right.mpd") == (0, case.mend("right.mpd")[1])
    code, told = case.check("out")
    assert (code, told["outcome"], answers(told)) == (0, "plays", {"shaka": "yes", "dash.js": "yes"})
    assert {(each["rests_on"], each["form"]) for each in told["verdicts"]} == {("media", "manifest")}
    evidence = " ".join(told["verdicts"][0]["evidence"])
    assert all(word in evidence for word in (f"KID {V}", f"KID {A}", "scheme cbcs", "codecs avc1.64000a", "mp4a.40.2"))
    again, changed = case.mend("out", "once-more")
    assert (again, changed["changed"]) == (0, False)
    assert "nothing had to change" in " ".join(changed["notes"])
    assert case.text("once-more") == case.text("out")


# ------------------------------------------------------------------------------------------------ contradictions
@of("manifest_kid")
@pytest.mark.parametrize(
    ("old", "new", "question", "said"),
    [
        pytest.param("", "", "CKA-06", [SWAPPED, str(V), "Windows GUID"], id="GUID order"),
        pytest.param(SWAPPED, str(A), "CKA-06", [str(A), str(V), "another track"], id="the sound's KID"),
        pytest.param(SWAPPED, str(KeyId(bytes(16))), "CKC-46", ["zeros"], id="zeros"),
        pytest.param(SWAPPED, f"{V} {A}", "CKC-46", [str(V), str(A), "one"], id="two at once"),
        pytest.param(SWAPPED, str(V)[:-1], "CKC-46", ["no key id", str(V)[:-1]], id="cut"),
        pytest.param(f'{SWAPPED}"/>', f'{V}"/>\n<ContentProtection schemeIdUri="urn:uuid:x"/>', "", [], id="none"),
        pytest.param("avc1.64000a", "hvc1.1.6.L63.90", "CKA-09", ["hvc1.1.6.L63.90", "avc1.64000a"], id="codec"),
        pytest.param("avc1.64000a", "avc1.640028", "CKA-09", ["avc1.640028", "avc1.64000a"], id="level"),
    ],
)
def test_a_contradiction_names_both_sides_and_a_likely_cause(
    case: Case, old: str, new: str, question: str, said: list[str]
) -> None:
    text = case.text("guidswap.mpd")
    if "avc1" in old:
        text = text.replace(SWAPPED, str(V))
    case.put("it.mpd", text.replace(old, new, 1))
    code, told = case.mend("it.mpd")
    expected = 3 if question in {"CKA-06", "CKC-46"} or "hvc1" in new else 0
    assert (code, told["outcome"]) == (expected, "nowhere" if expected else "plays" if not question else "unknown")
    assert set(against(told)) == ({question} if question else set())
    for words in said:
        assert words in against(told)[question]
    assert case.check("out")[0] == {"nowhere": 3, "unknown": 4, "plays": 0}[told["outcome"]]


@of("manifest_kid")
def test_a_scheme_that_is_not_the_medias_is_named_with_the_medias(case: Case) -> None:
    for code, told in (case.check("scheme.mpd"), case.mend("scheme.mpd")):
        assert (code, set(against(told))) == (3, {"CKA-07"})
        assert "says scheme cenc, and" in against(told)["CKA-07"]
        assert "has cbcs" in against(told)["CKA-07"]
        assert "does not play" not in json.dumps(told["notes"])


@of("verdicts")
@pytest.mark.parametrize(
    ("name", "question", "said"),
    [
        ("scheme_differs.mpd", "CKA-07", ["cbcs", "v/init.mp4 has cenc"]),
        ("r11c_two.mpd", "CKC-46", ["2 KIDs", str(M), str(V)]),
        ("r11d_bad.mpd", "CKC-46", ["'not-a-kid' is no key id"]),
        ("r01_nocp.mpd", "CKC-21", ["v/init.mp4 is encrypted (cenc", str(M), "nothing here says so"]),
    ],
)
def test_manifests_of_the_field_do_not_play_and_say_why(case: Case, name: str, question: str, said: list[str]) -> None:
    code, told = case.check(name)
    assert (code, told["outcome"], set(against(told))) == (3, "nowhere", {question})
    assert all(words in against(told)[question] for words in said)


@of("verdicts")
def test_what_was_not_read_is_not_known_and_is_not_success(case: Case) -> None:
    name = "noinit/r01_nocp.mpd"
    code, told = case.check(name)
    assert (code, told["outcome"], answers(told)) == (4, "unknown", {"shaka": "unknown", "dash.js": "unknown"})
    assert {each["rests_on"] for each in told["verdicts"]} == {"nothing"}
    assert all("v/init.mp4 was not read" in each["why"] for each in told["verdicts"])
    for words in ({}, {"kid": M, "scheme": Scheme.CENC}):
        refused = case.refused(name, **words)
        assert (refused.exit_code, "nothing here says that it is encrypted" in refused.seen) == (4, True)


@of("verdicts")
def test_what_lies_in_the_place_of_the_media_is_doubted(case: Case) -> None:
    assert case.mend("r01_nocp.mpd")[0] == 0, "encrypted, and said nowhere: now it is"
    init = case.path("v/init.mp4")
    whole = init.read_bytes()
    init.write_bytes(whole.replace(b"pssh", b"free"))
    assert case.check("out")[0] == 0, "players of DASH take the KID from the manifest"
    init.write_bytes(whole[: whole.rindex(M.value)] + V.value + whole[whole.rindex(M.value) + 16 :])
    code, told = case.check("out")
    assert (code, set(against(told))) == (4, {"CKC-68"}), "a pssh of another film"
    init.write_bytes(b"<html>not found</html>")
    code, told = case.check("out")
    assert (code, told["outcome"]) == (4, "unknown")
    assert any("v/init.mp4 was not read" in note for note in told["notes"])


# ------------------------------------------------------------------------------------------------ where KIDs stand
def _mpd(inside: str, *, attributes: str = "") -> str:
    return (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013"'
        ' xmlns:mspr="urn:microsoft:playready"><Period><AdaptationSet mimeType="video/mp4">'
        f'<ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc"{attributes}/>{inside}'
        '<Representation id="v"><BaseURL>v/init.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>'
    )


def _carried(system: str, tag: str, data: bytes) -> str:
    text = base64.b64encode(data).decode()
    return f'<ContentProtection schemeIdUri="urn:uuid:{system}"><{tag}>{text}</{tag}></ContentProtection>'


@of("manifest_without_kid")
def test_the_kid_of_a_playready_object_goes_into_the_manifest(case: Case) -> None:
    code, _ = case.mend("r03_playready_pro.mpd")
    assert code == 0
    assert f'value="cenc" cenc:default_KID="{M}"' in case.text("out")


@of("verdicts")
@pytest.mark.parametrize(
    ("inside", "lacks"),
    [
        (_carried(str(PLAYREADY), "mspr:pro", make_data(PLAYREADY, (M,), "cbcs")), ""),
        (_carried(str(PLAYREADY), "cenc:pssh", Pssh(PLAYREADY, (), make_data(PLAYREADY, (M,)), 0).encode()), ""),
        (_carried(str(WIDEVINE), "cenc:pssh", Pssh(WIDEVINE, (), make_data(WIDEVINE, (M,)), 0).encode()), ""),
        (_carried("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", "cenc:pssh", Pssh.common(M).encode()), ""),
        (_carried("1077efec-c0b2-4d02-ace3-3c1e52e2fb4b", "cenc:pssh", Pssh.common(M, V).encode()), "several KIDs"),
        (_carried(str(WIDEVINE), "cenc:pssh", b"\0\0\0\0damaged"), "neither media nor MPD"),
        ("", "neither media nor MPD"),
    ],
)
def test_one_reader_finds_the_kid_wherever_it_stands(case: Case, inside: str, lacks: str) -> None:
    case.path("v/init.mp4").unlink()
    name = case.put("it.mpd", _mpd(inside))
    if lacks:
        refused = case.refused(name)
        assert (refused.exit_code, lacks in refused.seen) == (4, True)
        return
    assert case.mend(name)[0] == 0
    assert f'value="cenc" cenc:default_KID="{M}"' in case.text("out")


@of("verdicts")
@pytest.mark.parametrize("spelled", [M.hex, M.hex.upper(), f"{{{M}}}", f" {M}\n", f"urn:uuid:{M}"])
def test_a_kid_in_another_notation_is_spelled_as_players_read_it(case: Case, spelled: str) -> None:
    name = case.put("it.mpd", _mpd("", attributes=f' cenc:default_KID="{spelled}"'))
    assert "default_KID" in json.dumps(case.check(name)[1]["findings"]) or spelled.strip() == str(M)
    assert case.mend(name)[0] == 0
    assert f'default_KID="{M}"' in case.text("out").replace(f'"{spelled}"', f'"{spelled.strip()}"')


@of("verdicts")
def test_a_kid_outside_its_namespace_is_seen_by_nobody_and_put_right(case: Case) -> None:
    name = case.put("it.mpd", _mpd("", attributes=f' default_KID="{M}"'))
    assert "no player sees it" in against(case.check(name)[1])["CKC-47"]
    code, told = case.mend(name)
    assert (code, answers(told)) == (0, {"shaka": "yes", "dash.js": "yes"})
    assert f' cenc:default_KID="{M}"' in case.text("out")


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
    line = f'#EXT-X-KEY:METHOD={method},URI="{URL}",KEYID=0x{M.hex},KEYFORMAT="org.w3.clearkey"\n'
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


# ------------------------------------------------------------------------------------------------ tenc and samples
@of("default_kid_unused")
def test_the_kid_that_samples_use_is_the_medias(case: Case) -> None:
    inside = _mpd("", attributes=f' cenc:default_KID="{V}"').replace("v/init.mp4", "F01.mp4")
    code, told = case.mend(case.put("it.mpd", inside))
    assert (code, answers(told)) == (0, {"shaka": "yes", "dash.js": "yes"})
    code, told = case.mend(case.put("tenc.mpd", inside.replace(str(V), str(A))))
    assert (code, str(V) in against(told)["CKA-06"]) == (3, True), "tenc's own KID, which no sample uses"
    silent = case.put("silent.mpd", inside.replace(f' cenc:default_KID="{V}"', ""))
    assert case.mend(silent)[0] == 0
    assert f'cenc:default_KID="{V}"' in case.text("out")
