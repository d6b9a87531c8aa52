"""`clearkey pssh` as a user types it, and the manifests that it reads."""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import DRMError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, WIDEVINE, make_data
from drm.keys import COMMON_SYSTEM, KeyId
from player.verbs.pssh.comparison import Finding, compare_inputs, compare_within
from player.verbs.pssh.inputs import PsshInput, read_input
from player.verbs.pssh.lines import as_json, as_lines
from player.verbs.pssh.manifests import hls_statements, keyids_statements, mpd_statements

VECTORS = Path(__file__).parents[4] / "data" / "vectors" / "generated"
KID = KeyId.parse("00112233-4455-6677-8899-aabbccddeeff")
OTHER = KeyId.parse("a0a1a2a3-a4a5-a6a7-a8a9-aaabacadaeaf")
BOX = base64.b64encode(Pssh.common(KID).encode()).decode()
WIDEVINE_BOX = base64.b64encode(Pssh(WIDEVINE, (), make_data(WIDEVINE, (KID,), "cenc"), 0).encode()).decode()
OBJECT = make_data(PLAYREADY, (KID,), "cbcs", "http://example.org/rights")
PRO = base64.b64encode(OBJECT).decode()

Run = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.fixture
def pssh() -> Run:
    def run(*words: object, code: int = 0, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", "player.cli", "pssh", *map(str, words)],
            input=stdin,
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert b"Traceback" not in done.stderr
        return done

    return run


# ------------------------------------------------------------------------------------------------ make
def test_make_prints_what_show_reads(pssh: Run, tmp_path: Path) -> None:
    words = ["make", "--kid", KID, "--kid", OTHER.hex, "--scheme", "cbcs"]
    words += ["--system", "common", "--system", "widevine", "--system", "playready", "--license-url", "http://x/?a&b"]
    made = pssh(*words).stdout.decode().strip()
    boxes = Pssh.parse_all(base64.b64decode(made))
    assert [box.system_id for box in boxes] == [COMMON_SYSTEM, WIDEVINE, PLAYREADY]
    assert [box.version for box in boxes] == [1, 0, 0]
    assert boxes[0].key_ids == (KID, OTHER)
    assert pssh(*words, "--hex").stdout.decode().strip() == base64.b64decode(made).hex()
    assert pssh(*words, "--raw").stdout == base64.b64decode(made)
    assert pssh(*words, "-o", "-").stdout == base64.b64decode(made)
    pssh(*words, "-o", tmp_path / "boxes")
    assert (tmp_path / "boxes").read_bytes() == base64.b64decode(made)
    shown = json.loads(pssh("show", "-", "--json", stdin=made.encode()).stdout)
    assert shown["schema"] == "clearkey-pssh"
    assert [each["data_kids"] for each in shown["statements"]] == [[], [str(KID), str(OTHER)], [str(KID), str(OTHER)]]
    assert [each["license_url"] for each in shown["statements"]] == ["", "", "http://x/?a&b"]
    assert pssh("show", tmp_path / "boxes").stdout.decode().count(str(KID)) == 3


def test_make_of_a_system_by_id_with_data_of_its_own(pssh: Run) -> None:
    made = pssh("make", "--kid", KID, "--system", str(OTHER), "--version", "0", "--data", "cafe").stdout
    (box,) = Pssh.parse_all(base64.b64decode(made))
    assert (box.system_id.value, box.version, box.key_ids, box.data) == (OTHER.value, 0, (), b"\xca\xfe")
    both = pssh("make", "--kid", KID, "--system", "widevine", "--version", "1").stdout
    (box,) = Pssh.parse_all(base64.b64decode(both))
    assert (box.version, box.key_ids, box.data) == (1, (KID,), make_data(WIDEVINE, (KID,)))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--kid", KID, "--version", "0"], b"would name no key id"),
        (["--kid", "0011"], b"not a key id"),
        (["--kid", KID, "--system", "nagra"], b"not a system id"),
        (["--kid", KID, "--data", "zz z!"], b"neither base64 nor hex"),
        (["--kid", KID, "--hex", "--raw"], b"one output"),
        ([], b"--kid"),
    ],
)
def test_make_what_cannot_be(pssh: Run, words: list[object], said: bytes) -> None:
    assert said in pssh("make", *words, code=2).stderr


# ------------------------------------------------------------------------------------------------ show
def lines(argument: str | Path) -> str:
    return "\n".join(as_lines(read_input(str(argument))))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOX, "W3C common pssh, version 1"),
        (BOX.rstrip("="), f"KID {KID}"),
        (base64.b64decode(WIDEVINE_BOX).hex(), f"KID {KID}, in its data"),
        ("0x" + base64.b64decode(BOX).hex(), "W3C common"),
        (PRO, "a PlayReady Object without its box"),
        (base64.b64encode(make_data(WIDEVINE, (KID,))).decode(), "Widevine's data without its box"),
        (base64.b64encode(KID.value).decode(), "initialization data of type webm"),
        (f'{{"kids": ["{KID.base64url}"], "type": "temporary"}}', f"KID {KID}"),
    ],
)
def test_show_of_words(text: str, words: str) -> None:
    shown = lines(text)
    assert words in shown
    assert str(KID) in shown


def test_show_of_a_file_says_what_browsers_lack(tmp_path: Path, pssh: Run) -> None:
    data = (VECTORS / "pk_cenc_iv8_v.mp4").read_bytes()
    at = data.index(b"pssh") + 8
    path = tmp_path / "a.mp4"
    path.write_bytes(data[:at] + bytes(16) + data[at + 16 :])
    shown = pssh("show", path).stdout.decode()
    assert "00000000-0000-0000-0000-000000000000 pssh, version 1" in shown
    assert "samples of track 1: KID 10000000-1000-1000-1000-100000000001" in shown
    assert f"clearkey pssh insert {path} -o OUT" in shown
    assert b"not a stream" in pssh("insert", path, "-o", "-", code=2).stderr
    pssh("insert", path, "-o", tmp_path / "b.mp4")
    assert "note:" not in pssh("show", tmp_path / "b.mp4").stdout.decode()
    again = pssh("insert", tmp_path / "b.mp4", "-o", tmp_path / "c.mp4")
    assert b"nothing to put in" in again.stderr
    assert (tmp_path / "c.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_boxes_alike_in_many_fragments_are_said_once(tmp_path: Path) -> None:
    fragment = bytes.fromhex("0000003c6d6f6f66") + Pssh.common(KID).encode()
    (tmp_path / "segments.m4s").write_bytes(fragment * 3)
    (each,) = read_input(str(tmp_path / "segments.m4s")).statements
    assert (each.times, each.where) == (3, "moof at byte 0 and 2 more places")


def test_show_of_webm(vectors_folder: Path) -> None:
    assert "ContentEncKeyID: KID 20000000-2000" in lines(vectors_folder / "generated" / "pk_webm_opus_a.webm")


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [
        ("nofile.mp4", 2, b"there is no file nofile.mp4"),
        ("/no/such/file", 2, b"there is no file"),
        ("x" * 300, 3, b"no pssh box"),
        ("00", 3, b"no pssh box, no PlayReady"),
        ('{"keys": []}', 3, b"no list `kids`"),
        (base64.b64encode(Pssh.common(KID).encode()[:-1]).decode(), 3, b"impossible size"),
    ],
)
def test_show_what_cannot_be(pssh: Run, argument: str, code: int, said: bytes) -> None:
    assert said in pssh("show", argument, code=code).stderr


def test_a_files_words_do_not_steer_the_terminal() -> None:
    data = make_data(PLAYREADY, (KID,), license_url="http://x/\u009b2J\r\nnote: lie")
    shown = lines(base64.b64encode(Pssh(PLAYREADY, (), data, 0).encode()).decode())
    assert "license URL http://x/?2J?" in shown
    assert "\nnote: lie" not in shown


# ------------------------------------------------------------------------------------------------ manifests
MPD = f"""<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:cenc="urn:mpeg:cenc:2013" xmlns:mspr="urn:microsoft:playready"
     xmlns:dashif="https://dashif.org/CPS">
 <Period id="p"><AdaptationSet>
  <ContentProtection schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cenc" cenc:default_KID="{KID} {OTHER}"/>
  <ContentProtection schemeIdUri="urn:uuid:EDEF8BA9-79D6-4ACE-A3C8-27DCD51D21ED">
   <cenc:pssh> {WIDEVINE_BOX[:20]}
     {WIDEVINE_BOX[20:]} </cenc:pssh></ContentProtection>
  <ContentProtection schemeIdUri="urn:uuid:9a04f079-9840-4286-ab92-e65be0885f95"><mspr:pro>{PRO}</mspr:pro>
  </ContentProtection>
  <ContentProtection schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e" value="ClearKey1.0">
   <dashif:Laurl>http://example.org/ck</dashif:Laurl></ContentProtection>
  <Representation id="v"><ContentProtection schemeIdUri="x"><cenc:pssh>!!!</cenc:pssh></ContentProtection>
  </Representation>
 </AdaptationSet></Period>
</MPD>"""


def test_an_mpd() -> None:
    found = mpd_statements(MPD.encode())
    assert [(each.kind, each.name, each.key_ids) for each in found] == [
        ("samples", "samples", (KID, OTHER)),
        ("box", "Widevine", (KID,)),
        ("data", "PlayReady", (KID,)),
        ("data", "DASH-IF Clear Key", ()),
        ("box", "samples", ()),
    ]
    assert found[2].contents.license_url == "http://example.org/rights"
    assert found[3].license_url == "http://example.org/ck"
    assert found[4].problem == "this is not base64"
    assert found[4].where.startswith("Period p, AdaptationSet 1, Representation v (line 13)")


HLS = f"""#EXTM3U
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="key.bin",KEYFORMAT="identity"
#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:text/plain;base64,{WIDEVINE_BOX}",KEYID=0x{KID.hex},\
KEYFORMAT="urn:uuid:edef8ba9-79d6-4ace-a3c8-27dcd51d21ed",KEYFORMATVERSIONS="1"
#EXT-X-SESSION-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;charset=UTF-16;base64,{PRO}",KEYFORMAT="com.microsoft.playready"
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://asset",KEYFORMAT="com.apple.streamingkeydelivery"
#EXT-X-KEY:METHOD=SAMPLE-AES,URI="data:text/plain;base64,%%",KEYFORMAT="com.widevine",KEYID=0x00
"""


def test_an_hls_playlist() -> None:
    found = hls_statements(HLS.encode())
    assert [(each.kind, each.name, each.key_ids) for each in found] == [
        ("samples", "samples", (KID,)),
        ("box", "Widevine", (KID,)),
        ("data", "PlayReady", (KID,)),
        ("data", "Widevine", ()),
    ]
    assert "not a key id" in found[3].problem


@pytest.mark.parametrize(
    ("reader", "text"), [(mpd_statements, MPD), (hls_statements, HLS), (keyids_statements, '{"kids":["AA"]}')]
)
@given(at=st.integers(0, 4000), put=st.text(max_size=6), cut=st.integers(0, 30))
def test_damaged_text_is_an_error_of_ours(
    reader: Callable[..., list[object]], text: str, at: int, put: str, cut: int
) -> None:
    at %= len(text)
    damaged = text[:at] + put + text[at + cut :]
    with contextlib.suppress(DRMError):
        found = reader(damaged.encode("utf-8", "replace"))
        list(as_lines(PsshInput("x", "MPD", found)))  # type: ignore[arg-type]  # statements, all three
        as_json(PsshInput("x", "MPD", found))  # type: ignore[arg-type]  # the same


def test_expanding_entities_are_refused() -> None:
    bomb = '<!DOCTYPE MPD [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    with pytest.raises(DRMError, match="document type"):
        mpd_statements((bomb + MPD.partition("?>")[2]).encode())


# ------------------------------------------------------------------------------------------------ compare
def told(*boxes: Pssh, name: str = "a") -> PsshInput:
    found = read_input(base64.b64encode(b"".join(box.encode() for box in boxes)).decode())
    return PsshInput(name, "boxes", found.statements)


def widevine(*kids: KeyId, scheme: str = "cenc") -> Pssh:
    return Pssh(WIDEVINE, (), make_data(WIDEVINE, kids, scheme), 0)


A = told(Pssh.common(KID, OTHER), widevine(KID, OTHER))
CASES: list[tuple[PsshInput, list[tuple[bool, str]]]] = [
    (told(Pssh.common(KID, OTHER), widevine(KID, OTHER), name="b"), []),
    (told(widevine(KID, OTHER), Pssh.common(KID, OTHER), name="b"), [(False, "the systems come in another order")]),
    (
        told(Pssh.common(OTHER, KID), widevine(KID, OTHER), name="b"),
        [(False, "W3C common: the same KIDs, in another order")],
    ),
    (told(Pssh.common(KID, OTHER), name="b"), [(True, "only a has Widevine")]),
    (
        told(Pssh.common(KID), widevine(KID, OTHER), name="b"),
        [(True, f"W3C common: only a names KID {OTHER}")],
    ),
    (
        told(Pssh.common(KID, OTHER.byte_reversed), widevine(KID, OTHER), name="b"),
        [
            (
                True,
                f"W3C common: {OTHER} in a is {OTHER.byte_reversed} in b: the same KID, other byte order (GUID order)",
            )
        ],
    ),
    (
        told(Pssh.common(KID, OTHER), widevine(KID, OTHER, scheme="cbcs"), name="b"),
        [(True, "Widevine: scheme cenc in a, cbcs in b")],
    ),
    (
        told(
            Pssh.common(KID, OTHER),
            Pssh(WIDEVINE, (KID, OTHER), make_data(WIDEVINE, (KID, OTHER), "cenc"), 1),
            name="b",
        ),
        [(True, "Widevine: version 0 in a, 1 in b")],
    ),
]


@pytest.mark.parametrize(("other", "wanted"), CASES)
def test_compare(other: PsshInput, wanted: list[tuple[bool, str]]) -> None:
    assert compare_inputs(A, other) == [Finding(*each) for each in wanted]


def test_compare_a_file_with_itself_and_with_a_manifest(tmp_path: Path, pssh: Run) -> None:
    path = VECTORS / "b4_mpeg-cenc_iv8_av.mp4"
    assert pssh("compare", path).stdout.decode().splitlines() == ["no difference"]
    kids = "10000000-1000-1000-1000-100000000001", "20000000-2000-2000-2000-200000000002"
    mpd = MPD.replace(f"{KID} {OTHER}", f"{kids[1]} {kids[0]} {OTHER}")
    (tmp_path / "a.mpd").write_text(mpd)
    found = pssh("compare", path, tmp_path / "a.mpd", "--json", code=1).stdout
    said = {each["text"]: each["differs"] for each in json.loads(found)["findings"]}
    assert said[f"samples: only a.mpd names KID {OTHER}"] is False, "a manifest speaks of other files too"
    assert said["only b4_mpeg-cenc_iv8_av.mp4 has W3C common"] is True
    (tmp_path / "b.mpd").write_text(mpd.replace(kids[1], str(KeyId.parse(kids[1]).byte_reversed)))
    assert b"GUID order" in pssh("compare", path, tmp_path / "b.mpd", code=1).stdout


def test_compare_boxes_with_what_the_samples_use() -> None:
    samples = PsshInput("f", "fragmented MP4", keyids_statements(f'{{"kids": ["{KID}", "{OTHER}"]}}'.encode()))
    found = compare_inputs(samples, told(widevine(KID, OTHER.byte_reversed), name="b"))
    assert [(each.differs, "GUID order" in each.text) for each in found] == [(True, True)]
    both = PsshInput("f", "fragmented MP4", [*samples.statements, *told(Pssh.common(KID)).statements])
    assert compare_within(both) == [Finding(True, f"W3C common: its box does not name KID {OTHER} of its samples")]
