"""What `clearkey signal` prints: verdicts with what they rest on, contradictions, notes, as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from drm.manifests.judging.findings import Answer, Basis, Finding
from drm.manifests.judging.verdicts import Plays, Verdict

__all__ = ["lines"]

_PLAYS: Final = {
    Plays.FROM_MANIFEST: "plays from the manifest alone",
    Plays.WITH_CONFIG: "plays once the application is configured",
    Plays.UNKNOWN: "not known whether it plays",
    Plays.NO: "does not play",
}
_FORMS: Final = {
    Plays.FROM_MANIFEST: "its form is right",
    Plays.WITH_CONFIG: "its form is right, once the application is configured",
}
_RESTS: Final = {
    Basis.MEDIA: "initialization segments, read and held against the manifest",
    Basis.MANIFEST: "the manifest alone",
    Basis.NOTHING: "nothing: what would tell was not there",
}


def lines(verdicts: Sequence[Verdict], findings: Sequence[Finding], notes: Sequence[str]) -> Iterator[str]:
    """All of it for people."""
    yield from (f"note: {note}" for note in notes)
    for finding in findings:
        if finding.answer is Answer.NO:
            yield f"{finding.id}: {finding.evidence}\n  where  {finding.where}"
            if finding.maybe:
                yield f"  maybe  {finding.maybe}"
    for verdict in verdicts:
        form = _FORMS.get(verdict.form or verdict.plays) if verdict.plays in {Plays.UNKNOWN, Plays.NO} else None
        more = f"; {form}" if form and verdict.form is not verdict.plays else ""
        yield f"{verdict.player.value}: {_PLAYS[verdict.plays]}: {verdict.why}{more}"
        yield f"  rests on  {_RESTS[verdict.rests_on]}"
        if verdict.remedy:
            yield f"  try  {verdict.remedy}"
