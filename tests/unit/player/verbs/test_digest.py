"""`clearkey digest` gives the hashes of the manifests, for every file that we read, and writes nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drm.app.byte_stream import FileByteStream
from drm.cenc.dialect import Dialect
from drm.errors import KeyMissingError, UnsupportedMediaError
from drm.keys import ContentKey, KeyId
from player.digests import digest_tracks

OWN = Path(__file__).parents[3] / "data" / "vectors"
OWN_VECTORS: list[dict[str, Any]] = json.loads((OWN / "vectors.json").read_text())["vectors"]
FOREIGN = [
    "mp4ff_cbcs",
    "mp4ff_prog_8s_enc_dashinit",
    "mp4ff_piff_audio",
    "mp4ff_piff_wma",
    "androidx_sample_fragmented_clearkey",
    "mp4parse_short_cenc",
    "spe_encrypted_low",
    "spe_encrypted_low_cbcs",
    "sp_dash_clearkey",
    "sp_multidrm_video",
    "sp_clear_encrypted_video",
    "sp_hls_sample_aes",
]
REFUSED = {
    "pk_hls_ts": "MPEG audio",  # the set's first file; its video is an MPEG transport stream
}
READ = [vector for vector in OWN_VECTORS if vector["id"] not in REFUSED]


def media(folder: Path, vector: dict[str, Any]) -> list[Path]:
    return [folder / file["path"] for file in vector["files"] if not file["path"].endswith((".m3u8", ".bin"))]


def keys_of(vector: dict[str, Any]) -> dict[KeyId, ContentKey]:
    keys = [key for key in vector["keys"] if key["kid"]]  # HLS names no KID
    return {KeyId.parse(key["kid"]): ContentKey.parse(key["key"]) for key in keys}


def digests(folder: Path, vector: dict[str, Any], dialects: frozenset[Dialect] | None = None) -> list[dict[str, Any]]:
    if dialects is None:
        dialects = frozenset(map(Dialect, vector.get("needs_dialect", ())))
    with FileByteStream(media(folder, vector)) as stream:
        found, _warnings = digest_tracks(stream, keys_of(vector), dialects)
    return [{name: getattr(track, name) for name in track.__struct_fields__} for track in found]


def told(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """What the manifest says, in the order of track ids. Where it does not count encrypted samples, nor does this."""
    names = ("track_id", "type", "scheme", "samples", "samples_encrypted", "sha256")
    return sorted(({name: track[name] for name in names} for track in vector["tracks"]), key=lambda t: t["track_id"])


def agree(found: list[dict[str, Any]], vector: dict[str, Any]) -> None:
    wanted = told(vector)
    found = sorted(found, key=lambda track: track["track_id"])
    for ours, theirs in zip(found, wanted, strict=True):
        if theirs["samples_encrypted"] is None:
            theirs["samples_encrypted"] = ours["samples_encrypted"]
    assert found == wanted


@pytest.mark.parametrize("vector", READ, ids=lambda vector: vector["id"])
def test_our_own_vectors(vector: dict[str, Any]) -> None:
    agree(digests(OWN, vector), vector)


@pytest.mark.parametrize("name", FOREIGN)
def test_vectors_of_other_projects(vectors_folder: Path, name: str) -> None:
    manifest = json.loads((vectors_folder / "vectors.json").read_text())["vectors"]
    vector = next(each for each in manifest if each["id"] == name)
    agree(digests(vectors_folder, vector), vector)


def test_no_vector_is_left_out(vectors_folder: Path) -> None:
    manifest = json.loads((vectors_folder / "vectors.json").read_text())["vectors"]
    assert {each["id"] for each in manifest} == {each["id"] for each in READ} | set(FOREIGN) | set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_by_name(name: str) -> None:
    vector = next(each for each in OWN_VECTORS if each["id"] == name)
    with pytest.raises(UnsupportedMediaError, match=REFUSED[name]) as refused:
        digests(OWN, vector)
    assert refused.value.remedy


@pytest.mark.parametrize("name", ["gp_ctrwrap_prog_v"])
def test_a_dialect_makes_a_difference(name: str) -> None:
    vector = next(each for each in OWN_VECTORS if each["id"] == name)
    with_it, without = digests(OWN, vector), digests(OWN, vector, frozenset())
    assert [a["sha256"] == b["sha256"] for a, b in zip(with_it, without, strict=True)] == [False, True]


def test_a_missing_key_is_named_with_its_track() -> None:
    vector = dict(next(each for each in OWN_VECTORS if each["id"] == "b4_mpeg-cenc_av"))
    vector["keys"] = [key for key in vector["keys"] if key["kid"].startswith("1")]
    with pytest.raises(KeyMissingError, match="20000000-2000-2000-2000-200000000002") as missing:
        digests(OWN, vector)
    assert "track 2 (audio mp4a)" in missing.value.where
    assert missing.value.kids == ("20000000-2000-2000-2000-200000000002",)


# ------------------------------------------------------------------------------------------------ the command itself
def clearkey(*words: object, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "player.cli", *map(str, words)]
    return subprocess.run(command, input=stdin, text=True, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize(
    "name", ["pk_cenc_iv8_v", "b4_mpeg-cbcs_av", "gp_ctrwrap_prog_v", "ff_cenc_prog_av", "pk_hls_fmp4_v"]
)
def test_the_command(name: str, tmp_path: Path) -> None:
    vector = next(each for each in OWN_VECTORS if each["id"] == name)
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"{key['kid']}:{key['key']}\n" for key in vector["keys"]))
    dialects = [word for dialect in vector.get("needs_dialect", ()) for word in ("--dialect", dialect)]
    ran = clearkey("digest", "--json", "--keys-file", keys, *dialects, *media(OWN, vector))
    assert (ran.returncode, ran.stderr) == (0, "")
    agree(json.loads(ran.stdout)["tracks"], vector)
    assert [each.name for each in tmp_path.iterdir()] == ["keys.txt"]


def test_the_command_with_a_key_on_its_line_and_a_table() -> None:
    vector = next(each for each in OWN_VECTORS if each["id"] == "pk_cenc_iv8_a")
    key = vector["keys"][0]
    ran = clearkey("digest", "--key", f"{key['kid']}:{key['key']}", *media(OWN, vector))
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[1].split() == ["1", "audio", "cenc", "142", "142", vector["tracks"][0]["sha256"]]


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ([OWN / "generated/pk_cenc_iv8_a.mp4"], 4, "20000000-2000-2000-2000-200000000002"),
        ([OWN / "generated/pk_hls_ts/v_1.ts"], 3, "MPEG"),
        ([OWN / "generated"], 2, "directory"),
        (["no-such-file.mp4"], 2, "No such file"),
        (["--dialect", "klingon", OWN / "generated/pk_cenc_iv8_a.mp4"], 2, "short-last-crypt-run-is-clear"),
        ([], 2, "Missing argument"),
    ],
)
def test_failures_are_one_paragraph_and_an_exit_code(words: list[object], code: int, says: str) -> None:
    ran = clearkey("digest", "--json", *words)
    assert ran.returncode == code
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not ran.stdout


def test_it_loads_no_decoder_and_no_second_crypto_library() -> None:
    code = (
        "import sys, player.cli\n"
        "try: player.cli.main(sys.argv[1:])\n"
        "except SystemExit: print(*sorted(m.partition('.')[0] for m in sys.modules), file=sys.stderr)\n"
    )
    vector = next(each for each in OWN_VECTORS if each["id"] == "pk_cenc_iv8_a")
    key = vector["keys"][0]
    words = ["digest", "--json", "--key", f"{key['kid']}:{key['key']}", *map(str, media(OWN, vector))]
    ran = subprocess.run([sys.executable, "-c", code, *words], text=True, capture_output=True, check=True, timeout=60)
    assert json.loads(ran.stdout)["tracks"][0]["sha256"] == vector["tracks"][0]["sha256"]
    assert not {"numpy", "av", "Crypto", "flask", "requests", "rich", "sqlalchemy"} & set(ran.stderr.split())
    assert "cryptography" in ran.stderr.split()
