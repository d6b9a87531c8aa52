"""Says what players make of an MPD as it is: its ContentProtection elements, and what the media under them says.

Bytes in, verdicts out. The MPD is not trusted: `drm.bounded_xml` bounds what is read, and what holds for one
representation is bounded here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from drm.bounded_xml import XmlElement
from drm.errors import InvalidArgumentError, MalformedMediaError
from drm.keys import KeyId
from drm.manifests.forms import CLEARKEY_URNS, MP4_PROTECTION, Player
from drm.manifests.initialization import Initialization, Kids
from drm.manifests.judging.findings import Answer, Basis, Facts, Finding, findings
from drm.manifests.judging.players import DashStatement, LicenseUrl, dash_verdicts
from drm.manifests.judging.verdicts import Plays, Verdict, judged, worst
from drm.manifests.key_ids import CENC_NAMESPACE, default_kids, protection_statements
from drm.manifests.mpd_document import parse_mpd
from drm.manifests.mpd_media import is_encryptable, media_heads, representations
from drm.manifests.rewritten import Signalled, told_findings

__all__ = ["check_mpd", "names_kid", "protections_of", "scheme_of"]

_MOST: Final = 64  # ContentProtection elements that hold for one representation
_LINKED: Final = frozenset({"Period", "AdaptationSet"})
_PLAYERS: Final = (Player.SHAKA, Player.DASHJS)


class _Protections(msgspec.Struct, frozen=True):
    """What the ContentProtection elements say that hold for an element, those nearest to it first."""

    statements: tuple[DashStatement, ...] = ()
    told: tuple[KeyId, ...] = ()  # by the nearest default_KID
    spelled: str = ""
    fault: str = ""
    is_misplaced: bool = False  # the default_KID is in no namespace or another
    boxes: tuple[KeyId, ...] | None = None


def check_mpd(data: bytes, kids: Kids) -> Signalled:
    """Say what players make of the MPD as it is. Raises MediaError."""
    root = parse_mpd(data)
    heads = media_heads(root)
    known: dict[XmlElement, _Protections] = {}
    forms: dict[tuple[int, bool, bool], list[Verdict]] = {}
    verdicts: list[Verdict] = []
    found: dict[Finding, None] = {}
    is_told = False
    lacks: dict[str, None] = {}
    for representation in representations(root):
        if not is_encryptable(representation):
            continue
        held = _held(representation, known)
        facts = _facts(representation, held, heads.get(representation, ""), kids)
        answers = findings(facts)
        media = facts.media or Initialization()
        statements = held.statements or (
            (DashStatement(""),) if media.key_ids else ()
        )  # encrypted, and nothing says so
        same = (id(held), bool(statements), media.rotates)  # which many representations share
        if same not in forms:
            forms[same] = dash_verdicts(statements, rotates=media.rotates)
        verdicts += (judged(form, answers) for form in forms[same])
        found.update(dict.fromkeys(each for each in answers if each.answer is not Answer.YES))
        is_told |= facts.is_protected
        if facts.media is None:
            lacks[answers[0].evidence] = None
    verdicts += _elsewhere(root)
    if not verdicts:
        why = "it names no media that could be encrypted"
        verdicts = [Verdict(player, Plays.UNKNOWN, why, rests_on=Basis.NOTHING) for player in _PLAYERS]
    return Signalled(data, tuple(worst(verdicts)), (), told_findings(found), () if is_told else tuple(lacks))


def _elsewhere(root: XmlElement) -> Iterator[Verdict]:
    """The verdicts on what the MPD leaves to other documents (ISO/IEC 23009-1, 5.5), which are not read."""
    links = (each for each in root.walk() if each.name in _LINKED and "href" in each.attributes)
    for each in links:
        if each.attribute("href") != "urn:mpeg:dash:resolve-to-zero:2013":
            why = f"the {each.name} in line {each.line} lies in another document, which was not read"
            yield from (Verdict(player, Plays.UNKNOWN, why, rests_on=Basis.NOTHING) for player in _PLAYERS)
            return


def protections_of(element: XmlElement) -> Iterator[XmlElement]:
    """Every ContentProtection that holds for an element: its own, then those of what stands around it.

    Raises:
        MalformedMediaError: there are more than any has.
    """
    around: XmlElement | None = element
    count = 0
    while around is not None:
        for each in around.all("ContentProtection"):
            count += 1
            if count > _MOST:
                raise _too_many(each)
            yield each
        around = around.parent


def scheme_of(element: XmlElement) -> str:
    """The schemeIdUri of a ContentProtection, in lower case."""
    return element.attribute("schemeIdUri").strip().lower()


def names_kid(element: XmlElement) -> bool:
    """Whether it has a default_KID where players look for it, in the namespace of Common Encryption."""
    names = (name for name in element.written if name.rpartition(":")[2] == "default_KID")
    placed = any(element.prefixes.get(name.rpartition(":")[0]) == CENC_NAMESPACE and ":" in name for name in names)
    return placed and bool(element.attribute("default_KID").strip())


# ------------------------------------------------------------------------------------------------ reading
def _held(element: XmlElement, known: dict[XmlElement, _Protections]) -> _Protections:
    """What holds for `element`, read once for all that share it."""
    chain = [element]
    while chain[-1] not in known and (parent := chain[-1].parent) is not None:
        chain.append(parent)
    held = known.get(chain[-1], _Protections())
    for each in reversed(chain):
        if each not in known:
            own = list(each.all("ContentProtection"))
            known[each] = _with(own, held) if own else held
        held = known[each]
    return held


def _with(own: list[XmlElement], outer: _Protections) -> _Protections:
    if len(own) + len(outer.statements) > _MOST:
        raise _too_many(own[0])
    named = next((each for each in own if each.attribute("default_KID").strip()), None)
    told, spelled, fault, is_misplaced = outer.told, outer.spelled, outer.fault, outer.is_misplaced
    if named is not None:
        spelled, is_misplaced = named.attribute("default_KID"), not names_kid(named)
        try:
            told, fault = default_kids(spelled), ""
        except InvalidArgumentError as error:
            told, fault = (), "; ".join(filter(None, (error.what, error.maybe)))
    ours = (each for each in own if scheme_of(each) in CLEARKEY_URNS)
    boxes = [stated for each in ours for stated in protection_statements(each, "") if stated.kind == "box"]
    kids = (kid for box in boxes for kid in box.key_ids)
    return _Protections(
        (*map(_statement, own), *outer.statements), told, spelled, fault, is_misplaced,
        tuple(dict.fromkeys((*kids, *(outer.boxes or ())))) if boxes else outer.boxes,
    )  # fmt: skip


def _too_many(element: XmlElement) -> MalformedMediaError:
    what = f"more than {_MOST} ContentProtection elements hold for one representation"
    return MalformedMediaError(what, where=f"line {element.line}")


def _statement(element: XmlElement) -> DashStatement:
    urls = tuple(
        LicenseUrl(child.prefix, child.namespace, child.name, child.attribute("Lic_type"), child.text.strip())
        for child in element.children
        if child.name.lower() == "laurl"
    )
    return DashStatement(
        scheme_of(element),
        value=element.attribute("value").strip().lower(),
        has_kid=names_kid(element),
        has_pssh=any(child.name == "pssh" for child in element.children),
        urls=urls,
    )


def _facts(representation: XmlElement, held: _Protections, head: str, kids: Kids) -> Facts:
    parent = representation.parent
    codecs = representation.attribute("codecs") or (parent.attribute("codecs") if parent is not None else "")
    general = [each.value for each in held.statements if each.scheme_id == MP4_PROTECTION and each.value]
    return Facts(
        where=f"Representation {representation.attribute('id')[:80]} (line {representation.line})",
        is_protected=bool(held.statements),
        told=held.told,
        spelled=held.spelled,
        fault=held.fault,
        is_misplaced=held.is_misplaced,
        schemes=tuple(dict.fromkeys(general)),
        codecs=tuple(word.strip() for word in codecs.split(",") if word.strip()),
        boxes=held.boxes,
        head=head,
        media=kids.get(head) if head else None,
    )
