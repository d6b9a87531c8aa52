"""Keys in XML: GPAC's crypt files, and CPIX documents with plain keys.

GPAC: https://wiki.gpac.io/xmlformats/Common-Encryption/. CPIX: DASH-IF CPIX 2.3, with PSKC's secrets (RFC 6030).
Pure. The document is not trusted: it is read within the bounds of drm.bounded_xml, an element that may hold a key and
is not understood is refused by name and line, and no message repeats a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from drm.bounded_xml import XmlElement, parse_xml
from drm.errors import InvalidArgumentError, KeysFileError, MalformedMediaError
from drm.keyfile.spellings import KeyEntry, KeyName, OnlyKid, Recognised, TrackNumber, key_name
from drm.keys import ContentKey, KeyId

__all__ = ["CPIX", "PSKC", "recognise_xml"]

CPIX: Final = "urn:dashif:org:cpix"
PSKC: Final = "urn:ietf:params:xml:ns:keyprov:pskc"

# GPAC's own examples begin with `<?xml … />`, which is no XML declaration, and which GPAC reads.
_DECLARATION: Final = re.compile(r"\s*<\?xml\s[^<>]{0,400}[/?]>")
_NO_KEYS_IN: Final = frozenset({"drminfo", "drminfotemplate"})  # what goes into pssh boxes
_SEPARATORS: Final = re.compile(r"[^0-9A-Za-z]+")
_YES: Final = frozenset({"1", "true", "yes"})


def recognise_xml(text: str) -> Recognised:
    """Say which document this is, and return its keys. Raises KeysFileError: not XML, or not one of these two."""
    is_gpac = "GPACDRM" in text
    what = "the GPAC crypt file" if is_gpac else "the CPIX document" if CPIX in text else "the keys file"
    try:
        root = parse_xml(_without_declaration(text) if is_gpac else text, what)
    except MalformedMediaError as error:
        raise KeysFileError(error.what, where=error.where, seen=error.seen, remedy=error.remedy) from None
    if root.namespace == CPIX and root.name == "CPIX":
        return Recognised("a CPIX document", _cpix_entries(root))
    if root.name.lower() == "gpacdrm" or any(map(_is_track, root.children)):
        return Recognised("a GPAC crypt file", _gpac_entries(root))
    raise KeysFileError(
        f"this XML is no keys file: its root is <{root.name[:40]}>",
        where=f"line {root.line}",
        maybe=_likely_root(root),
        remedy=f"give GPAC's <GPACDRM>, or a <CPIX> in the namespace {CPIX}",
    )


def _likely_root(root: XmlElement) -> str:
    if root.name == "MPD":
        return "a DASH manifest, which names KIDs and holds no keys"
    if root.name == "CPIX":
        return f"a CPIX document in another namespace: {root.namespace[:80] or 'none'}"
    return ""


def _without_declaration(text: str) -> str:
    """The text with blank lines in the place of its declaration: errors still name the right line."""
    found = _DECLARATION.match(text)
    return "\n" * found.group().count("\n") + text[found.end() :] if found else text


# ------------------------------------------------------------------------------------------------ GPAC
def _gpac_entries(root: XmlElement) -> Iterator[KeyEntry]:
    """The keys of each CrypTrack. Names are read in any case: GPAC does so for attributes, and users for elements."""
    for element in root.children:
        if _is_track(element):
            yield from _track_entries(element)
        elif element.name.lower() not in _NO_KEYS_IN:
            raise _stray(element, "GPACDRM", "CrypTrack, DRMInfo and DRMInfoTemplate")


def _is_track(element: XmlElement) -> bool:
    return element.name.lower().endswith(("cryptrack", "crypttrack"))  # GPAC's documents on OMA DRM write the second


def _track_entries(track: XmlElement) -> Iterator[KeyEntry]:
    """The keys of one track: `key` elements, or the attribute `key` of the track itself (ISMA, OMA)."""
    told = _lowered(track)
    where = f"line {track.line}"
    if told.get("random", "").lower() in _YES:
        raise KeysFileError(
            'a CrypTrack says random="true", so GPAC makes new keys and uses none of this file',
            where=where,
            remedy='remove random="true" where the file does hold the keys',
        )
    default = _track_name(told.get("trackid", told.get("id", "*")), where)
    holders = [track] if "key" in told else []
    for child in track.children:
        if child.name.lower() == "key":
            holders.append(child)
        elif child.name.lower() != "omatextheader":
            raise _stray(child, "CrypTrack", "key")
    if not holders and told.get("isencrypted", "1") == "1":
        raise KeysFileError(
            "a CrypTrack without a key", where=where, remedy='write <key KID="0x…" value="0x…"/>, or IsEncrypted="0"'
        )
    for holder in holders:
        yield _gpac_key(holder, default)


def _track_name(text: str, where: str) -> KeyName:
    if text.strip() in {"0", "*"}:
        return OnlyKid()
    try:
        name = key_name(text)
    except InvalidArgumentError:
        name = OnlyKid()
    if not isinstance(name, TrackNumber):
        raise KeysFileError("the trackID of a CrypTrack is no track's number", where=where)
    return name


def _gpac_key(holder: XmlElement, default: KeyName) -> KeyEntry:
    own = _lowered(holder)
    where = f"line {holder.line}"
    key = own.get("value", own.get("key"))
    if key is None:
        raise KeysFileError("a key element without a value", where=where, remedy='write <key KID="0x…" value="0x…"/>')
    try:
        name = KeyId.parse(_gpac_hex(own["kid"])) if "kid" in own else default
        return where, name, ContentKey.parse(_gpac_hex(key))
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None


def _gpac_hex(text: str) -> str:
    """GPAC skips whatever separates hex digits; everything else is left for the notations of drm.keys."""
    digits = _SEPARATORS.sub("", text.removeprefix("0x"))
    return digits if re.fullmatch(r"[0-9A-Fa-f]{32}", digits) else text


def _stray(element: XmlElement, parent: str, known: str) -> KeysFileError:
    return KeysFileError(
        f"<{element.name[:40]}> is no element of a {parent}",
        where=f"line {element.line}",
        remedy=f"there are {known}" if "," in known else f"there is {known}",
    )


def _lowered(element: XmlElement) -> dict[str, str]:
    return {name.lower(): value for name, value in element.attributes.items()}


# ------------------------------------------------------------------------------------------------ CPIX
def _cpix_entries(root: XmlElement) -> Iterator[KeyEntry]:
    """The key of each ContentKey. Its IV and scheme are those of an encrypter: the media name their own."""
    for element in root.walk():
        if element.name == "ContentKey" and element.namespace == CPIX:
            yield _content_key(element)


def _content_key(element: XmlElement) -> KeyEntry:
    where = f"ContentKey in line {element.line}"
    text = element.attributes.get("kid")
    if text is None:
        raise KeysFileError("the ContentKey has no attribute kid", where=where)
    try:
        kid = KeyId.parse(text)
        return where, kid, ContentKey.parse(_plain_value(element, kid, where))
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None


def _plain_value(element: XmlElement, kid: KeyId, where: str) -> str:
    secrets = [part for part in element.walk() if part.namespace == PSKC]
    if any(part.name == "EncryptedValue" for part in secrets):
        raise KeysFileError(
            f"the key of KID {kid} is encrypted for a recipient of the document, and is not here in the clear",
            where=where,
            seen="pskc:EncryptedValue",
            remedy="ask for the document with pskc:PlainValue, or decrypt it with the recipient's private key",
            kids=(str(kid),),
        )
    plain = [part for part in secrets if part.name == "PlainValue"]
    if len(plain) != 1:
        raise KeysFileError(
            f"the ContentKey of KID {kid} has {len(plain) or 'no'} keys",
            where=where,
            maybe="" if plain else "the request for a key, whose answer has the same form with a pskc:PlainValue in it",
            remedy=f"a ContentKey has one PlainValue in the namespace {PSKC}",
            kids=(str(kid),),
        )
    return "".join(plain[0].text.split())  # xs:base64Binary may have spaces and line ends in it
