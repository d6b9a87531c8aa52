"""Single questions, asked of facts as no file of ours has them; and what becomes of a no when a file breaks off."""

from __future__ import annotations

from array import array
from dataclasses import replace
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.container import open_container
from drm.content_checks import of_boxes
from drm.content_checks.box_window import Window, spans
from drm.content_checks.checks import CHECKS, judge
from drm.content_checks.coded_headers import av1_headers, nal_headers
from drm.content_checks.enciphered import counter_blocks
from drm.content_checks.facts import AuxPlace
from drm.content_checks.gather import gather_facts
from drm.content_checks.judgement import Answer, Judgement, Summary
from drm.content_checks.senc_entries import SencBox
from drm.content_checks.tally import Tally
from drm.errors import MalformedMediaError
from drm.isobmff.sample_aux import Saio, Saiz
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto, Scheme, Subsample

KID = KeyId(bytes(range(16)))
SENC = SencBox(900, 1000, 1060, 3, has_subsamples=True, is_piff=False, version=0, iv_size=8, fits=(8,),
               sizes=array("I", (16, 16, 28)))  # fmt: skip
PLACE = AuxPlace(1, "moof at byte 500", True, 3, (500, 0), True, False, (SENC,), (Saiz(3, 0, bytes((16, 16, 28))),),
                 (Saio((500,)),))  # fmt: skip


# ------------------------------------------------------------------------------------------------ boxes
@pytest.mark.parametrize(
    ("offsets", "answer"),
    [
        ((500,), Answer.NO),  # from the moof
        ((1000,), Answer.NO),  # from the file's start
        ((500, 516, 532), Answer.NO),  # one for each run
        ((500, 532), Answer.NO),
        ((500, 517), Answer.YES),
        ((500, 560, 561), Answer.YES),
        ((508,), Answer.YES),
    ],
)
def test_where_saio_points(offsets: tuple[int, ...], answer: Answer) -> None:
    told = of_boxes.saio_beside(replace(PLACE, saio=(Saio(offsets),)))
    assert told is not None
    assert told.answer is answer


def test_one_cause_has_one_answer() -> None:
    """Entries that cannot be taken apart, or are too many, leave what needs them unknown."""
    unreadable = replace(PLACE, sencs=(replace(SENC, fits=(), sizes=None),), saio=(Saio((500, 516)),))
    for ask in (of_boxes.saiz_against_senc, of_boxes.saio_beside, of_boxes.iv_size):
        told = ask(unreadable)
        assert told is not None
        assert told.answer is Answer.UNKNOWN
        assert told.text
    surplus = replace(PLACE, samples=2)
    answers = {ask.__name__: ask(surplus) for ask in (of_boxes.senc_surplus, of_boxes.saiz_against_senc)}
    assert {name: told and told.answer for name, told in answers.items()} == {
        "senc_surplus": Answer.YES, "saiz_against_senc": Answer.UNKNOWN,
    }  # fmt: skip


def test_groups_that_change_the_size_of_ivs_are_not_accused() -> None:
    mixed = replace(PLACE, is_mixed=True, sencs=(replace(SENC, fits=(16,)),))
    assert of_boxes.iv_size(mixed) is None
    assert of_boxes.saiz_against_senc(mixed) is None


def test_sizes_of_clear_samples_have_no_entries() -> None:
    told = of_boxes.saiz_against_senc(replace(PLACE, samples=5, saiz=(Saiz(5, 0, bytes((16, 0, 16, 0, 28))),)))
    assert told is not None
    assert told.answer is Answer.NO


@pytest.mark.parametrize(
    ("saiz", "offset", "doubtful"),
    [(3, 500, True), (2, 500, True), (2, 516, False), (2, 532, True), (0, 500, False)],
)
def test_doubt_about_too_many_entries(saiz: int, offset: int, doubtful: bool) -> None:
    """Readers take the last entries: in order where saio names these, or where saiz is as wrong as senc."""
    place = replace(PLACE, samples=2, saiz=(Saiz(saiz, 0, bytes((16,)) * saiz),), saio=(Saio((offset,)),))
    if saiz == 3:
        doubtful = False
    assert bool(of_boxes.doubt(place)) is doubtful
    assert not of_boxes.doubt(replace(place, samples=3))


def test_counts_of_four_thousand_million_cost_nothing() -> None:
    many = (1 << 32) - 1
    told = of_boxes.saiz_against_senc(replace(PLACE, samples=many, saiz=(Saiz(many, 9),)))
    assert told is not None
    assert told.answer is Answer.YES
    assert "saiz tells of 4294967295 samples, senc has 3 entries" in told.evidence[0]
    senc = replace(SENC, count=many, has_subsamples=False, fits=(), sizes=None)
    assert of_boxes.doubt(replace(PLACE, saiz=(Saiz(3, 8),), sencs=(senc,))) == ""


class Bytes:
    """A file in memory."""

    name = "made"

    def __init__(self, data: bytes) -> None:
        self.size, self._data = len(data), data

    def read_at(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


def depth(window: Window, start: int, end: int, path: str = "") -> int:
    span = next(spans(window, start, end, path), None)
    return 1 + depth(window, span.payload, span.end, span.path) if span else 0


def test_boxes_without_end_stop_the_walk() -> None:
    def nested(levels: int) -> Window:
        return Window(Bytes(b"".join((8 * left).to_bytes(4, "big") + b"mdia" for left in range(levels, 0, -1))))

    assert depth(nested(20), 0, 160) == 20
    with pytest.raises(MalformedMediaError, match="inside one another"):
        depth(nested(500), 0, 4000)
    many = Window(Bytes((bytes((0, 0, 0, 8)) + b"free") * 100_001))
    with pytest.raises(MalformedMediaError, match="side by side"):
        list(spans(many, 0, many.size))


def test_boxes_that_leave_their_parent_stop_the_walk() -> None:
    data = (24).to_bytes(4, "big") + b"free" + bytes(16) + (99).to_bytes(4, "big") + b"free" + bytes(8)
    found = spans(Window(Bytes(data)), 0, 40)
    assert next(found).end == 24
    with pytest.raises(MalformedMediaError, match="impossible size"):
        next(found)


# ------------------------------------------------------------------------------------------------ samples
def sample(size: int, subsamples: tuple[Subsample, ...], scheme: Scheme = Scheme.CENC) -> Sample:
    return Sample(1, 0, 0, 1, True, 0, size, 1, SampleCrypto(KID, scheme, bytes(16), subsamples, 1, 9))


def nal(data: bytes, subsamples: tuple[Subsample, ...], scheme: Scheme = Scheme.CENC, header: int = 1) -> Answer:
    def read(at: int, size: int) -> bytes:
        return data[at : at + size]

    return nal_headers(sample(len(data), subsamples, scheme), 1, read, 4, header).answer


UNITS = bytes((0, 0, 0, 2, 9, 16)) + bytes((0, 0, 0, 40)) + bytes(40)


def test_nal_units() -> None:
    assert nal(UNITS, ((11, 39),)) is Answer.NO
    assert nal(UNITS, ((11, 39),), header=2) is Answer.YES
    assert nal(UNITS, ((12, 38),), header=2) is Answer.NO
    assert nal(UNITS, ((9, 41),)) is Answer.YES
    assert nal(UNITS, ()) is Answer.YES
    assert nal(UNITS, ((5, 1), (5, 39))) is Answer.NO
    # Of cbcs a last partial block is told as protected, and is not enciphered.
    assert nal(UNITS, ((5, 1), (4, 40)), Scheme.CBCS) is Answer.YES
    assert nal(UNITS[:6] + bytes((0, 0, 0, 5)) + bytes(5), ((6, 9),), Scheme.CBCS) is Answer.NO


@pytest.mark.parametrize("data", [UNITS[:-1], bytes(4) + UNITS, UNITS + b"\0", b"\xff" * 60])
def test_what_is_no_row_of_nal_units_accuses_nobody(data: bytes) -> None:
    assert nal(data, ((len(data), 0),)) is Answer.UNKNOWN


def test_a_row_without_end_is_not_walked_without_end() -> None:
    data = bytes((0, 0, 0, 1, 9)) * 5000
    assert nal(data, ((len(data) // 2, 0), (len(data) // 2, 0))) is Answer.UNKNOWN


def obu(data: bytes, subsamples: tuple[Subsample, ...]) -> Answer:
    def read(at: int, size: int) -> bytes:
        return data[at : at + size]

    return av1_headers(sample(len(data), subsamples), 1, read).answer


def test_obus() -> None:
    """A delimiter, a sequence header of four bytes, and a frame without a size, which ends the sample."""
    data = bytes((0x12, 0, 0x0A, 4, 1, 2, 3, 4, 0x30)) + bytes(60)
    assert obu(data, ((21, 48),)) is Answer.NO
    assert obu(data, ((9, 60),)) is Answer.YES  # the frame header's first byte
    assert obu(data, ((10, 59),)) is Answer.NO
    assert obu(data, ((6, 1), (14, 48))) is Answer.YES  # the sequence header
    assert obu(data, ((0, 69),)) is Answer.YES
    assert obu(bytes((0x32, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1)), ((10, 0),)) is Answer.UNKNOWN
    assert obu(b"\x80" + bytes(20), ((21, 0),)) is Answer.UNKNOWN


def test_one_subsample_over_the_whole_sample_is_no_odd_range() -> None:
    for subsamples, unaligned in ((((0, 100),), 0), (((1, 99),), 1), (((0, 50), (0, 50)), 1), (((4, 96),), 0)):
        tally = Tally(1)
        tally.count(iter([sample(100, subsamples)]))
        assert tally.unaligned == unaligned


def test_aes_cbc_counts_nothing() -> None:
    assert [counter_blocks(SampleCrypto(KID, scheme, bytes(16)), 33) for scheme in Scheme] == [3, 3, 0, 0]


# ------------------------------------------------------------------------------------------------ answers
def test_a_summary_is_as_bad_as_its_worst_place() -> None:
    summary = Summary()
    assert summary.judgement() is None
    summary.add(None)
    summary.add(Judgement.no(3), "table")
    assert summary.judgement() == Judgement.no(3)
    summary.add(Judgement.unknown("who knows", 3), "table")
    assert summary.judgement() == Judgement.unknown("who knows", 3)
    for number in range(5):
        summary.add(Judgement.yes("it is so", f"place {number}", track_id=3), "fragment")
    told = summary.judgement()
    assert told is not None
    assert (told.answer, told.text) == (Answer.YES, "it is so (and 4 more fragments)")
    assert told.evidence == ("place 0", "place 1", "place 2")


def test_no_is_never_said_of_what_was_not_read_to_its_end(tmp_path: Path, own_vectors: Path) -> None:
    whole = (own_vectors / "generated" / "pk_cenc_iv8_v.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    answers = []
    for data in (whole, whole[:-700]):
        cut.write_bytes(data)
        with FileByteStream([str(cut)]) as stream:
            facts = gather_facts(stream, open_container(stream))
            answers.append({check.code: each.answer for check, each in judge(facts)})
    sound, broken = answers
    assert set(sound.values()) == {Answer.NO}
    assert broken["damaged"] is Answer.YES
    of_movie = {"second-moov", "no-mvex", "no-pssh", "pssh"}  # which was read whole, and says all that they ask
    assert {code for code, answer in broken.items() if answer is Answer.NO} <= of_movie
    assert broken["iv-reused"] is broken["saio-beside"] is broken["headers-encrypted"] is Answer.UNKNOWN


def test_codes_and_requirements_are_each_one() -> None:
    codes = [check.code for check in CHECKS]
    assert len(set(codes)) == len(codes)
    for check in CHECKS:
        assert check.means.endswith(".")
        assert check.remedy.endswith(".")
