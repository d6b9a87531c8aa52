"""Damaged files: refused with an error of ours, or decrypted, and then by both ways to the same bytes."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from drm.decrypting.fast.fragmented import decrypt_fast
from drm.decrypting.file import decrypt_file
from drm.decrypting.unmark_boxes import OddLayoutError
from drm.encrypting.source_file import SourceFile
from drm.errors import DRMError
from drm.isobmff.box import top_boxes
from drm.keys import ContentKey, KeyId

OWN = Path(__file__).parents[2] / "data" / "vectors"
VECTORS: dict[str, Any] = {each["id"]: each for each in json.loads((OWN / "vectors.json").read_text())["vectors"]}
NAMES = ["b4_mpeg-cbcs_av", "pk_cenc_iv8_a", "pk_cbcs_1_9_v", "gp_cbcs_2_8_frag_v", "gp_roll_frag_v", "gp_rap_prog_v",
         "ff_cenc_prog_av", "gp_nosenc_prog_v", "gp_cbcs_prog_av", "gp_av1_ctr_prog_v"]  # fmt: skip
ROUNDS = 120  # of each
WORDS = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"free", b"senc", b"\0\0\1\0")


def damaged(whole: bytes, heads: list[tuple[int, int]], chance: random.Random) -> bytes:
    """One to three bytes, numbers or pieces of the boxes outside `mdat` changed, or the end cut off."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        start, end = chance.choice(heads)
        at = chance.randrange(start, end)
        kind = chance.randrange(10)
        if kind < 4:
            data[at] ^= 1 << chance.randrange(8)
        elif kind < 8:
            data[at : at + 4] = chance.choice(WORDS)
        elif kind < 9:
            other, size = chance.randrange(start, end), chance.randrange(1, 64)
            data[at : at + size] = whole[other : other + size]
        else:
            return bytes(data[: chance.randrange(len(data))])
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_both_ways_agree_on_damaged_files(tmp_path: Path, name: str) -> None:
    vector = VECTORS[name]
    source, target, fast_target = (tmp_path / each for each in ("in.mp4", "out.mp4", "fast.mp4"))
    whole = (OWN / vector["files"][0]["path"]).read_bytes()
    source.write_bytes(whole)
    with SourceFile(source) as file:
        heads = [(top.start, top.end) for top in top_boxes(file) if top.type != "mdat"]
    keys = {KeyId.parse(key["kid"]): ContentKey.parse(key["key"]) for key in vector["keys"]}
    secrets = {kid.value: key.secret for kid, key in keys.items()}
    chance = random.Random(name)
    compared = 0
    for _ in range(ROUNDS):
        source.write_bytes(damaged(whole, heads, chance))
        target.unlink(missing_ok=True)
        try:
            decrypt_file(source, target, keys, fast=False)
        except DRMError:
            assert not target.exists()
        try:
            with source.open("rb") as file, fast_target.open("w+b") as out:
                decrypt_fast(file.fileno(), out.fileno(), secrets)
        except OddLayoutError:
            continue
        if target.exists():
            assert fast_target.read_bytes() == target.read_bytes()
            compared += 1
    assert compared or name in {"gp_roll_frag_v", "gp_rap_prog_v"}, (
        "the control: some are damaged where it does not matter"
    )
