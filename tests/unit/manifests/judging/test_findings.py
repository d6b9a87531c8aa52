"""Each question on a manifest and its media: yes, no or unknown, and on what that rests."""

from __future__ import annotations

from typing import Any

import pytest

from drm.keys import KeyId
from drm.manifests.codec_names import Likeness, likeness
from drm.manifests.forms import CLEARKEY_URN, MP4_PROTECTION, Player
from drm.manifests.initialization import Initialization
from drm.manifests.judging.findings import Answer, Basis, Facts, Finding, Weight, findings, kid_is_one
from drm.manifests.judging.players import DashStatement, HlsKey, LicenseUrl, dash_verdicts, one_map, one_url
from drm.manifests.judging.verdicts import Plays, Verdict, judged
from drm.media import Scheme

V, A = KeyId.parse("00112233445566778899aabbccddeeff"), KeyId.parse("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf")
MEDIA = Initialization((V,), Scheme.CENC, (V, A), ("avc1.64000a",))
AGREES = Facts(
    where="here", is_protected=True, told=(V,), spelled=str(V), schemes=("cenc",), codecs=("avc1.64000A",),
    boxes=(V,), head="v.mp4", media=MEDIA,
)  # fmt: skip
RIGHT = Verdict(Player.SHAKA, Plays.WITH_CONFIG, "its form is right", "set a URL")


def but(facts: Facts = AGREES, **changes: Any) -> list[Finding]:
    fields = {name: getattr(facts, name) for name in Facts.__struct_fields__}
    return findings(Facts(**{**fields, **changes}))


def media(**changes: Any) -> Initialization:
    fields = {name: getattr(MEDIA, name) for name in Initialization.__struct_fields__}
    return Initialization(**{**fields, **changes})


def test_what_agrees_is_a_yes_to_every_question_and_rests_on_the_media() -> None:
    assert {each.answer for each in but()} == {Answer.YES}
    verdict = judged(RIGHT, but())
    assert (verdict.plays, verdict.answer, verdict.rests_on) == (Plays.WITH_CONFIG, Answer.YES, Basis.MEDIA)
    assert any(str(V) in each for each in verdict.evidence)


@pytest.mark.parametrize(
    ("changes", "question", "plays"),
    [
        ({"media": None}, "", Plays.UNKNOWN),
        ({"media": None, "head": ""}, "", Plays.UNKNOWN),
        ({"told": (A,), "spelled": str(A), "boxes": None}, "CKA-06", Plays.NO),
        ({"told": (V.byte_reversed,), "spelled": str(V.byte_reversed), "boxes": None}, "CKA-06", Plays.NO),
        ({"schemes": ("cbcs",)}, "CKA-07", Plays.NO),
        ({"schemes": ("cenc", "cbcs")}, "CKA-07", Plays.NO),
        ({"schemes": ("cbcs",), "is_hls": True}, "CKC-59", Plays.NO),
        ({"codecs": ("hvc1.1.6.L63.90",)}, "CKA-09", Plays.NO),
        ({"codecs": ("avc1.640028",)}, "CKA-09", Plays.UNKNOWN),
        ({"boxes": ()}, "CKC-24", Plays.UNKNOWN),
        ({"boxes": (A,)}, "CKC-24", Plays.UNKNOWN),
        ({"is_protected": False, "told": (), "boxes": None}, "CKC-21", Plays.NO),
        ({"media": media(key_ids=(), named=())}, "CKC-21", Plays.UNKNOWN),
        ({"media": media(key_ids=(), named=()), "is_hls": True}, "SIG-01", Plays.UNKNOWN),
        ({"media": media(named=(A,))}, "CKC-68", Plays.UNKNOWN),
        ({"media": media(key_ids=(V, A))}, "CKA-06", Plays.UNKNOWN),
        ({"media": media(rotates=True), "is_hls": True}, "SIG-03", Plays.UNKNOWN),
        ({"fault": "9 characters", "told": ()}, "CKC-46", Plays.NO),
        ({"told": (V, A)}, "CKC-46", Plays.NO),
        ({"spelled": f"{{{V}}}"}, "CKC-46", Plays.NO),
        ({"spelled": V.hex}, "CKC-46", Plays.WITH_CONFIG),
        ({"is_misplaced": True}, "CKC-47", Plays.WITH_CONFIG),
        ({"media": media(scheme=None)}, "", Plays.UNKNOWN),
    ],
)
def test_what_does_not_agree_decides_as_its_weight_says(changes: dict[str, Any], question: str, plays: Plays) -> None:
    found = but(**changes)
    against = [each for each in found if each.answer is Answer.NO]
    if question:
        assert question in {each.id for each in against}
    else:
        assert not against
        assert Answer.UNKNOWN in {each.answer for each in found}
    verdict = judged(RIGHT, found)
    assert (verdict.plays, verdict.form) == (plays, Plays.WITH_CONFIG)
    if plays is Plays.UNKNOWN:
        assert RIGHT.remedy in verdict.remedy, "what to set once it is known"


def test_a_form_that_does_not_play_needs_no_media_to_say_so() -> None:
    wrong = Verdict(Player.SHAKA, Plays.NO, "no Clear Key")
    assert judged(wrong, but(media=None)) == wrong
    unsaid = judged(wrong, but(is_protected=False, told=(), boxes=None))
    assert (unsaid.rests_on, "nothing here says so" in unsaid.why) == (Basis.MEDIA, True)


def test_zeros_and_spellings_are_named() -> None:
    zeros = kid_is_one(Facts(where="", told=(KeyId(bytes(16)),), spelled="0" * 32))
    assert (zeros.answer, zeros.basis, "Shaka Packager" in zeros.maybe) == (Answer.NO, Basis.MANIFEST, True)
    assert kid_is_one(Facts(where="", told=(V,), spelled=str(V).upper())).answer is Answer.YES
    assert kid_is_one(Facts(where="", told=(V,), spelled=V.hex)).weight is Weight.REMARK


@pytest.mark.parametrize(
    ("declared", "real", "expected"),
    [
        ("avc1.64000A", "avc1.64000a", Likeness.SAME), ("avc3.64000a", "avc1.64000a", Likeness.PARAMETERS),
        ("mp4a.40.5", "mp4a.40.2", Likeness.SAME), ("mp4a", "mp4a.40.2", Likeness.SAME),
        ("mp4a.6B", "mp4a.40.2", Likeness.OTHER), ("hev1.1.6.L93.B0", "hvc1.1.6.L93.B0", Likeness.PARAMETERS),
        ("av01.0.04M.08.0.110.01.01.01.0", "av01.0.04M.08", Likeness.SAME),
        ("vp9", "vp09.00.10.08", Likeness.SAME), ("vp09.00.10.08", "vp09", Likeness.SAME),
        ("mp4a.40.34", "mp4a.6B", Likeness.SAME), ("mp4a.A6", "ec-3", Likeness.SAME),
        ("dtsc", "dtse", Likeness.PARAMETERS),
        ("mp4a.40.2", "mp4a.6B", Likeness.OTHER), ("stpp.ttml.im1t", "stpp", Likeness.SAME),
        ("avc1.64000a", "hvc1.1.6.L93.B0", Likeness.OTHER), ("opus", "Opus", Likeness.SAME),
        ("ec-3", "ac-3", Likeness.OTHER), ("avc1.64", "avc1.640028", Likeness.PARAMETERS),
    ],
)  # fmt: skip
def test_names_of_codecs_compare(declared: str, real: str, expected: Likeness) -> None:
    assert likeness(declared, real) is expected


# ------------------------------------------------------------------------------------------------ keys that change
LAURL = LicenseUrl("dashif", "https://dashif.org/CPS", "Laurl", "", "https://h/l")
CLEAR_KEY = DashStatement(CLEARKEY_URN, urls=(LAURL,))


@pytest.mark.parametrize(
    ("statements", "shaka"),
    [
        ([DashStatement(MP4_PROTECTION, "cenc"), CLEAR_KEY], Plays.FROM_MANIFEST),
        ([DashStatement(MP4_PROTECTION, "cenc"), DashStatement(CLEARKEY_URN)], Plays.WITH_CONFIG),
        ([DashStatement(MP4_PROTECTION, "cenc", has_kid=True), CLEAR_KEY], Plays.NO),
        ([DashStatement(MP4_PROTECTION, "cenc"), DashStatement(CLEARKEY_URN, has_pssh=True, urls=(LAURL,))], Plays.NO),
        ([DashStatement(MP4_PROTECTION, "cens"), CLEAR_KEY], Plays.NO),
    ],
)
def test_keys_that_change_in_the_media_play_in_shaka_player_alone(
    statements: list[DashStatement], shaka: Plays
) -> None:
    found = {each.player: each.plays for each in dash_verdicts(statements, rotates=True)}
    assert found == {Player.SHAKA: shaka, Player.DASHJS: Plays.NO}


def test_hls_js_needs_a_uri_for_each_key_that_holds_one_after_another() -> None:
    one, other = (HlsKey("SAMPLE-AES", "org.w3.clearkey", "https://h/l", has_kid=True, kid=kid) for kid in (V, A))
    (verdict,) = one_url([one, other])
    assert (verdict.player, verdict.plays) == (Player.HLSJS, Plays.NO)
    assert one_url([one, one]) == []
    assert one_url([one, HlsKey("SAMPLE-AES", "org.w3.clearkey", "https://h/l?kid=2", has_kid=True, kid=A)]) == []
    assert one_url([HlsKey("SAMPLE-AES", "identity", "https://h/l", has_kid=False, kid=kid) for kid in (V, A)]) == []
    assert {each.plays for each in one_map("i.mp4", 2)} == {Plays.NO}
