"""`clearkey inspect` of a manifest: periods, sets and renditions, and what it says of keys and licenses. Needs no key.

Media playlists, indices and initialization segments are fetched; media segments only where a playlist has
discontinuities. Nothing is asked of a license server that a manifest names.
"""

from __future__ import annotations

from collections.abc import Iterator

import click
import msgspec

from drm.app.http.urls import shown_url
from drm.app.streaming.opening import ManifestOpener, PlannedPeriod
from drm.manifests.key_ids import Statement
from drm.readable import readable
from drm.streaming.selection import every_rendition
from player.json_output import encode_json
from player.manifests.given import ManifestOptions, open_manifest

__all__ = ["print_manifest"]

_SCHEMA = "clearkey-inspect-manifest"
_VERSION = 1


class _Statement(msgspec.Struct, frozen=True):
    where: str
    system: str  # "samples": key ids that samples use
    key_ids: tuple[str, ...]
    license_url: str  # without its query
    problem: str


class _Rendition(msgspec.Struct, frozen=True):
    name: str
    kind: str
    codecs: str
    width: int
    height: int
    bandwidth: int
    language: str
    segments: int
    seconds: float  # as its segments add up to
    key_ids: tuple[str, ...]  # that the manifest names
    statements: tuple[_Statement, ...]
    key_lines: tuple[str, ...]


class _Period(msgspec.Struct, frozen=True):
    name: str
    seconds: float | None  # None: until its media end
    renditions: tuple[_Rendition, ...]


def print_manifest(name: str, options: ManifestOptions, *, as_json: bool) -> None:
    """Print what was found. Raises as `ManifestOpener.periods` does."""
    with open_manifest(name, options) as opener:
        periods = tuple(_period(each) for each in opener.periods(every_rendition))
        report = opener.presentation()
        if as_json:
            head = {"schema": _SCHEMA, "version": _VERSION, "manifest": opener.name, "form": report.form}
            tail = {"periods": periods, "passed_over": report.passed_over, "notes": report.notes}
            click.echo(encode_json({**head, **tail}))
            return
        for line in _lines(opener, periods):
            click.echo(readable(line))


def _period(planned: PlannedPeriod) -> _Period:
    return _Period(
        planned.name,
        None if planned.duration is None else round(float(planned.duration), 6),
        tuple(_renditions(planned)),
    )


def _renditions(planned: PlannedPeriod) -> Iterator[_Rendition]:
    for feed in planned.feeds:
        rendition, count = feed.chosen.rendition, feed.plan.count
        last = feed.plan.segment(count - 1) if count else None
        first = feed.plan.segment(0) if count else None
        seconds = 0.0 if last is None or first is None else float(last.start + last.duration - first.start)
        yield _Rendition(
            rendition.name,
            rendition.kind.value,
            rendition.codecs,
            rendition.width,
            rendition.height,
            rendition.bandwidth,
            rendition.language,
            count,
            round(seconds, 6),
            tuple(map(str, rendition.key_ids)),
            tuple(map(_statement, rendition.statements)),
            rendition.key_lines,
        )


def _statement(found: Statement) -> _Statement:
    url = shown_url(found.license_url) if found.license_url else ""
    return _Statement(found.where, found.name, tuple(map(str, found.key_ids)), url, found.problem)


def _lines(opener: ManifestOpener, periods: tuple[_Period, ...]) -> Iterator[str]:
    report = opener.presentation()
    yield f"{opener.name}: {report.form}, {len(periods)} period{'s' * (len(periods) != 1)}"
    for period in periods:
        lasts = "until its media end" if period.seconds is None else f"{period.seconds:.3f} s"
        yield f"period {period.name}: {lasts}"
        told: dict[str, None] = {}
        for each in period.renditions:
            size = f" {each.width}x{each.height}" if each.width else ""
            rate = f", {each.bandwidth} bit/s" if each.bandwidth else ""
            spoken = f", {each.language}" if each.language else ""
            kids = f", KID {', '.join(each.key_ids)}" if each.key_ids else ""
            yield (
                f"  rendition {each.name}: {each.kind}{size} {each.codecs}".rstrip()
                + f"{rate}{spoken}, {each.segments} segments, {each.seconds:.3f} s{kids}"
            )
            told |= dict.fromkeys(_said(each))
        yield from told
    yield from (f"passed over: {each}" for each in report.passed_over)
    yield from (f"note: {each}" for each in report.notes)


def _said(rendition: _Rendition) -> Iterator[str]:
    yield from (f"    {rendition.name}, {line}" for line in rendition.key_lines)
    for each in rendition.statements:
        if each.problem:
            yield f"    {each.where}: {each.problem}"
        else:
            yield f"    {each.where}: {each.system}{', KID ' + ', '.join(each.key_ids) if each.key_ids else ''}"
        if each.license_url:
            yield f"    {each.where}: license URL {each.license_url} (untrusted: the manifest says so; it is not asked)"
