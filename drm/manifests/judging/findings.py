"""What is true of a manifest and its media: each question a pure function from facts to yes, no or unknown, and why.

Ids are those of the conformance kit's requirements (CKC, CKA) where it has one; SIG are questions of the signaller
alone. A "no" names both sides and a likely cause; an "unknown" says what is missing. Values in, values out.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

from drm.keys import KeyId
from drm.manifests.codec_names import Likeness, likeness
from drm.manifests.initialization import Initialization

__all__ = [
    "Answer",
    "Basis",
    "Facts",
    "Finding",
    "Weight",
    "codecs_agree",
    "findings",
    "keys_stay",
    "kid_agrees",
    "kid_is_one",
    "kid_is_placed",
    "media_pssh_agrees",
    "protection_agrees",
    "pssh_agrees",
    "scheme_agrees",
]  # fmt: skip

_ZERO: Final = KeyId(bytes(16))


class Answer(enum.StrEnum):
    """To one question."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Basis(enum.StrEnum):
    """What an answer rests on."""

    MEDIA = "media"  # initialization segments were read and held against the manifest
    MANIFEST = "manifest"  # its own words are enough
    NOTHING = "nothing"  # what would be needed was not there


class Weight(enum.StrEnum):
    """What a "no" means for players."""

    STOPS = "stops"  # none gets over it
    DOUBT = "doubt"  # whether they do is not known
    REMARK = "remark"  # they do not mind


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest says of one representation, or of segments under the same keys, and what their media says."""

    where: str  # "AdaptationSet 1, Representation v (line 7)"
    is_hls: bool = False
    is_protected: bool = False  # by the manifest's word
    told: tuple[KeyId, ...] = ()  # default_KID; of Clear Key's key lines, the KIDs that they name
    spelled: str = ""  # default_KID or KEYID as it stands
    fault: str = ""  # why it is no key id
    is_misplaced: bool = False  # default_KID is not in the namespace in which players look for it
    schemes: tuple[str, ...] = ()  # value; METHOD, as the scheme that it stands for
    codecs: tuple[str, ...] = ()
    boxes: tuple[KeyId, ...] | None = None  # in `pssh` of the common system in the manifest; None: there is none
    head: str = ""  # the URI of its initialization segment, or of the file that begins with one
    shares_head: bool = False  # segments under other keys have the same initialization segment
    media: Initialization | None = None  # None: it was not read


class Finding(msgspec.Struct, frozen=True):
    """The answer to one question about one part of the manifest."""

    id: str
    answer: Answer
    evidence: str  # of an "unknown": what is missing
    basis: Basis
    weight: Weight = Weight.STOPS
    maybe: str = ""  # the likely cause
    where: str = ""


def findings(facts: Facts) -> list[Finding]:
    """The answers to all questions that arise from `facts`."""
    found = [protection_agrees(facts)]
    if facts.is_protected:
        one = kid_is_one(facts)
        found += [one, kid_is_placed(facts)]
        if facts.media is None or facts.media.key_ids:
            is_one = one.answer is Answer.YES or one.weight is Weight.REMARK
            found += [kid_agrees(facts)] if is_one else []  # of what is no key id there is nothing to compare
            found += [scheme_agrees(facts), pssh_agrees(facts), media_pssh_agrees(facts)]
        found += [keys_stay(facts)] if facts.is_hls and facts.media is not None else []
    return [*found, codecs_agree(facts)]


def protection_agrees(facts: Facts) -> Finding:
    """CKC-21, SIG-01 of HLS: is what is encrypted said to be, and what is not, not?"""
    name = "SIG-01" if facts.is_hls else "CKC-21"
    if facts.media is None:
        said = "" if facts.is_protected else ", and nothing here says that it is encrypted"
        return _unread(name, facts, said)
    if facts.is_protected and not facts.media.key_ids:
        evidence = f"the manifest says that it is encrypted, and {facts.head} is not"
        return _no(name, facts, evidence, Weight.DOUBT, "the clear file lies in the place of the encrypted one")
    if facts.media.key_ids and not facts.is_protected:
        kids, scheme = _kids(facts.media.key_ids), facts.media.scheme or "an unknown scheme"
        return _no(name, facts, f"{facts.head} is encrypted ({scheme}, KID {kids}), and nothing here says so")
    return _yes(name, facts, f"{facts.head} is {'encrypted' if facts.media.key_ids else 'not encrypted'}")


def kid_is_one(facts: Facts) -> Finding:
    """CKC-46, SIG-02 of HLS: is the key id that is named one, and spelled so that players read it?"""
    name, what = ("SIG-02", "KEYID") if facts.is_hls else ("CKC-46", "default_KID")
    shown = f"{what} {facts.spelled[:80]!r}"
    if facts.fault:
        return _no(name, facts, f"{shown} is no key id: {facts.fault}", basis=Basis.MANIFEST)
    if _ZERO in facts.told:
        maybe = "Shaka Packager's sign that keys change; players ask for the zeros and show nothing"
        return _no(name, facts, f"{what} is all zeros, which names no key", maybe=maybe, basis=Basis.MANIFEST)
    if len(facts.told) > 1:
        maybe = "two keys in one AdaptationSet: each needs one of its own" if not facts.is_hls else ""
        evidence = f"{len(facts.told)} KIDs are named at once, {_kids(facts.told)}, and players take one"
        return _no(name, facts, evidence, maybe=maybe, basis=Basis.MANIFEST)
    if not facts.told:
        return _yes(name, facts, "no KID is named", Basis.MANIFEST)
    if not facts.is_hls and facts.spelled.strip().lower() != str(facts.told[0]):
        is_plain = facts.spelled.strip().replace("-", "").lower() == facts.told[0].hex
        evidence = f"{shown} is not spelled as a UUID with hyphens: {facts.told[0]}"
        return _no(name, facts, evidence, Weight.REMARK if is_plain else Weight.STOPS, basis=Basis.MANIFEST)
    return _yes(name, facts, f"one KID is named, {facts.told[0]}", Basis.MANIFEST)


def kid_is_placed(facts: Facts) -> Finding:
    """CKC-47: is default_KID where players look for it?"""
    if facts.is_misplaced:
        evidence = f"default_KID {facts.spelled[:80]!r} is not in urn:mpeg:cenc:2013, so no player sees it"
        return _no("CKC-47", facts, evidence, Weight.REMARK, "the prefix cenc: is missing", Basis.MANIFEST)
    return _yes("CKC-47", facts, "default_KID is in its namespace", Basis.MANIFEST)


def kid_agrees(facts: Facts) -> Finding:
    """CKA-06: is the key id that the manifest names the one that the media is encrypted under?"""
    if facts.media is None:
        return _unread("CKA-06", facts)
    used, told = facts.media.key_ids, facts.told
    if not told:
        which = "keys change in it" if facts.media.rotates else f"its KID is {_kids(used)}"
        return _yes("CKA-06", facts, f"the manifest leaves the KID to {facts.head}, and {which}")
    if set(used) <= set(told):
        return _yes("CKA-06", facts, f"KID {_kids(used)} in {facts.head} and in the manifest")
    evidence = f"the manifest names KID {_kids(told)}, and {facts.head} is encrypted under {_kids(used)}"
    if facts.shares_head:
        maybe = "keys change under one initialization segment, which can name one of them"
        return _no("CKA-06", facts, evidence, Weight.DOUBT, maybe)
    if set(used) & set(told) or facts.media.rotates:
        return _no("CKA-06", facts, evidence, Weight.DOUBT, "the keys change, or its tracks have keys of their own")
    if {kid.byte_reversed for kid in told} & set(used):
        maybe = "the manifest has it in the byte order of a Windows GUID, as PlayReady writes it"
    else:
        maybe = "the manifest is of another encryption of the film, or names the key of another track"
    return _no("CKA-06", facts, evidence, maybe=maybe)


def scheme_agrees(facts: Facts) -> Finding:
    """CKA-07, CKC-59 of HLS: is the scheme that the manifest names the media's?"""
    name = "CKC-59" if facts.is_hls else "CKA-07"
    if facts.media is None:
        return _unread(name, facts)
    if not facts.schemes:
        return _yes(name, facts, f"the manifest names no scheme, and {facts.head} has {facts.media.scheme}")
    if facts.media.scheme is None:
        return Finding(
            name, Answer.UNKNOWN, f"the scheme of {facts.head} is not known", Basis.NOTHING, where=facts.where
        )
    if {facts.media.scheme} == set(facts.schemes):
        return _yes(name, facts, f"scheme {facts.media.scheme} in {facts.head} and in the manifest")
    evidence = f"the manifest says scheme {' and '.join(facts.schemes)}, and {facts.head} has {facts.media.scheme}"
    return _no(name, facts, evidence, maybe="the manifest is of the film's other encryption")


def codecs_agree(facts: Facts) -> Finding:
    """CKA-09: are the codecs that the manifest names the media's?"""
    if facts.media is None:
        return _unread("CKA-09", facts)
    if not facts.codecs:
        return _yes("CKA-09", facts, f"the manifest names no codecs, and {facts.head} has {_words(facts.media.codecs)}")
    alike = {real: max(likeness(declared, real) for declared in facts.codecs) for real in facts.media.codecs}
    worst = min(alike.values(), default=Likeness.SAME)
    if worst is Likeness.SAME:
        return _yes("CKA-09", facts, f"codecs {_words(facts.media.codecs)} in {facts.head} and in the manifest")
    evidence = f"the manifest says codecs {_words(facts.codecs)}, and {facts.head} has {_words(facts.media.codecs)}"
    weight = Weight.STOPS if worst is Likeness.OTHER else Weight.DOUBT
    return _no("CKA-09", facts, evidence, weight, "the manifest is of another encoding")


def pssh_agrees(facts: Facts) -> Finding:
    """CKC-24: does a `pssh` of the common system in the manifest name the key that is used?"""
    wanted = facts.media.key_ids if facts.media is not None else facts.told
    if facts.boxes is None:
        return _yes("CKC-24", facts, "no pssh of the common system in the manifest", Basis.MANIFEST)
    if set(wanted) <= set(facts.boxes):
        return _yes("CKC-24", facts, "the manifest's pssh names it", Basis.MANIFEST)
    evidence = f"the manifest's pssh of the common system names KID {_kids(facts.boxes)}, not {_kids(wanted)}"
    return _no("CKC-24", facts, evidence, Weight.DOUBT, "it was copied from another film", basis=Basis.MANIFEST)


def media_pssh_agrees(facts: Facts) -> Finding:
    """CKC-68: does a `pssh` of the common system in the media, where it has one, name the key that is used?"""
    if facts.media is None:
        return _unread("CKC-68", facts)
    if not facts.media.named or facts.media.names_its_keys or facts.media.rotates:
        return _yes("CKC-68", facts, f"no pssh in {facts.head} names other keys alone")
    evidence = f"the pssh in {facts.head} names KID {_kids(facts.media.named)}, not {_kids(facts.media.key_ids)}"
    return _no("CKC-68", facts, evidence, Weight.DOUBT, "it was copied from another film")


def keys_stay(facts: Facts) -> Finding:
    """SIG-03: do keys change within the media of an HLS playlist, where players were not seen to follow?"""
    if facts.media is not None and facts.media.rotates:
        evidence = f"keys change within {facts.head}, and no HLS player was seen to follow that"
        return _no("SIG-03", facts, evidence, Weight.DOUBT, "it was packaged for keys in the media, as DASH has them")
    return _yes("SIG-03", facts, f"one key in {facts.head}")


# ------------------------------------------------------------------------------------------------ words
def _yes(name: str, facts: Facts, evidence: str, basis: Basis = Basis.MEDIA) -> Finding:
    return Finding(name, Answer.YES, evidence, basis, where=facts.where)


def _no(
    name: str,
    facts: Facts,
    evidence: str,
    weight: Weight = Weight.STOPS,
    maybe: str = "",
    basis: Basis = Basis.MEDIA,
) -> Finding:
    return Finding(name, Answer.NO, evidence, basis, weight, maybe, facts.where)


def _unread(name: str, facts: Facts, more: str = "") -> Finding:
    what = f"{facts.head} was not read" if facts.head else "the manifest names no initialization segment"
    return Finding(name, Answer.UNKNOWN, what + more, Basis.NOTHING, where=facts.where)


def _kids(kids: Iterable[KeyId]) -> str:
    return _words(tuple(map(str, kids)))


def _words(words: tuple[str, ...]) -> str:
    more = f" and {len(words) - 4} more" if len(words) > 4 else ""
    return (", ".join(words[:4]) or "none") + more
