"""Rewrites the Clear Key elements of an MPD, whichever packager wrote it, and leaves every other byte as it is.

Bytes in, bytes and verdicts out. The MPD is not trusted: `mpd_document` bounds what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from drm.bounded_xml import XmlElement
from drm.errors import UnsupportedMediaError
from drm.keys import KeyId
from drm.manifests.forms import (
    CK_NAMESPACE,
    CLEARKEY_URNS,
    MP4_PROTECTION,
    checked_url,
    clearkey_lines,
    default_kid_lines,
)
from drm.manifests.initialization import ANY, Initialization, Kids
from drm.manifests.judging.check_mpd import check_mpd, names_kid, protections_of, scheme_of
from drm.manifests.key_ids import CENC_NAMESPACE, Statement, default_kids, protection_statements
from drm.manifests.mpd_document import parse_mpd, spliced
from drm.manifests.mpd_media import is_encryptable, media_heads
from drm.manifests.rewritten import Signalled
from drm.media import Scheme

__all__ = ["mpd_initializations", "signal_mpd"]

_BEFORE: Final = frozenset({"FramePacking", "AudioChannelConfiguration"})  # in the schema's order of children

_DEFAULT_KID: Final = re.compile(rb"""default_KID\s*=\s*("[^"]*"|'[^']*')""")

Change = tuple[int, int, bytes]


def mpd_initializations(data: bytes) -> list[str]:
    """The URIs of initialization segments, or of files that begin with one, each once. Raises MediaError."""
    heads = media_heads(parse_mpd(data))
    return list(dict.fromkeys(uri for representation, uri in heads.items() if is_encryptable(representation)))


def signal_mpd(data: bytes, license_url: str, kids: Kids, *, only_clearkey: bool = False) -> Signalled:
    """Give every encrypted representation the form that plays in Shaka Player and in dash.js.

    `only_clearkey` takes out the elements of other systems.

    Raises:
        InvalidArgumentError: the license URL is none.
        MediaError: the MPD cannot be read.
    """
    checked_url(license_url, "the license URL")
    root = parse_mpd(data)
    if root.prefix:
        raise UnsupportedMediaError(
            f"the elements of the MPD have the prefix {root.prefix[:20]}:, which no player reads",
            remedy='declare the namespace without a prefix: xmlns="urn:mpeg:dash:schema:mpd:2011"',
        )
    rewriter = _Rewriter(data, root, license_url, kids, only_clearkey=only_clearkey)
    made = spliced(data, rewriter.changes())
    checked = check_mpd(made, kids)
    lacks = tuple(dict.fromkeys((*checked.lacks, *rewriter.lacks)))
    return Signalled(made, checked.verdicts, tuple(dict.fromkeys(rewriter.notes)), checked.findings, lacks)


# ------------------------------------------------------------------------------------------------ writing
class _Rewriter:
    """Collects the changes of one document."""

    def __init__(self, data: bytes, root: XmlElement, license_url: str, kids: Kids, *, only_clearkey: bool) -> None:
        self.notes: list[str] = []
        self.lacks: list[str] = []
        self._data = data
        self._root = root
        self._license_url = license_url
        self._kids = kids
        self._only_clearkey = only_clearkey
        self._heads = media_heads(root)
        self._statements: dict[XmlElement, tuple[Statement, ...]] = {}
        self._is_signalled = False
        self._needs_cenc = False
        self._newline = "\r\n" if b"\r\n" in data else "\n"

    def changes(self) -> list[Change]:
        """Every change that is needed; none for a document that is in form already."""
        changes: list[Change] = []
        for element in self._root.walk():
            if element.name in {"AdaptationSet", "Representation", "SubRepresentation", "Preselection"}:
                protections = list(element.all("ContentProtection"))
                changes += self._mended(element, protections) if protections else self._made(element)
        if self._is_signalled:
            changes += self._declarations()
        return changes

    def _mended(self, element: XmlElement, protections: Sequence[XmlElement]) -> Iterator[Change]:
        """The changes for an element that has protections of its own."""
        ours = [each for each in protections if self._is_taken_out(each)]
        general = next((each for each in protections if scheme_of(each) == MP4_PROTECTION), None)
        wanted = general is not None or not any(
            scheme_of(each) == MP4_PROTECTION for each in _elsewhere(element)
        )  # the general element may stand around this one, and then so does ours
        if general is not None:
            yield from self._kid(element, general) if not names_kid(general) else self._respelled(general)
        anchor = general or protections[0]
        indent = self._indent(anchor)
        self._is_signalled |= wanted
        lines = self._clearkey_lines()
        if general is None and wanted:
            lines = [*self._general_lines(element, protections[0]), *lines]
        text = (self._newline + indent).join(lines) if indent is not None else "".join(line.strip() for line in lines)
        if wanted and len(ours) == 1 and self._data[ours[0].start : ours[0].end] == text.encode():
            return
        for each in ours:
            self._say_what_goes(each)
            yield (self._line_start(each), each.end, b"")
        if not wanted:
            return
        between = "" if indent is None else self._newline + indent
        if general is not None:
            yield (general.end, general.end, (between + text).encode())
        else:
            place = self._line_start(anchor) if anchor in ours else anchor.start
            yield (place, place, (between + text if anchor in ours else text + between).encode())

    def _say_what_goes(self, element: XmlElement) -> None:
        if scheme_of(element) not in CLEARKEY_URNS:
            self.notes.append(f"{scheme_of(element)[:60]} is taken out")
        elif any(child.name == "pssh" for child in element.children):
            self.notes.append("the pssh of Clear Key is taken out: dash.js plays no MPD that has it")

    def _is_taken_out(self, element: XmlElement) -> bool:
        scheme = scheme_of(element)
        if scheme in CLEARKEY_URNS:
            return True
        if scheme == MP4_PROTECTION:
            return False
        if not self._only_clearkey:
            self.notes.append("other protection systems stay: a browser that has one may choose it before Clear Key")
        return self._only_clearkey

    def _kid(self, element: XmlElement, general: XmlElement) -> Iterator[Change]:
        if self._rotates(element):  # with a key id in the MPD players would ask for that one, and for no other
            self.notes.append("the keys change, and the media names them: Shaka Player alone plays that")
            return
        kid = self._only_kid(element, general)
        if kid is None:
            return
        self._is_signalled = self._needs_cenc = True
        at = general.tag_end - (2 if self._data[: general.tag_end].endswith(b"/>") else 1)
        yield (at, at, f' cenc:default_KID="{kid}"'.encode())

    def _respelled(self, general: XmlElement) -> Iterator[Change]:
        """One key id in a notation that players do not read becomes the UUID that they do."""
        told = general.attribute("default_KID")
        try:
            (kid,) = default_kids(told)
        except ValueError:  # none or several: the verdict says so
            return
        found = list(_DEFAULT_KID.finditer(self._data, general.start, general.tag_end))
        if told.strip().lower() != str(kid) and len(found) == 1:
            self.notes.append(f"default_KID {told[:60]!r} is spelled as players read it")
            yield (*found[0].span(1), f'"{kid}"'.encode())

    def _rotates(self, element: XmlElement) -> bool:
        return any(said.rotates or not all(any(kid.value) for kid in said.key_ids) for said in self._said_in(element))

    def _only_kid(self, element: XmlElement, place: XmlElement) -> KeyId | None:
        """The key id of the media; else that of other systems' statements around `element`; else what was given."""
        given = self._kids.get(ANY)
        sources: tuple[tuple[str, Iterable[KeyId]], ...] = (
            ("the media tells of", (kid for said in self._said_in(element) for kid in said.key_ids)),
            ("protection systems' elements tell of", (kid for each in self._stated(element) for kid in each.key_ids)),
            ("", given.key_ids if given is not None else ()),
        )
        for words, found in sources:
            kids: set[KeyId] = set()
            for kid in found:
                kids |= {kid} if any(kid.value) else set()
                if len(kids) > 1:
                    self.lacks.append(f"line {place.line}: no cenc:default_KID, and {words} several KIDs")
                    return None
            if kids:
                return kids.pop()
        self.lacks.append(f"line {place.line}: no cenc:default_KID, and neither media nor MPD tells of a KID")
        return None

    def _made(self, element: XmlElement) -> Iterator[Change]:
        """The changes for a representation that is encrypted, and nothing says so: FFmpeg writes such MPDs."""
        if element.name != "Representation" or any(protections_of(element)):
            return
        said = self._kids.get(self._heads.get(element) or ANY) if element in self._heads else None
        if said is None or not said.key_ids or said.scheme is None:
            return
        rotates = self._rotates(element)
        if rotates:
            self.notes.append("the keys change, and the media names them: Shaka Player alone plays that")
        elif len(said.key_ids) > 1:
            self.notes.append(f"line {element.line}: the media tells of {len(said.key_ids)} KIDs, the first is named")
        self._is_signalled = self._needs_cenc = True
        lines = [*default_kid_lines(said.scheme, None if rotates else said.key_ids[0]), *self._clearkey_lines()]
        follower = next((child for child in element.children if child.name not in _BEFORE), None)
        if follower is not None:
            indent = self._indent(follower)
            between = "" if indent is None else self._newline + indent
            yield (follower.start, follower.start, (between.join(lines) + between).encode())
        elif self._data[: element.tag_end].endswith(b"/>"):
            closed = f">{''.join(line.strip() for line in lines)}</{element.prefix and element.prefix + ':'}"
            yield (element.tag_end - 2, element.tag_end, f"{closed}{element.name}>".encode())
        else:
            place = element.children[-1].end if element.children else element.tag_end
            yield (place, place, "".join(line.strip() for line in lines).encode())

    def _clearkey_lines(self) -> list[str]:
        """Our element; it declares its prefix itself where the root's stands for something else."""
        is_ours = self._root.prefixes.get("clearkey", CK_NAMESPACE) == CK_NAMESPACE
        return clearkey_lines(self._license_url, declared="" if is_ours else f' xmlns:clearkey="{CK_NAMESPACE}"')

    def _general_lines(self, element: XmlElement, first: XmlElement) -> list[str]:
        """The element of the scheme, where only protection systems have theirs."""
        rotates = self._rotates(element)
        kid = None if rotates else self._only_kid(element, first)
        scheme = self._only_scheme(element)
        if scheme is None:
            self.lacks.append(f"line {first.line}: no element of {MP4_PROTECTION}, and nothing tells of its scheme")
        if scheme is None or (kid is None and not rotates):
            return []
        self._needs_cenc = True
        return default_kid_lines(scheme, kid)

    def _only_scheme(self, element: XmlElement) -> Scheme | None:
        schemes = {said.scheme for said in self._said_in(element) if said.scheme}
        stated = [each.contents.scheme for each in self._stated(element)]
        schemes = schemes or {Scheme(name) for name in stated if name in list(Scheme)}
        given = self._kids.get(ANY)
        schemes = schemes or ({given.scheme} if given is not None and given.scheme else set())
        return schemes.pop() if len(schemes) == 1 else None

    def _stated(self, element: XmlElement) -> Iterator[Statement]:
        """What protection systems' elements say that hold for `element`; each is read once."""
        for each in protections_of(element):
            if each not in self._statements:
                self._statements[each] = tuple(protection_statements(each, ""))
            yield from self._statements[each]

    def _said_in(self, element: XmlElement) -> list[Initialization]:
        """What the media of the representations in `element` says, as far as it was read."""
        heads = (self._heads.get(each) for each in element.walk() if each.name == "Representation")
        return [self._kids[head] for head in heads if head and head in self._kids]

    def _declarations(self) -> Iterator[Change]:
        """Namespaces, last in the root's start tag: Shaka Player keeps the last prefix that it saw for each."""
        wanted = {"clearkey": CK_NAMESPACE} | ({"cenc": CENC_NAMESPACE} if self._needs_cenc else {})
        missing = "".join(f' xmlns:{p}="{uri}"' for p, uri in wanted.items() if p not in self._root.prefixes)
        if missing:
            yield (self._root.tag_end - 1, self._root.tag_end - 1, missing.encode())

    def _indent(self, element: XmlElement) -> str | None:
        """What stands before the element on its line, or None if that is not only space."""
        before = self._data[self._data.rfind(b"\n", 0, element.start) + 1 : element.start]
        return before.decode("ascii") if not before.strip(b" \t") else None

    def _line_start(self, element: XmlElement) -> int:
        """Where to cut so that no empty line is left."""
        if self._indent(element) is None:
            return element.start
        at = self._data.rfind(b"\n", 0, element.start)
        return at - 1 if self._data[at - 1 : at] == b"\r" else max(at, 0)


def _elsewhere(element: XmlElement) -> Iterator[XmlElement]:
    """The protections of what stands around this element, and of what is in it."""
    if element.parent is not None:
        yield from protections_of(element.parent)
    for inner in element.walk():
        if inner is not element:
            yield from inner.all("ContentProtection")
