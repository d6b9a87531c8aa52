"""What a player makes of a manifest: plays from it alone, needs a word from the application, does not, or unknown.

That a form is right (`drm.manifests.judging.players`) is not that it plays: `judged` holds it against what is true of
manifest and media (`drm.manifests.judging.findings`). Values in, values out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from drm.manifests.forms import Player
from drm.manifests.judging.findings import Answer, Basis, Finding, Weight

__all__ = ["Plays", "Verdict", "judged", "worst"]

_AGREE: Final = "make manifest and media agree: package them together, or name in the manifest what the media has"
_MOST_EVIDENCE: Final = 100
_UNSAID: Final = frozenset({"CKC-21", "SIG-01"})
_PUT_BESIDE: Final = "put it beside the manifest, and try again: clearkey signal --check"


class Plays(enum.StrEnum):
    """How far a manifest goes, best first."""

    FROM_MANIFEST = "manifest"
    WITH_CONFIG = "config"
    UNKNOWN = "unknown"
    NO = "no"


_ORDER: Final = list(Plays)


class Verdict(msgspec.Struct, frozen=True):
    """One player's. `remedy` says what to set, or what to do about the manifest."""

    player: Player
    plays: Plays
    why: str  # of "unknown": what is missing
    remedy: str = ""
    form: Plays | None = None  # how far the manifest's words go, media aside; None: as `plays` says
    rests_on: Basis = Basis.MANIFEST
    evidence: tuple[str, ...] = ()  # what was seen to hold

    @property
    def answer(self) -> Answer:
        """Whether it plays, in one word."""
        return {Plays.NO: Answer.NO, Plays.UNKNOWN: Answer.UNKNOWN}.get(self.plays, Answer.YES)


def worst(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Of each player the verdict that decides, in the order in which players first come; with it the worst form."""
    found: dict[Player, Verdict] = {}
    forms: dict[Player, Plays] = {}
    evidence: dict[Player, dict[str, None]] = {}
    for verdict in verdicts:
        player, form = verdict.player, verdict.form or verdict.plays
        known = found.setdefault(player, verdict)
        if _ORDER.index(verdict.plays) > _ORDER.index(known.plays):
            found[player] = verdict
        forms[player] = max(forms.get(player, form), form, key=_ORDER.index)
        seen = evidence.setdefault(player, {})
        if len(seen) < _MOST_EVIDENCE:
            seen.update(dict.fromkeys(verdict.evidence))
    return [
        msgspec.structs.replace(verdict, form=forms[player], evidence=tuple(evidence[player])[:_MOST_EVIDENCE])
        for player, verdict in found.items()
    ]


def judged(form: Verdict, findings: Sequence[Finding]) -> Verdict:
    """Hold a verdict on the form of one part against what is true of it: it plays only if all agrees with the media."""
    if form.plays is Plays.NO:
        # What the manifest does not say is no fault before the media was seen to be encrypted.
        unsaid = next((each for each in findings if each.id in _UNSAID and each.answer is Answer.NO), None)
        return (
            form
            if unsaid is None
            else msgspec.structs.replace(form, why=f"{form.why}: {unsaid.evidence}", rests_on=unsaid.basis)
        )
    evidence = tuple(each.evidence for each in findings if each.answer is Answer.YES and each.basis is Basis.MEDIA)
    against = [each for each in findings if each.answer is Answer.NO and each.weight is not Weight.REMARK]
    stops = next((each for each in against if each.weight is Weight.STOPS), None)
    if stops is not None:
        return Verdict(form.player, Plays.NO, stops.evidence, _AGREE, form.plays, stops.basis, evidence)
    unread = (each for each in findings if each.answer is Answer.UNKNOWN)
    doubt = next(iter((*against, *unread)), None)
    if doubt is not None:
        first = _PUT_BESIDE if doubt.answer is Answer.UNKNOWN else _AGREE
        remedy = "; then ".join(filter(None, (first, form.remedy)))
        basis = Basis.NOTHING if doubt.answer is Answer.UNKNOWN else doubt.basis
        return Verdict(form.player, Plays.UNKNOWN, doubt.evidence, remedy, form.plays, basis, evidence)
    return msgspec.structs.replace(form, form=form.plays, rests_on=Basis.MEDIA, evidence=evidence)
