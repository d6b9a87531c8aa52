"""`clearkey inspect FILE --svg MAP`: a picture of what is encrypted, when, with which key. Self-contained, no script.

Time runs across, tracks stand below one another. The height of a column is its bytes: encrypted ones in their key's
colour, those that the pattern skips in the same colour paler, clear ones grey. Never more than half a megabyte.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from drm.component import ByteStream
from drm.errors import MediaError
from player.verbs.inspect.map_model import OTHER, Cell, Lane, Map, read_map
from player.verbs.inspect.map_strip import STRIP_HEIGHT, strip
from player.verbs.inspect.map_style import HATCH, STYLE, Paths, colour_name, rect, text, words

__all__ = ["draw", "encryption_map"]

_WIDTH: Final = 1000
_LEFT, _RIGHT = 170, 24  # margins of the time axis
_ACROSS: Final = _WIDTH - _LEFT - _RIGHT
_TOP: Final = 74
_BAND, _BARS, _LANE = 18, 56, 96  # heights: the band of keys, the columns, the whole lane
_INSIDE: Final = "Inside samples: the whole one, and where protection begins in blocks of 16 bytes"
_MOST_PERIODS: Final = 120  # with a mark of their own, in one lane
_STEPS: Final = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def encryption_map(stream: ByteStream, tracks: Iterable[int]) -> tuple[str, MediaError | None]:
    """Draw the tracks with these ids, or all. Return the SVG, and the error where a track breaks off.

    Raises:
        MediaError, InvalidArgumentError: as `read_map`.
    """
    drawn = read_map(stream, tracks)
    return draw(drawn), drawn.error


def draw(drawn: Map) -> str:
    """Return `drawn` as SVG."""
    body: list[str] = [text(24, 32, drawn.name, "big"), text(24, 52, _summary(drawn), "quiet")]
    y = _TOP
    for lane in drawn.lanes:
        body += _lane(lane, drawn, y)
        y += _LANE
    body += _axis(drawn, y)
    y += 44
    body += _legend(drawn, y)
    y += 22 * (min(len(drawn.keys), OTHER + 1) + 1) + 20
    if drawn.strips:
        body.append(text(24, y, _INSIDE, "bold"))
        y += 14
    for lane, number, sample in drawn.strips:
        assert sample.crypto is not None
        told = f"track {lane.track.track_id}, sample {number}: {sample.size} bytes, IV {sample.crypto.iv.hex()}"
        body += strip(24, y, _WIDTH - 48, told, sample, drawn.keys)
        y += STRIP_HEIGHT
    height = y + 8
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-labelledby="title desc"><title id="title">Encryption of {words(drawn.name)}</title>'
        f'<desc id="desc">{words(_description(drawn))}</desc>'
    )
    return "".join((head, STYLE, HATCH, rect(0, 0, _WIDTH, height, "page"), *body, "</svg>\n"))


# ------------------------------------------------------------------------------------------------ in words
def _summary(drawn: Map) -> str:
    schemes = dict.fromkeys(lane.scheme for lane in drawn.lanes if lane.tally.encrypted)
    keys = f"{len(drawn.keys)} key{'' if len(drawn.keys) == 1 else 's'}"
    state = f"encrypted with {', '.join(schemes)}, {keys}" if schemes else "not encrypted"
    more = f", {drawn.left_out} more tracks are not drawn" if drawn.left_out else ""
    return f"{drawn.container}, {drawn.end - drawn.start:.3f} s, {state}{more}"


def _description(drawn: Map) -> str:
    lanes = (f"Track {lane.track.track_id}: {', '.join(_facts(lane))}." for lane in drawn.lanes)
    return f"{_summary(drawn)}. {' '.join(lanes)}"


def _facts(lane: Lane) -> list[str]:
    tally = lane.tally
    facts = [f"{lane.track.type.value} {lane.track.codec}"]
    if lane.error is not None:
        facts.append(f"damaged at {lane.seconds(tally.end):.3f} s")
    if not tally.encrypted:
        return [*facts, "clear"]
    share = 100 * tally.encrypted_bytes / max(tally.size, 1)
    facts += [lane.scheme, f"{share:.1f} % of bytes"]
    if tally.lead and tally.lead[0]:
        facts.append(f"clear lead {lane.seconds(tally.lead[1] - tally.first_dts):.3f} s")
    if tally.period_count > 1:
        facts.append(f"{tally.period_count} key periods")
    return facts


# ------------------------------------------------------------------------------------------------ lanes
def _x(drawn: Map, seconds: float) -> float:
    length = drawn.end - drawn.start
    return _LEFT + _ACROSS * (min(max(seconds, drawn.start), drawn.end) - drawn.start) / length if length > 0 else _LEFT


def _lane(lane: Lane, drawn: Map, y: float) -> Iterator[str]:
    yield text(24, y + 13, f"track {lane.track.track_id}", "bold")
    for row, fact in enumerate(_facts(lane)[:4]):
        yield text(24, y + 30 + 15 * row, fact, "quiet small")
    paths = Paths(crisp=not lane.is_by_sample)
    for cell in lane.cells:
        _column(paths, cell, drawn, y + _BAND + 2)
    yield paths.svg()
    yield from _band(lane, drawn, y)
    if lane.error is not None:
        x = _x(drawn, lane.seconds(lane.tally.end))
        yield f'<path class="turn" d="M{x:.1f} {y}V{y + _BAND + _BARS}"/>'


def _column(paths: Paths, cell: Cell, drawn: Map, y: float) -> None:
    left, right = _x(drawn, cell.start), _x(drawn, cell.end)
    total = cell.clear + cell.clear_within + sum(cell.encrypted.values()) + sum(cell.skipped.values())
    if not total:
        return
    # Samples stand apart where there is room; where there is none, columns overlap by a trace, so that no seam shows.
    width = right - left + (-0.5 if right - left > 3 else 0.1)
    at = y + _BARS
    parts = [(colour_name(key), size) for key, size in cell.encrypted.items()]
    parts += [(f"s{key}", size) for key, size in cell.skipped.items()]
    # Keys that share a column beyond the first few are drawn as one: a column is a pixel or two.
    rest = sum(size for _, size in parts[6:])
    for kind, size in (*parts[:6], (colour_name(OTHER), rest), ("clear", cell.clear_within + cell.clear)):
        height = _BARS * size / total
        at -= height
        paths.add(left, at, width, height, kind)


def _band(lane: Lane, drawn: Map, y: float) -> Iterator[str]:
    """The band above the columns: which key, from when to when, and where all is clear."""
    tally = lane.tally
    begin, end = _x(drawn, lane.seconds(tally.first_dts)), _x(drawn, lane.seconds(tally.end))
    if not tally.samples:
        return
    if tally.period_count > _MOST_PERIODS:
        told = f"{tally.period_count} key periods"
        yield rect(begin, y, end - begin, _BAND, colour_name(OTHER), told)
        yield text((begin + end) / 2, y + 13, told, "small on", "middle")
        return
    yield rect(begin, y, end - begin, _BAND, "clear", "clear samples")
    marks: list[tuple[float, float, int, str]] = []
    for period in tally.periods:
        numbers = [drawn.keys.get(key_id, OTHER) for key_id in period.key_ids]
        name = " and ".join(f"key {drawn.number(key_id)}" for key_id in period.key_ids[:3])
        left, right = _x(drawn, lane.seconds(period.start)), _x(drawn, lane.seconds(period.end))
        title = f"{name}: samples {period.first} to {period.last}, KID {', '.join(map(str, period.key_ids[:3]))}"
        yield rect(left, y, max(right - left, 0.5), _BAND, colour_name(numbers[0]), title)
        if period.clear:
            yield f'<rect fill="url(#hatch)" x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{_BAND}"/>'
        marks.append((left, right, numbers[0], f"{name}, clear ones between" if period.clear else name))
    previous = begin
    for left, right, _, name in marks:
        if left - previous > 50:
            told = "clear lead" if previous == begin else "clear"
            yield text((left + previous) / 2, y + 13, told, "small", "middle")
        if right - left > 8 * len(name) and "between" not in name:
            yield text((left + right) / 2, y + 13, name, "small on", "middle")
        previous = right
    if end - previous > 50:
        yield text((previous + end) / 2, y + 13, "clear", "small", "middle")
    turns = "".join(f"M{left:.1f} {y - 4}V{y + _BAND + _BARS + 6}" for left, *_ in marks if left > begin + 0.5)
    if turns:
        yield f'<path class="turn" d="{turns}"/>'


# ------------------------------------------------------------------------------------------------ axis and legend
def _axis(drawn: Map, y: float) -> Iterator[str]:
    length = drawn.end - drawn.start
    step = next((step for step in _STEPS if length / step <= 10), max(length / 8, 0.1))
    yield f'<path class="line" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
    tick = 0
    while length > 0 and tick * step <= length and tick <= 12:
        x = _x(drawn, drawn.start + tick * step)
        yield f'<path class="line" d="M{x:.1f} {y}v5"/>'
        yield text(x, y + 18, _clock(drawn.start + tick * step, step), "quiet small", "middle")
        tick += 1


def _clock(seconds: float, step: float) -> str:
    if step < 60:
        return f"{seconds:.1f} s" if step < 1 or seconds % 1 else f"{seconds:.0f} s"
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def _legend(drawn: Map, y: float) -> Iterator[str]:
    counts: dict[int, int] = {}
    for lane in drawn.lanes:
        for key_id, samples in lane.tally.by_kid.items():
            counts[drawn.keys[key_id]] = counts.get(drawn.keys[key_id], 0) + samples
    x = 24.0
    kinds = [("k0", "encrypted"), ("s0", "protected, not encrypted (pattern, last partial block)"), ("clear", "clear")]
    for kind, told in kinds if drawn.keys else kinds[2:]:
        yield rect(x, y - 10, 14, 12, kind)
        yield text(x + 20, y, told, "small")
        x += 46 + 6.4 * len(told)
    if any(period.clear for lane in drawn.lanes for period in lane.tally.periods):
        yield (
            rect(x, y - 10, 14, 12, "k0")
            + f'<rect fill="url(#hatch)" x="{x:.1f}" y="{y - 10}" width="14" height="12"/>'
        )
        yield text(x + 20, y, "clear samples in between", "small")
    for number, key_id in enumerate(drawn.keys):
        y += 22
        if number == OTHER:
            yield rect(24, y - 10, 14, 12, colour_name(OTHER))
            yield text(44, y, f"{len(drawn.keys) - OTHER} more keys, {counts[OTHER]} samples", "small")
            return
        yield rect(24, y - 10, 14, 12, colour_name(number))
        yield text(44, y, f"key {number + 1}", "small")
        yield text(92, y, f"KID {key_id}", "mono")
        yield text(440, y, f"{counts[number]} sample{'' if counts[number] == 1 else 's'}", "small quiet")
