"""What the report of `clearkey inspect` counts, against decryption; and how it reads."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import time
from array import array
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from drm.app.byte_stream import FileByteStream
from drm.cenc.decrypt import SampleDecrypter, decrypt_sample
from drm.container import open_container
from drm.content_checks.enciphered import encrypted_bytes
from drm.content_checks.tally import Tally
from drm.isobmff.box import encode_box, encode_full_box
from drm.isobmff.movie import Hdlr, Mdhd, Mvhd, Tkhd
from drm.isobmff.protection import Frma, Schm, Sinf, Tenc
from drm.isobmff.sample_aux import Senc
from drm.keys import ContentKey, KeyId
from drm.media import Sample, SampleCrypto, Scheme
from player.verbs.inspect import command
from tests.sample_tables import Stco, Stsc, Stsz, Stts

OWN = Path(__file__).parents[4] / "data" / "vectors"
MANIFEST = {each["id"]: each for each in json.loads((OWN / "vectors.json").read_text())["vectors"]}
ONE = "10000000-1000-1000-1000-100000000001"
TWO = "00000010-0010-0010-0010-000000000110"


def inspect(*words: object) -> str:
    ran = CliRunner().invoke(command, [str(word) for word in words], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def tracks(name: str) -> list[dict[str, Any]]:
    path = OWN / "generated" / name
    found: list[dict[str, Any]] = json.loads(inspect("--json", "--no-boxes", path))["tracks"]
    return found


def progressive(ivs: list[bytes], scheme: str) -> bytes:
    """A film of samples of 80 bytes, 64 of them protected, with these IVs in one `senc`."""
    count, size = len(ivs), 80
    senc = Senc.pack(((iv, [(16, 64)]) for iv in ivs), with_subsamples=True).encode()
    sinf = Sinf(Frma("avc1"), Schm(scheme), Tenc(KeyId(bytes(range(16))), 8)).encode()
    stsd = encode_full_box("stsd", 0, 0, (1).to_bytes(4, "big"), encode_box("encv", bytes(78), sinf))

    def head(at: int) -> bytes:
        tables = (
            Stts(array("I", [count, 40])).encode(), Stsc(array("I", [1, count, 1])).encode(),
            Stsz(count, size).encode(), Stco(array("I", [at])).encode(),
        )  # fmt: skip
        minf = encode_box("minf", encode_box("stbl", stsd, *tables, senc))
        mdia = encode_box("mdia", Mdhd(1000).encode(), Hdlr("vide").encode(), minf)
        trak = encode_box("trak", Tkhd(1).encode(), mdia)
        return encode_box("ftyp", b"isom", bytes(4)) + encode_box("moov", Mvhd(1000).encode(), trak)

    return head(len(head(0)) + 8) + encode_box("mdat", Random(1).randbytes(size * count))


# ------------------------------------------------------------------------------------------------ counts
@pytest.mark.parametrize("name", [
    "pk_cenc_iv8_v", "pk_cens_2_3_v", "pk_cens_a", "pk_cbc1_v", "pk_cbc1_a", "pk_cbcs_1_9_v", "pk_cbcs_10_0_v",
    "pk_cbcs_slices_v", "pk_cbcs_a", "gp_multikey_prog_v", "gp_noalign_prog_v", "pk_webm_vp9_v",
])  # fmt: skip
def test_the_bytes_encrypted_are_those_that_decryption_changes(name: str) -> None:
    path = OWN / MANIFEST[name]["files"][0]["path"]
    keys = {KeyId.parse(k["kid"]): SampleDecrypter(ContentKey.parse(k["key"])) for k in MANIFEST[name]["keys"]}
    told = {track["track_id"]: track["bytes_encrypted"] for track in tracks(path.name)}
    with FileByteStream([path]) as stream:
        media = open_container(stream)
        for track in media.tracks:
            changed = 0
            for sample in media.samples(track.track_id):
                if sample.crypto is not None:
                    cipher = stream.read_at(sample.offset, sample.size)
                    clear = bytearray(sample.size)
                    decrypt_sample(memoryview(cipher), sample.crypto, memoryview(clear), keys.__getitem__)
                    changed += sum(a != b for a, b in zip(cipher, clear, strict=True))
            # One byte in 256 stays as it was by chance.
            assert changed / (255 / 256) == pytest.approx(told[track.track_id], rel=0.01)


def test_a_pattern_that_its_scheme_does_not_know_changes_nothing() -> None:
    for scheme in (Scheme.CENC, Scheme.CBC1):
        crypto = SampleCrypto(KeyId(bytes(16)), scheme, bytes(16), ((10, 160),), 1, 9)
        assert encrypted_bytes(crypto, 170) == (160, 160)


def test_periods_of_a_rotation_come_with_time_and_samples() -> None:
    (track,) = tracks("pk_cenc_rot_v.mp4")
    assert [(p["kids"], p["first_sample"], p["last_sample"], p["start"], p["end"]) for p in track["periods"]] == [
        ([ONE], 1, 48, 0.0, 2.0),
        ([TWO], 49, 72, 2.0, 3.0),
    ]
    assert (track["period_count"], track["clear_stretches"]) == (2, 0)
    several = tracks("gp_multikey_prog_v.mp4")[0]["periods"]
    assert several[0]["kids"][0] == ONE


def test_clear_samples_within_a_period_are_counted_and_those_around_it_are_not() -> None:
    (lead,) = tracks("pk_cbcs_clearlead_v.mp4")
    (period,) = lead["periods"]
    assert (period["first_sample"], period["last_sample"], period["samples_clear"]) == (25, 72, 0)
    assert lead["clear_stretches"] == 1
    video = tracks("gp_rap_prog_v.mp4")[0]
    clear = sum(p["samples_clear"] for p in video["periods"])
    assert 0 < clear <= video["samples_clear"]
    assert video["clear_stretches"] > 1


@pytest.mark.parametrize(("name", "own", "constant"), [
    ("pk_cenc_iv8_v", {"8": 72}, {}),
    ("pk_cenc_iv16_v", {"16": 72}, {}),
    ("pk_cbcs_1_9_v", {}, {"ee0102030405060708090a0b0c0d0e0f": 72}),
    ("pk_cbcs_rot_v", {}, {"ee0102030405060708090a0b0c0d0e0f": 72}),  # of seig; tenc names another one
    ("pk_cbc1_v", {"16": 72}, {}),
])  # fmt: skip
def test_kinds_of_iv(name: str, own: dict[str, int], constant: dict[str, int]) -> None:
    assert tracks(f"{name}.mp4")[0]["ivs"] == {"own": own, "constant": constant, "own_repeated": 0}


def test_a_constant_iv_is_one_that_stays_and_a_lone_sample_has_it_from_its_description() -> None:
    def told(ivs: list[bytes], known: frozenset[bytes] = frozenset()) -> tuple[dict[int, int], dict[bytes, int]]:
        tally = Tally(1, None, known)
        crypto = (SampleCrypto(KeyId(bytes(16)), Scheme.CBCS, iv) for iv in ivs)
        tally.count(Sample(1, n, 0, 1, True, 0, 16, 1, each) for n, each in enumerate(crypto))
        return tally.own_ivs, tally.constant_ivs

    one, two = bytes(16), bytes(15) + b"\1"
    assert told([one, one]) == ({}, {one: 2})
    assert told([one, two]) == ({16: 2}, {})
    assert told([one]) == ({16: 1}, {})
    assert told([one], frozenset({one})) == ({}, {one: 1})


def test_subsamples() -> None:
    (video,) = tracks("pk_cenc_slices_v.mp4")
    told = video["subsamples"]
    lines = [
        json.loads(line)
        for line in inspect("--samples", "--json", OWN / "generated" / "pk_cenc_slices_v.mp4").splitlines()
    ]
    counts = [len(line["subsamples"]) for line in lines]
    assert (told["fewest"], told["most"], told["total"]) == (min(counts), max(counts), sum(counts))
    assert told["protected_bytes"] == sum(protected for line in lines for _, protected in line["subsamples"])
    assert told["clear_bytes"] + told["protected_bytes"] == video["bytes"]
    assert [line["number"] for line in lines] == list(range(1, 73))
    assert sum(line["bytes_encrypted"] for line in lines) == video["bytes_encrypted"]
    (audio,) = tracks("pk_cenc_iv8_a.mp4")
    assert (audio["subsamples"]["samples"], audio["subsamples"]["whole_samples"]) == (0, audio["samples"])


# ------------------------------------------------------------------------------------------------ findings
@pytest.mark.parametrize(("name", "codes"), [
    ("gp_noalign_prog_v", ["unaligned"]),
    ("pk_cenc_iv8_v", []),
    ("pk_cbcs_1_9_v", []),
])  # fmt: skip
def test_findings(name: str, codes: list[str]) -> None:
    found = json.loads(inspect("--json", "--no-boxes", OWN / "generated" / f"{name}.mp4"))["findings"]
    assert [each["code"] for each in found if each["level"] != "info"] == codes


@pytest.mark.parametrize(("scheme", "steps", "codes"), [
    ("cbcs", 0, ["cbcs-own-ivs", "own-ivs-repeated"]),
    ("cbcs", 1, ["cbcs-own-ivs"]),
    ("cbc1", 1, []),
    ("cenc", 0, ["iv-reused"]),
    ("cenc", 1, []),
])  # fmt: skip
def test_ivs_that_repeat(tmp_path: Path, scheme: str, steps: int, codes: list[str]) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(progressive([(1 + number * steps).to_bytes(8, "big") for number in range(4)], scheme))
    report = json.loads(inspect("--json", film))
    assert [each["code"] for each in report["findings"] if each["level"] != "info"] == codes
    assert report["tracks"][0]["ivs"]["own"] == {"8": 4}


# ------------------------------------------------------------------------------------------------ for people
@pytest.mark.parametrize("name", sorted(name for name, each in MANIFEST.items() if each["container"] == "mp4"))
def test_lines_fit_a_terminal_and_the_answer_is_the_second(name: str) -> None:
    files = [OWN / file["path"] for file in MANIFEST[name]["files"] if file["path"].endswith((".mp4", ".m4s"))]
    lines = inspect(*files).splitlines()
    assert re.fullmatch(r"encrypted: .+; (nothing wrong|.*(fault|odd).*)", lines[1])
    assert [line for line in lines[1:] if len(line) > 105 and str(OWN) not in line] == []


def test_the_tree_tells_encryption_boxes_field_by_field() -> None:
    told = inspect(OWN / "generated" / "pk_cenc_rot_v.mp4")
    for line in (
        "seig, 1 run of samples", "samples 1 to 24: entry 1 of this fragment's sgpd", f"1: KID {ONE}",
        "24 entries, subsamples, IV of 8 bytes", "1: IV d5fbd6b82ed93e4e, clear+protected 711+1936 2+0", "… 21 more",
        "scheme cenc, version 1.0", "decode time 24576", "3 references: 61354 bytes, 3.000 s from 0.000 s",
    ):  # fmt: skip
        assert line in told
    several = inspect(OWN / "generated" / "gp_multikey_prog_v.mp4")
    assert "key 2: KID 30000000-3000-3000-3000-300000000003" in several
    assert "1: IV ee0102030405060708090a0b0c0d0e0f of key 1" in several
    assert "PIFF senc: 24 entries, subsamples, IV of 16 bytes" in inspect(OWN / "generated" / "gp_piff_frag_av.mp4")
    webm = inspect(OWN / "generated" / "pk_webm_vp9_v.webm")
    assert "signal byte 0x03: encrypted, partitioned" in webm
    assert "IV d5fbd6b82ed93e4e, clear+encrypted 18+4512 10+0" in webm


def test_what_options_cannot_be_together() -> None:
    film = str(OWN / "generated" / "pk_cenc_iv8_v.mp4")
    for words in (["--limit", "3"], ["--track", "1"], ["--samples", "--svg", "x.svg"], ["--samples", "--track", "9"]):
        ran = CliRunner().invoke(command, [*words, film])
        assert ran.exit_code != 0
        assert ran.stdout == ""


# ------------------------------------------------------------------------------------------------ long files
@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred thousand samples whose IVs come once each, and in no order."""
    count = 100_000
    path = tmp_path_factory.mktemp("long") / "film.mp4"
    path.write_bytes(progressive([(number * 7919 % count).to_bytes(8, "big") for number in range(count)], "cenc"))
    return path


def cost(*words: object) -> tuple[float, int, str]:
    """Processor seconds and peak memory in MiB of a process of its own, and what it printed."""
    program = (
        "import sys; from player.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        # Not ru_maxrss: a child inherits its parent's.
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-c", program, *map(str, words)], capture_output=True, text=True, timeout=60, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert time.monotonic() - started < 60
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, int(ran.stderr.split()[-1]) >> 10, ran.stdout


def test_a_hundred_thousand_samples(long_film: Path, tmp_path: Path) -> None:
    _, least, _ = cost("inspect", "--json", OWN / "generated" / "pk_cenc_iv8_a.mp4")
    seconds, memory, said = cost("inspect", "--json", long_film)
    report = json.loads(said)
    assert report["tracks"][0]["samples"] == report["tracks"][0]["ivs"]["own"]["8"] == 100_000
    assert [each["level"] for each in report["findings"]] == ["info"]
    assert seconds < 3
    assert memory - least < 24
    seconds, memory, said = cost("inspect", "--samples", long_film)
    assert len(said.splitlines()) == 100_002
    assert memory - least < 8  # of which the boxes take three
    picture = tmp_path / "film.svg"
    seconds, memory, _ = cost("inspect", "--no-boxes", "--svg", picture, long_film)
    assert seconds < 6
    assert memory - least < 24
    assert picture.stat().st_size < 500_000
