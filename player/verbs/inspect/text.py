"""The report of `clearkey inspect` for people: the answer first, then each track, then what was odd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import click

from drm.readable import readable
from player.verbs.inspect.box_listing import ListedBox
from player.verbs.inspect.report import Inspection, KeyPeriod, Kid, PsshReport, TrackReport

__all__ = ["report_lines", "tree_lines"]

WIDTH: Final = 100  # columns that prose is broken to
_KIDS: Final = 16  # lines of key ids in one place
_PERIODS: Final = 12  # lines of key periods for one track
_MARKS: Final = {"fault": ("FAULT", "red"), "odd": ("odd", "yellow"), "info": ("note", "")}


def report_lines(report: Inspection) -> Iterator[str]:
    """Everything but the boxes."""
    yield f"{readable(report.file, 200)}: {report.container}, {report.bytes} bytes"
    yield click.style(_answer(report), bold=True)
    for finding in report.findings:
        if finding.level == "fault":
            yield from _said("FAULT", "red", finding.text, finding.track_id)
            yield from (f"  {line}" for each in finding.evidence for line in _broken(each, WIDTH - 2, "  "))
    for track in report.tracks:
        yield from _track(track)
    for box in report.pssh:
        yield from _pssh(box)
    for finding in report.findings:
        if finding.level != "fault" and finding.code != "nothing-encrypted":
            yield from _said(*_MARKS[finding.level], finding.text, finding.track_id)
    for warning in report.warnings:
        yield from _said("odd", "yellow", warning, 0)
    for each in report.unjudged:
        yield from _said(f"not judged ({each.code})", "", each.text, each.track_id)


def _answer(report: Inspection) -> str:
    levels = [finding.level for finding in report.findings]
    wrong = [_count(levels.count("fault"), "fault")] if "fault" in levels else []
    if odd := levels.count("odd") + len(report.warnings):
        wrong.append(f"{odd} odd")
    if report.unjudged:
        wrong.append(f"{len(report.unjudged)} not judged")
    state = ", ".join(wrong)
    if not report.encrypted:
        return _none_encrypted(report) + (f"; {state}" if state else "")
    schemes = dict.fromkeys(readable(track.scheme, 200) for track in report.tracks if track.scheme)
    kids = {kid.uuid for track in report.tracks for kid in track.kids if kid.samples}
    rotate = ", rotating" if any(len({p.kids for p in track.periods}) > 1 for track in report.tracks) else ""
    keys = f"{_count(len(kids), 'key')}{rotate}"
    clear = "" if all(track.encrypted for track in report.tracks) else ", not every track"
    return f"encrypted: {', '.join(schemes)}, {keys}{clear}; {state or 'nothing wrong'}"


def _none_encrypted(report: Inspection) -> str:
    schemes = dict.fromkeys(readable(track.scheme, 200) for track in report.tracks if track.scheme)
    if not schemes:
        return "not encrypted"
    if any(track.samples for track in report.tracks):
        return f"marked as encrypted ({', '.join(schemes)}), but no sample is"
    return f"made for encrypted samples ({', '.join(schemes)}), and none are here: give the media segments too"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _said(word: str, colour: str, text: str, track: int) -> Iterator[str]:
    place = f"track {track}: " if track else ""
    lines = _broken(f"{word}: {place}{text}", WIDTH, "  ")
    yield from (click.style(line, fg=colour) if colour else line for line in lines)


def _broken(text: str, width: int, indent: str) -> list[str]:
    """Break at spaces; a word that is longer than the line (a path, a list of KIDs) stays whole."""
    lines, line = [], ""
    for word in readable(text, 4000).split(" "):
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = indent + word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


# ------------------------------------------------------------------------------------------------ tracks
def _track(track: TrackReport) -> Iterator[str]:
    facts = [f"track {track.track_id}: {track.type} {readable(track.codec, 200).strip()}"]
    if track.width:
        facts.append(f"{track.width}x{track.height}")
    if track.sample_rate:
        facts.append(f"{track.sample_rate} Hz, {track.channels} channels")
    facts.append(f"{track.seconds:.3f} s, {track.samples} samples, {track.bytes} bytes")
    if track.language:
        facts.append(readable(track.language, 200))
    yield click.style(", ".join(facts), bold=True)
    if not track.scheme and not track.encrypted:
        yield "  not encrypted"
    else:
        yield from _encryption(track)
    for duration, start in track.edits:
        length = f"{duration:.3f} s" if duration else "to the end"
        yield f"  edit: {length}, " + ("empty" if start < 0 else f"from {start:.3f} s of the media")


def _encryption(track: TrackReport) -> Iterator[str]:
    entries = ", ".join(readable(entry, 200).strip() for entry in track.sample_entries)
    yield f"  scheme {readable(track.scheme, 200)}{_patterns(track)}, {_ivs(track)}; sample entries {entries}"
    if track.period_count <= 1 or len(track.kids) == 1:
        yield from _kids("KID {}: {} samples", track.kids)
    else:
        yield from _periods(track)
    then = f", then: {track.error['what']}" if track.error is not None else ""
    if not track.samples_encrypted and not then:
        if track.samples:
            yield f"  marked as encrypted, but not one of its {track.samples} samples is"
        return
    share = f"{100 * track.bytes_encrypted / track.bytes:.1f} %" if track.bytes else "none"
    yield f"  {track.samples_encrypted} samples encrypted, {track.samples_clear} clear{then}"
    yield f"  {track.bytes_encrypted} of {track.bytes} bytes encrypted ({share}){_subsamples(track)}"
    if track.clear_lead is None:
        return
    lead = track.clear_lead
    yield f"  clear lead: {lead.seconds:.3f} s, {lead.samples} samples" if lead.samples else "  no clear lead"
    if later := track.clear_stretches - bool(lead.samples):
        yield f"  clear later on too: {later} {'stretches' if later > 1 else 'stretch'} of clear samples"


def _patterns(track: TrackReport) -> str:
    all_told = [each.pattern for each in track.patterns or track.protections]
    told = list(filter(None, all_told))
    if not told:
        return ""
    mixed = " or none" if len(told) < len(all_told) else ""
    return f", pattern {' or '.join(dict.fromkeys(told))}{mixed}"


def _ivs(track: TrackReport) -> str:
    own, constants = [int(size) for size in track.ivs.own], list(track.ivs.constant)
    if not own and not constants:  # no samples: what their descriptions announce
        own = [each.iv_size for each in track.protections if each.iv_size]
        constants = [each.constant_iv for each in track.protections if not each.iv_size]
    kinds = [f"IV of {size} bytes in each sample" for size in own]
    kinds += [f"constant IV {iv}" for iv in constants[:2]]
    if len(constants) > 2:
        kinds.append(f"{len(constants) - 2} more constant IVs")
    return " or ".join(kinds) or "no IVs"


def _subsamples(track: TrackReport) -> str:
    told = track.subsamples
    if not told.samples:
        return ", samples protected whole"
    count = _count(told.most, "subsample") if told.fewest == told.most else f"{told.fewest} to {told.most} subsamples"
    whole = f", {_count(told.whole_samples, 'sample')} protected whole" if told.whole_samples else ""
    return f"; {count} each{whole}"


def _periods(track: TrackReport) -> Iterator[str]:
    unused = tuple(kid for kid in track.kids if not kid.samples)
    yield f"  {track.period_count} key periods:"
    for period in track.periods[:_PERIODS]:
        yield from _period(period)
    if track.period_count > _PERIODS:
        yield f"    … and {track.period_count - _PERIODS} more (--json lists them)"
    yield from _kids("KID {}: {} samples", unused)


def _period(period: KeyPeriod) -> Iterator[str]:
    clear = f", {period.samples_clear} of them clear" if period.samples_clear else ""
    samples = f"samples {period.first_sample} to {period.last_sample}{clear}"
    first, *others = period.kids
    yield f"    {period.start:9.3f} to {period.end:9.3f} s  KID {first}  {samples}"
    yield from (f"{'':29}and KID {kid}" for kid in others)


def _kids(shape: str, kids: Sequence[Kid]) -> Iterator[str]:
    yield from (f"  {shape.format(kid.uuid, kid.samples)}" for kid in kids[:_KIDS])
    if len(kids) > _KIDS:
        yield f"  … and {len(kids) - _KIDS} more KIDs (--json lists them)"


def _pssh(box: PsshReport) -> Iterator[str]:
    data = f", {box.data_bytes} bytes of data" if box.data_bytes else ""
    yield f"pssh: {box.system} ({box.system_id}), version {box.version}{data}"
    yield from _kids("KID {}", box.kids)
    yield from _kids("KID {} in its data", box.data_kids)
    for text in (box.summary, box.license_url):
        if text:
            yield f"  {text}"


# ------------------------------------------------------------------------------------------------ boxes
def tree_lines(boxes: Sequence[ListedBox], *, everything: bool, depth: int = 0) -> Iterator[str]:
    """The tree, boxes about encryption marked; without `everything`, these and what leads to them alone."""
    left_out = 0
    for box in boxes:
        if not everything and not _leads(box):
            left_out += 1
            continue
        text = f"{'  ' * depth}{box.type}  @{box.offset}, {box.size} bytes"
        text += f"  {box.detail}" if box.detail else ""
        yield _marked(text, box)
        yield from (_marked(f"{'  ' * depth}    {note}", box) for note in box.notes)
        yield from tree_lines(box.children, everything=everything, depth=depth + 1)
        if box.alike:
            kind = "Clusters" if box.type == "Cluster" else "fragments alike"
            yield click.style(f"  … and {box.alike} more {kind}", dim=True)
    if left_out and not depth:
        yield click.style("  (boxes that do not concern encryption are left out; --boxes shows all)", dim=True)


_LANDMARKS: Final = frozenset({"sidx", "moof", "tfhd", "tfdt", "trun", "mdat", "Cluster", "Timestamp", "SimpleBlock"})


def _leads(box: ListedBox) -> bool:
    return box.encryption or box.type in _LANDMARKS or bool(box.alike) or any(map(_leads, box.children))


def _marked(text: str, box: ListedBox) -> str:
    return click.style("* " + text, fg="yellow") if box.encryption else click.style("  " + text, dim=True)
