"""`clearkey signal` over MPDs that people had trouble with, and over others of the same kinds."""

from __future__ import annotations

import base64
import json
import re
import shutil

import pytest

from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, make_data
from drm.keys import KeyId
from drm.media import Scheme
from tests.unit.player.verbs.signal.signal_case import FIELD, A, Case, M, V, against, answers, case, of

__all__ = ["case"]

SWAPPED = "33221100-5544-7766-8899-aabbccddeeff"  # V in GUID order


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


@of("verdicts")
@pytest.mark.parametrize(("codecs", "code"), [("vp9", 0), ("vp09.00.10.08", 0), ("vp8", 3), ("", 0)])
def test_webm_is_read_as_mp4_is(case: Case, codecs: str, code: int) -> None:
    shutil.copy(FIELD.parent / "vectors" / "generated" / "pk_webm_vp9_v.webm", case.path("v.webm"))
    text = _mpd("", attributes=' cenc:default_KID="10000000-1000-1000-1000-100000000001"').replace(
        "v/init.mp4", "v.webm"
    )
    name = case.put("it.mpd", text.replace('id="v"', f'id="v" codecs="{codecs}"'))
    assert case.mend(name)[0] == code


@of("verdicts")
def test_what_lies_in_another_document_or_further_on_in_a_file_is_not_known(case: Case) -> None:
    assert case.mend("r01_nocp.mpd", "right.mpd")[0] == 0
    right = case.text("right.mpd")
    link = '<Period xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="https://ads.example.test/"/></MPD>'
    code, told = case.check(case.put("it.mpd", right.replace("</MPD>", link)))
    assert (code, "lies in another document" in told["verdicts"][0]["why"]) == (4, True)
    gone = link.replace("https://ads.example.test/", "urn:mpeg:dash:resolve-to-zero:2013")
    assert case.check(case.put("it.mpd", right.replace("</MPD>", gone)))[0] == 0
    media = '<BaseURL>v/init.mp4</BaseURL><SegmentBase><Initialization range="%s"/></SegmentBase></Representation>'
    for part, expected in (("0-967", 0), ("968-1935", 4)):
        text = re.sub(r"<SegmentTemplate[^>]*/>", "", right).replace("</Representation>", media % part)
        assert case.check(case.put("it.mpd", text))[0] == expected
