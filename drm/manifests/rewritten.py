"""What the signaller gives: a manifest, what players make of it, and whether that is what was asked for."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from drm.errors import KeyMissingError
from drm.manifests.forms import Player
from drm.manifests.judging.findings import Answer, Finding
from drm.manifests.judging.verdicts import Plays, Verdict

__all__ = ["Outcome", "Signalled", "finding_members", "outcome_of", "require_known", "told_findings", "verdict_members"]

_MOST_FINDINGS: Final = 100


class Signalled(msgspec.Struct, frozen=True):
    """A manifest, and what each player that reads its kind makes of it."""

    data: bytes
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()  # what does not agree, and what could not be looked at
    lacks: tuple[str, ...] = ()  # what would have had to be known to write it, or to say that it is clear


class Outcome(enum.StrEnum):
    """Of all verdicts together."""

    PLAYS = "plays"  # in one player at least, and that was looked at
    NOWHERE = "nowhere"
    UNKNOWN = "unknown"


def outcome_of(verdicts: Iterable[Verdict], player: Player | None = None) -> Outcome:
    """The best that is known of any player, or of `player`."""
    found = {verdict.plays for verdict in verdicts if player in {None, verdict.player}}
    if found & {Plays.FROM_MANIFEST, Plays.WITH_CONFIG}:
        return Outcome.PLAYS
    return Outcome.NOWHERE if found == {Plays.NO} else Outcome.UNKNOWN


def told_findings(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """What is told of findings: contradictions first, and as many as anybody reads."""
    order = sorted(found, key=lambda each: each.answer is not Answer.NO)
    return tuple(order[:_MOST_FINDINGS])


def require_known(done: Signalled, where: str) -> None:
    """Refuse a manifest that was left as it was because something is missing. Raises KeyMissingError."""
    if done.lacks:
        more = f"; and {len(done.lacks) - 1} more of this kind" if len(done.lacks) > 1 else ""
        raise KeyMissingError(
            "the manifest cannot be signalled: something is not known",
            where=where,
            seen=done.lacks[0] + more,
            remedy="put its initialization segments beside it, or give --kid KID and --scheme for what says that it is"
            " protected",
        )


def verdict_members(verdict: Verdict) -> dict[str, object]:
    """A verdict as player/schemas/signal-1.json describes it."""
    return {
        "player": verdict.player.value,
        "plays": verdict.plays.value,
        "why": verdict.why,
        "try": verdict.remedy,
        "answer": verdict.answer.value,
        "form": (verdict.form or verdict.plays).value,
        "rests_on": verdict.rests_on.value,
        "evidence": list(verdict.evidence),
    }


def finding_members(finding: Finding) -> dict[str, object]:
    """A finding as player/schemas/signal-1.json describes it."""
    return {
        "id": finding.id,
        "answer": finding.answer.value,
        "evidence": finding.evidence,
        "maybe": finding.maybe,
        "where": finding.where,
        "rests_on": finding.basis.value,
    }
