"""IVs that are used twice under one key: found in files, and against a plain count of every counter block."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from player.verbs.inspect.iv_use import IvUse

from drm.keys import KeyId
from player.verbs.inspect import command, iv_use

KID, OTHER = KeyId(bytes(16)), KeyId(bytes(15) + b"\1")
LAST = (1 << 64) - 1


def faults(*files: Path) -> list[dict[str, Any]]:
    ran = CliRunner().invoke(command, ["--json", "--no-boxes", *map(str, files)], catch_exceptions=False)
    return [found for found in json.loads(ran.stdout)["findings"] if found["level"] == "fault"]


@pytest.mark.parametrize("name", ["ff_cenc_frag_av", "ff_cenc_prog_av"])
def test_ffmpeg_gives_both_tracks_the_same_ivs_under_the_same_key(own_vectors: Path, name: str) -> None:
    (found,) = faults(own_vectors / "generated" / f"{name}.mp4")
    assert found["code"] == "iv-reused"
    assert "sample 1 and sample 1 of track 2" in found["text"]
    assert "10000000-1000-1000-1000-100000000001" in found["text"]


@pytest.mark.parametrize("name", ["pk_cenc_ctrwrap_v", "pk_cenc_iv16_v", "b4_mpeg-cenc_av", "gp_multikey_prog_v",
                                  "pk_cens_2_3_v", "pk_cbcs_1_9_v", "gp_roll_frag_v"])  # fmt: skip
def test_packagers_that_count_on_are_not_blamed(own_vectors: Path, name: str) -> None:
    assert faults(own_vectors / "generated" / f"{name}.mp4") == []


def test_one_sample_twice_is_named_with_how_many_follow() -> None:
    use = IvUse()
    for number, iv in enumerate((5, 6, 7, 6, 9, 7), 1):
        use.add(KID, iv.to_bytes(8, "big"), 100, 1, number)
    use.add(OTHER, (5).to_bytes(8, "big"), 100, 1, 7)  # under another key the same IV is in order
    (found,) = use.reused()
    # Samples 1 to 3 count on and are one range, of which the first stands for all.
    assert (found.key_id, found.first, found.second, found.more) == (KID, (1, 1), (1, 4), 1)


def test_the_counter_wraps_within_its_lower_half() -> None:
    use = IvUse()
    use.add(KID, bytes(8) + LAST.to_bytes(8, "big"), 32, 1, 1)  # its second block has the counter 0 of the same half
    use.add(KID, bytes(7) + b"\1" + bytes(8), 16, 1, 2)
    assert use.reused() == []
    use = IvUse()
    use.add(KID, bytes(8) + LAST.to_bytes(8, "big"), 32, 1, 1)
    use.add(KID, bytes(16), 16, 1, 2)
    assert len(use.reused()) == 1


SAMPLES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40), st.integers(1, 100)), max_size=12)


@given(SAMPLES)
def test_as_counting_every_block_would_find_it(samples: list[tuple[int, int, int]]) -> None:
    use, seen, meets = IvUse(), set(), False
    for number, (upper, place, size) in enumerate(samples, 1):
        low = (place - 20) % (LAST + 1)
        use.add(KID, upper.to_bytes(8, "big") + low.to_bytes(8, "big"), size, 1, number)
        blocks = {(upper, (low + block) % (LAST + 1)) for block in range((size + 15) // 16)}
        meets = meets or bool(blocks & seen)
        seen |= blocks
    assert bool(use.reused()) is meets


def test_what_is_remembered_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iv_use, "MAX_RUNS", 10)
    use = IvUse()
    for number in range(100):
        use.add(KID, (number * 2).to_bytes(8, "big"), 16, 1, number)
    use.reused()
    assert not use.is_complete
    counting = IvUse()
    for number in range(100):
        counting.add(KID, number.to_bytes(8, "big"), 16, 1, number)
    assert counting.reused() == []
    assert counting.is_complete
