"""Counters that are used twice under one key: found in files, and against a plain count of every counter block."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from drm.cenc.layout import pattern_of, protected_ranges
from drm.content_checks import counter_reuse, counter_use
from drm.content_checks.counter_reuse import ReuseSearch
from drm.content_checks.counter_use import CounterUse, counter_ranges
from drm.content_checks.enciphered import counter_blocks, enciphered_spans, encrypted_bytes, is_enciphered
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto, Scheme, Subsample
from player.verbs.inspect import command

KID, OTHER = KeyId(bytes(16)), KeyId(bytes(15) + b"\1")
LAST = (1 << 64) - 1
SPACE = 1 << 20  # bytes of the made-up files


def faults(*files: Path) -> list[dict[str, Any]]:
    ran = CliRunner().invoke(command, ["--json", "--no-boxes", *map(str, files)], catch_exceptions=False)
    return [found for found in json.loads(ran.stdout)["findings"] if found["code"] == "iv-reused"]


def sample(iv: bytes, size: int, offset: int = 0, subsamples: tuple[Subsample, ...] = (), kid: KeyId = KID,
           scheme: Scheme = Scheme.CENC, pattern: tuple[int, int] = (0, 0)) -> Sample:  # fmt: skip
    return Sample(1, 0, 0, 1, True, offset, size, 1, SampleCrypto(kid, scheme, iv, subsamples, *pattern))


def search(samples: Iterable[Sample], data: bytes) -> ReuseSearch:
    """Both passes, as a file is read."""
    use, samples = CounterUse(), list(samples)
    for each in samples:
        assert each.crypto
        use.add(each.crypto.key_id, each.crypto.iv,
                counter_blocks(each.crypto, encrypted_bytes(each.crypto, each.size)[1]))  # fmt: skip
    found = ReuseSearch(use.meetings(), lambda at, size: data[at : at + size])
    for number, each in enumerate(samples, 1):
        found.add(each, number)
    return found


# ------------------------------------------------------------------------------------------------ files
@pytest.mark.parametrize("name", ["ff_cenc_frag_av", "ff_cenc_prog_av"])
def test_ffmpeg_gives_both_tracks_the_same_ivs_under_the_same_key(own_vectors: Path, name: str) -> None:
    (found,) = faults(own_vectors / "generated" / f"{name}.mp4")
    assert "sample 1 and sample 1 of track 2, and 71 more" in found["text"]
    assert "10000000-1000-1000-1000-100000000001" in found["text"]
    assert found["evidence"][0].startswith("counter block ")


@pytest.mark.parametrize("name", ["pk_cenc_ctrwrap_v", "pk_cenc_iv16_v", "b4_mpeg-cenc_av", "gp_multikey_prog_v",
                                  "pk_cens_2_3_v", "pk_cbcs_1_9_v", "gp_roll_frag_v"])  # fmt: skip
def test_packagers_that_count_on_are_not_blamed(own_vectors: Path, name: str) -> None:
    assert faults(own_vectors / "generated" / f"{name}.mp4") == []


# ------------------------------------------------------------------------------------------------ both passes
NOISE = bytes((at * at * 7919 >> 8) & 0xFF for at in range(SPACE // 16))


def test_the_first_pair_is_named_with_how_many_follow() -> None:
    ivs = [number.to_bytes(8, "big") for number in (5, 6, 7, 6, 9, 7)]
    found = search([sample(iv, 100, 200 * at) for at, iv in enumerate(ivs)], NOISE)
    found.add(sample(ivs[0], 100, 2000, kid=OTHER), 7)  # under another key the same IV is in order
    (reuse,) = found.found.values()
    assert (reuse.key_id, reuse.first, reuse.second, reuse.more) == (KID, (1, 2), (1, 4), 1)
    assert reuse.counter == bytes(7) + b"\6" + bytes(8)


def test_a_sample_without_an_enciphered_byte_takes_no_counter() -> None:
    iv = b"8 bytes."
    clear = sample(iv, 100, 0, ((100, 0),))
    assert search([clear, sample(iv, 100, 200), clear], NOISE).found == {}
    too_short = sample(iv, 15, 0, scheme=Scheme.CENS, pattern=(1, 9))  # less than one block of the pattern
    assert search([too_short, sample(iv, 15, 200, scheme=Scheme.CENS, pattern=(1, 9))], NOISE).found == {}


def test_cens_takes_a_counter_for_each_block_of_its_pattern_alone() -> None:
    """160 bytes under 1:9 are one block, not ten."""

    def made(second: int) -> list[Sample]:
        ivs = (bytes(16), second.to_bytes(16, "big"))
        return [sample(iv, 160, 200 * at, scheme=Scheme.CENS, pattern=(1, 9)) for at, iv in enumerate(ivs)]

    assert search(made(1), NOISE).found == {}
    assert len(search(made(0), NOISE).found) == 1


def test_ivs_of_eight_and_sixteen_bytes_meet_where_their_blocks_do() -> None:
    short = sample(b"8 bytes.", 64, 0)  # blocks 0 to 3 of that upper half
    apart = sample(b"8 bytes." + (4).to_bytes(8, "big"), 64, 200)
    assert search([short, apart], NOISE).found == {}
    meeting = sample(b"8 bytes." + (3).to_bytes(8, "big"), 64, 200)
    assert len(search([short, meeting], NOISE).found) == 1


def test_equal_cipher_text_is_a_copy() -> None:
    twice = [sample(b"8 bytes.", 100, 0), sample(b"8 bytes.", 100, 0)]
    found = search(twice, NOISE)
    assert (found.found, found.copies, found.is_complete) == ({}, 1, True)


def test_the_counter_wraps_within_its_lower_half() -> None:
    wrapping = sample(bytes(8) + LAST.to_bytes(8, "big"), 32, 0)  # its second block has the counter 0 of the same half
    assert search([wrapping, sample(bytes(7) + b"\1" + bytes(8), 16, 200)], NOISE).found == {}
    assert len(search([wrapping, sample(bytes(16), 16, 200)], NOISE).found) == 1
    data = NOISE[:32] + NOISE[16:32] + NOISE[:16]  # the second sample is the first one's second block
    assert search([wrapping, sample(bytes(16), 16, 32)], data).copies == 1
    assert len(search([wrapping, sample(bytes(16), 16, 48)], data).found) == 1
    assert counter_ranges(bytes(8) + LAST.to_bytes(8, "big"), 2) == ((LAST, LAST + 1), (0, 1))


@st.composite
def rows(draw: st.DrawFn) -> tuple[int, bool, int, tuple[Subsample, ...]]:
    pairs = draw(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60)), max_size=3))
    return draw(st.integers(0, 1)), draw(st.booleans()), draw(st.integers(0, 40)), tuple(pairs)


@given(st.lists(rows(), max_size=10), st.sampled_from([(Scheme.CENC, 0, 0), (Scheme.CENS, 1, 2), (Scheme.CENS, 0, 0)]))
def test_as_counting_every_block_would_find_it(
    made: list[tuple[int, bool, int, tuple[Subsample, ...]]], how: tuple[Scheme, int, int]
) -> None:
    scheme, *pattern = how
    seen: set[tuple[int, int]] = set()
    samples, meets = [], False
    for at, (upper, is_long, place, subsamples) in enumerate(made):
        low = (place - 20) % (LAST + 1) if is_long else 0
        iv = upper.to_bytes(8, "big") + (low.to_bytes(8, "big") if is_long else b"")
        each = sample(iv, sum(map(sum, subsamples)) if subsamples else 50, 600 * at, subsamples, scheme=scheme,
                      pattern=(pattern[0], pattern[1]))  # fmt: skip
        blocks = {(upper, (low + block) % (LAST + 1)) for block in range(_blocks(each))}
        meets = meets or bool(blocks & seen)
        seen |= blocks
        samples.append(each)
    found = search(samples, bytes((at * 31 ^ at >> 5) & 0xFF for at in range(8000)))
    assert (bool(found.found) or found.copies > 0) is meets
    assert found.is_complete


def _blocks(each: Sample) -> int:
    """Counter blocks, told byte by byte."""
    crypto = each.crypto
    assert crypto
    pattern = pattern_of(crypto, frozenset())
    ranges = protected_ranges(crypto.subsamples, each.size)
    if crypto.scheme is Scheme.CENC:
        return -(-sum(end - start for start, end in ranges) // 16)
    return sum(pattern.selected(end - start) for start, end in ranges)


@given(rows(), st.sampled_from([*Scheme]), st.sampled_from([(0, 0), (1, 2), (2, 1)]))
def test_spans_and_single_bytes_agree(
    made: tuple[int, bool, int, tuple[Subsample, ...]], scheme: Scheme, pattern: tuple[int, int]
) -> None:
    subsamples = made[3]
    size = sum(map(sum, subsamples)) if subsamples else 70
    crypto = SampleCrypto(KID, scheme, bytes(16), subsamples, *pattern)
    enciphered = {at for start, end in enciphered_spans(crypto, size) for at in range(start, end)}
    ranges = protected_ranges(subsamples, size)
    assert {at for at in range(size) if is_enciphered(crypto, ranges, at, at + 1)} == enciphered
    assert len(enciphered) == encrypted_bytes(crypto, size)[1]


# ------------------------------------------------------------------------------------------------ bounds
def test_what_is_remembered_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_use, "MAX_RUNS", 10)
    use = CounterUse()
    for number in range(100):
        use.add(KID, (number * 2).to_bytes(8, "big"), 1)
    use.meetings()
    assert not use.is_complete
    counting = CounterUse()
    for number in range(100):
        counting.add(KID, number.to_bytes(8, "big"), 1)
    assert counting.meetings() == ()
    assert counting.is_complete


@pytest.mark.parametrize("bound", ["MAX_KEPT", "MAX_COMPARED"])
def test_what_is_compared_is_bounded_and_said(monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    monkeypatch.setattr(counter_reuse, bound, 5)
    copies = [sample(number.to_bytes(8, "big"), 100, 200 * number) for number in range(20)]
    found = search([*copies, *copies], NOISE)
    assert (found.found, found.is_complete) == ({}, False)


def test_more_meetings_than_are_kept_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counter_use, "MAX_MEETINGS", 3)
    use = CounterUse()
    for number in (*range(0, 20, 2), *range(0, 20, 2)):
        use.add(KID, number.to_bytes(8, "big"), 1)
    assert len(use.meetings()) == 3
    assert not use.is_complete


def test_a_file_with_too_many_ivs_is_not_judged(monkeypatch: pytest.MonkeyPatch, own_vectors: Path) -> None:
    monkeypatch.setattr(counter_use, "MAX_RUNS", 1)
    film = own_vectors / "generated" / "gp_ctr16_prog_av.mp4"
    report = json.loads(CliRunner().invoke(command, ["--json", "--no-boxes", str(film)]).stdout)
    assert [(each["code"], each["requirement"]) for each in report["unjudged"]] == [("iv-reused", "CKC-14")]
    assert "iv-check-partial" in [each["code"] for each in report["findings"]]
    told = CliRunner().invoke(command, ["--no-boxes", str(film)]).stdout
    assert "1 not judged" in told.splitlines()[1]
    assert "not judged (iv-reused): too many separate IVs" in told
