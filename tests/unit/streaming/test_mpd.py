"""Segments of an MPD: where they are and when, what is refused, and what a hostile one costs."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import pytest

from drm.errors import DRMError, MalformedMediaError, MediaError, UnsupportedMediaError
from drm.isobmff.box import encode_full_box
from drm.streaming.mpd_presentation import read_mpd
from drm.streaming.presentation import Piece, Rendition
from drm.streaming.segment_index import IndexedMedia

URL = "https://cdn.example/films/one/m.mpd?token=1"


def mpd(inside: str, head: str = 'mediaPresentationDuration="PT20S"') -> bytes:
    spaces = 'xmlns="urn:mpeg:dash:schema:mpd:2011" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<MPD {spaces} {head}>{inside}</MPD>".encode()


def of_template(template: str, period: str = "", head: str = 'mediaPresentationDuration="PT20S"') -> Rendition:
    text = (
        f"<Period {period}><AdaptationSet mimeType='video/mp4'><Representation id='v1' bandwidth='7'>{template}"
        "</Representation></AdaptationSet></Period>"
    )
    return read_mpd(mpd(text, head), URL).periods[0].sets[0].renditions[0]


def names(rendition: Rendition) -> list[str]:
    assert rendition.plan is not None
    segments = [rendition.plan.segment(index) for index in range(rendition.plan.count)]
    return [segment.media.uris[0].rpartition("/")[2] for segment in segments]


TIMELINES = {
    "r=-1 in the middle": ('<S t="0" d="4" r="-1"/><S t="12" d="2"/><S d="6"/>', ["0", "4", "8", "12", "14"]),
    "r=-1 last": ('<S t="0" d="4"/><S d="6" r="-1"/>', ["0", "4", "10", "16"]),
    "first time missing: 0": ('<S d="8" r="1"/>', ["0", "8"]),
    "behind the end of the period": ('<S t="0" d="8" r="9"/>', ["0", "8", "16"]),
    "n is a number of its own": ('<S t="0" d="10" n="7"/><S d="10"/>', ["0", "10"]),
}


@pytest.mark.parametrize(("inside", "times"), TIMELINES.values(), ids=TIMELINES)
def test_a_time_line(inside: str, times: list[str]) -> None:
    found = of_template(
        f'<SegmentTemplate media="$Time$"><SegmentTimeline>{inside}</SegmentTimeline></SegmentTemplate>'
    )
    assert names(found) == times


def test_the_number_of_a_time_line_goes_on_from_its_own() -> None:
    timeline = '<SegmentTimeline><S t="0" d="5" r="1"/><S d="5" n="9" r="1"/></SegmentTimeline>'
    found = of_template(f'<SegmentTemplate media="$Number%03d$" startNumber="4">{timeline}</SegmentTemplate>')
    assert names(found) == ["004", "005", "009", "010"]


def test_segments_before_the_period_are_left_out() -> None:
    timeline = '<SegmentTimeline><S t="0" d="10" r="5"/></SegmentTimeline>'
    found = of_template(f'<SegmentTemplate media="$Time$" presentationTimeOffset="25">{timeline}</SegmentTemplate>')
    assert names(found) == ["20", "30", "40"]
    assert found.offset == 25
    assert found.plan is not None
    assert found.plan.segment(0).start == -5


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('duration="6"', ["1", "2", "3", "4"]),  # rounded up
        ('duration="6" startNumber="5" endNumber="6"', ["5", "6"]),
        ('duration="12" timescale="2" startNumber="0"', ["0", "1", "2", "3"]),
    ],
)
def test_segments_by_number(attributes: str, expected: list[str]) -> None:
    assert names(of_template(f'<SegmentTemplate media="$Number$" {attributes}/>')) == expected


def test_variables_of_a_template() -> None:
    found = of_template('<SegmentTemplate duration="20" media="$$$RepresentationID$-$Bandwidth%04d$-$Number%02d$"/>')
    assert names(found) == ["$v1-0007-01"]


def test_information_is_inherited_attribute_by_attribute_and_bases_level_by_level() -> None:
    text = """<BaseURL>https://a.example/</BaseURL><BaseURL>https://b.example/x/</BaseURL>
      <Period><BaseURL>p/</BaseURL><SegmentTemplate timescale="2" duration="10" startNumber="3"/>
      <AdaptationSet mimeType="video/mp4"><BaseURL>s/</BaseURL><SegmentTemplate media="$Number$" duration="20"/>
      <Representation id="1" bandwidth="1"><SegmentTemplate initialization="i"/></Representation>
      </AdaptationSet></Period>"""
    rendition = read_mpd(mpd(text), URL).periods[0].sets[0].renditions[0]
    assert rendition.plan is not None
    assert rendition.plan.count == 2
    first = rendition.plan.segment(0)
    assert first.media == Piece(("https://a.example/p/s/3", "https://b.example/x/p/s/3"))
    assert first.initialization == Piece(("https://a.example/p/s/i", "https://b.example/x/p/s/i"))


def test_the_query_of_the_manifest_is_not_inherited() -> None:
    found = of_template('<SegmentTemplate duration="20" media="a"/>')
    assert found.plan is not None
    assert found.plan.segment(0).media.uris == ("https://cdn.example/films/one/a",)


def test_a_list_with_ranges() -> None:
    found = of_template(
        '<SegmentList duration="10"><Initialization sourceURL="f" range="0-99"/>'
        '<SegmentURL media="f" mediaRange="100-199"/><SegmentURL media="f" mediaRange="200-299"/></SegmentList>'
    )
    assert found.plan is not None
    segment = found.plan.segment(1)
    uri = ("https://cdn.example/films/one/f",)
    assert (segment.media, segment.initialization) == (Piece(uri, 200, 100), Piece(uri, 0, 100))
    assert segment.start == 10


def test_an_index_counts_from_behind_its_box_and_its_first_offset() -> None:
    rows = b"".join(bytes.fromhex("00000000") for _ in range(0))
    for size, duration in ((1000, 90), (500, 45)):
        rows += size.to_bytes(4) + duration.to_bytes(4) + bytes(4)
    head = (1).to_bytes(4) + (45).to_bytes(4) + (90).to_bytes(4) + (16).to_bytes(4) + bytes(2) + (2).to_bytes(2)
    box = encode_full_box("sidx", 0, 0, head, rows)
    plan = IndexedMedia(Piece(("u",), 700, len(box)), None, "here").plan(box)
    begin = 700 + len(box) + 16
    assert [plan.segment(at).media for at in range(2)] == [Piece(("u",), begin, 1000), Piece(("u",), begin + 1000, 500)]
    assert [(plan.segment(at).start, plan.segment(at).duration) for at in range(2)] == [(2, 2), (4, 1)]


def test_when_periods_begin() -> None:
    text = '<Period id="a" duration="PT5S"/><Period id="b"/><Period id="c" start="PT8.5S" duration="PT1M"/>'
    found = read_mpd(mpd(text), URL).periods
    assert [(each.start, each.duration) for each in found] == [
        (0, 5),
        (5, Fraction(7, 2)),
        (Fraction(17, 2), Fraction(23, 2)),
    ]


SET = '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>a</BaseURL></Representation>'
PASSED_OVER = {
    "text": '<AdaptationSet contentType="text"><Representation/></AdaptationSet>',
    "pictures": '<AdaptationSet mimeType="image/jpeg"><Representation/></AdaptationSet>',
    "trick play": SET + '<EssentialProperty schemeIdUri="http://dashif.org/guidelines/trickmode"/></AdaptationSet>',
    "an unknown demand": SET + '<EssentialProperty schemeIdUri="urn:x"/></AdaptationSet>',
}


@pytest.mark.parametrize("inside", PASSED_OVER.values(), ids=PASSED_OVER)
def test_what_is_passed_over_is_listed(inside: str) -> None:
    found = read_mpd(mpd(f"<Period>{inside}</Period>"), URL)
    assert not found.periods[0].sets
    assert len(found.passed_over) == 1


def test_remote_elements_refuse_the_manifest_and_nothing_is_nothing() -> None:
    text = '<Period><AdaptationSet xlink:href="{0}"/>' + SET + "</AdaptationSet></Period>"
    with pytest.raises(UnsupportedMediaError, match="another document"):
        read_mpd(mpd(text.format("https://x.example/a")), URL)
    found = read_mpd(mpd(text.format("urn:mpeg:dash:resolve-to-zero:2013")), URL)
    assert len(found.periods[0].sets) == 1


LAURLS = [
    "<Laurl>https://l/1</Laurl>", "<laurl>https://l/1</laurl>", '<c:Laurl licenseType="EME-1.0">https://l/1</c:Laurl>',
    "<c:laurl>https://l/1</c:laurl>", '<d:Laurl xmlns:d="https://dashif.org/CPS">https://l/1</d:Laurl>',
    '<d:laurl xmlns:d="https://dashif.org/CPS">https://l/1</d:laurl>',
]  # fmt: skip


@pytest.mark.parametrize("spelling", LAURLS)
def test_license_urls_in_every_spelling(spelling: str) -> None:
    protection = (
        '<ContentProtection xmlns:c="http://dashif.org/guidelines/clearKey" '
        f'schemeIdUri="urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e">{spelling}</ContentProtection>'
    )
    text = f"<Period>{SET}{protection}</AdaptationSet></Period>"
    rendition = read_mpd(mpd(text), URL).periods[0].sets[0].renditions[0]
    assert [each.license_url for each in rendition.statements] == ["https://l/1"]


def test_a_live_manifest_is_refused_with_a_way_out() -> None:
    live = mpd(f"<Period>{SET}</AdaptationSet></Period>", 'type="dynamic" mediaPresentationDuration="PT2S"')
    with pytest.raises(UnsupportedMediaError) as refused:
        read_mpd(live, URL)
    assert "--as-listed" in refused.value.remedy
    assert read_mpd(live, URL, as_listed=True).periods[0].sets


REFUSED = {
    "no duration": '<SegmentTemplate media="$Number$"/>',
    "timescale 0": '<SegmentTemplate media="$Number$" duration="1" timescale="0"/>',
    "d 0": '<SegmentTemplate media="$Time$"><SegmentTimeline><S t="0" d="0"/></SegmentTimeline></SegmentTemplate>',
    "d missing": '<SegmentTemplate media="$Time$"><SegmentTimeline><S t="0"/></SegmentTimeline></SegmentTemplate>',
    "r -1 to before": '<SegmentTemplate media="$Time$"><SegmentTimeline><S t="9" d="2" r="-1"/><S t="3" d="1"/>'
    "</SegmentTimeline></SegmentTemplate>",
    "time without a line": '<SegmentTemplate media="$Time$" duration="2"/>',
    "unknown variable": '<SegmentTemplate media="$Name$" duration="2"/>',
    "sub-segments": '<SegmentTemplate media="$SubNumber$" duration="2"/>',
    "sequences": '<SegmentTemplate media="$Time$"><SegmentTimeline><S t="0" d="2" k="4"/></SegmentTimeline>'
    "</SegmentTemplate>",
    "range": '<SegmentBase indexRange="9-3"/>',
    "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize("template", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_by_name(template: str) -> None:
    with pytest.raises(MediaError) as refused:
        of_template(template)
    assert "line" in refused.value.where


BOMBS = {
    "r=2^31": '<SegmentTemplate media="$Time$"><SegmentTimeline><S t="0" d="1" r="2147483648"/></SegmentTimeline>'
    "</SegmentTemplate>",
    "r of twenty digits": '<SegmentTemplate media="$Time$"><SegmentTimeline><S t="0" d="1" r="99999999999999999999"/>'
    "</SegmentTimeline></SegmentTemplate>",
    "10^9 a second": '<SegmentTemplate media="$Number$" duration="1" timescale="1000000000"/>',
    "a width of 10^9": '<SegmentTemplate media="$Number%01000000000d$" duration="2"/>',
    "5,000 digits": f'<SegmentTemplate media="$Number$" duration="{"9" * 5000}"/>',
    "many rows": '<SegmentTemplate media="$Time$"><SegmentTimeline>' + '<S d="1" r="9999"/>' * 50_000
    + "</SegmentTimeline></SegmentTemplate>",
}  # fmt: skip


@pytest.mark.parametrize("template", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused(template: str) -> None:
    with pytest.raises(DRMError):
        of_template(template, head='mediaPresentationDuration="P30000D"')


def test_a_thousand_renditions_of_a_hundred_thousand_segments_are_not_listed() -> None:
    one = '<Representation id="{0}" bandwidth="1"><SegmentTemplate media="$Number$" duration="2"/></Representation>'
    text = "".join(one.format(number) for number in range(1000))
    data = mpd(f'<Period><AdaptationSet mimeType="video/mp4">{text}</AdaptationSet></Period>',
               'mediaPresentationDuration="PT200000S"')  # fmt: skip
    tracemalloc.start()
    found = read_mpd(data, URL)
    _now, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(each.plan.count for each in found.periods[0].renditions() if each.plan) == 100_000_000
    assert most < 200 << 20


def test_numbers_and_durations() -> None:
    for text in ("24", "-PT3S", "PT", f"PT{'9' * 5000}S", "P36601D"):
        with pytest.raises(MalformedMediaError):
            read_mpd(mpd("<Period/>", f'mediaPresentationDuration="{text}"'), URL)
