"""What a `pssh` box says, whichever system it is of: the key ids in the box and those in its data, as one value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from drm.errors import InvalidArgumentError, MediaError
from drm.isobmff.pssh.playready import PlayReadyData
from drm.isobmff.pssh.widevine import WidevineData
from drm.keys import COMMON_SYSTEM, KeyId, SystemId
from drm.media import InitBox
from drm.readable import readable

__all__ = ["PLAYREADY", "WIDEVINE", "PsshContents", "make_data", "notes_for_players", "read_contents"]

WIDEVINE: Final = SystemId.parse("edef8ba9-79d6-4ace-a3c8-27dcd51d21ed")
PLAYREADY: Final = SystemId.parse("9a04f079-9840-4286-ab92-e65be0885f95")
_LISTED: Final = 4  # key ids in a sentence


@dataclass(frozen=True, slots=True)
class PsshContents:
    """What the data of one box says. For systems whose data we cannot read, nothing."""

    key_ids: tuple[KeyId, ...] = ()  # out of the data, in the order in which they stand there
    scheme: str = ""  # "cenc", "cbcs"; empty: not said
    license_url: str = ""
    details: tuple[str, ...] = ()  # for people
    problem: str = ""  # why the data cannot be read, or what is off in it


def read_contents(system: SystemId, data: bytes) -> PsshContents:
    """Read the data of a box of `system`. Never raises: data that is damaged is said so in `problem`."""
    try:
        if system == WIDEVINE:
            return _widevine(WidevineData.parse(data))
        if system == PLAYREADY:
            return _playready(PlayReadyData.parse(data))
    except MediaError as error:
        parts = (error.what, error.where, error.seen)
        return PsshContents(problem=": ".join(part for part in parts if part))
    if system == COMMON_SYSTEM and data:
        return PsshContents(problem="the common system's box has data, which players ignore")
    return PsshContents()


def make_data(system: SystemId, key_ids: tuple[KeyId, ...], scheme: str = "", license_url: str = "") -> bytes:
    """Return the data that a box of `system` needs to name `key_ids`; nothing for systems that we do not write.

    Raises:
        InvalidArgumentError: the system's data cannot say this.
    """
    if system == WIDEVINE:
        return WidevineData(key_ids, scheme).encode()
    if system == PLAYREADY:
        if scheme in {"cens", "cbc1"}:
            raise InvalidArgumentError(f"PlayReady knows no scheme {scheme}", remedy="give cenc or cbcs")
        return PlayReadyData(key_ids, "AESCBC" if scheme == "cbcs" else "AESCTR", license_url).encode()
    return b""


def notes_for_players(boxes: Iterable[InitBox], used: Iterable[KeyId], file: str) -> tuple[str, ...]:
    """What a user of Clear Key should know about the boxes of `file`, whose samples are under the keys `used`.

    Browsers ask a license server only for what a box of the common system names (W3C, "cenc" initialization data).
    """
    boxes, used = list(boxes), list(dict.fromkeys(used))
    notes = []
    said: dict[str, dict[KeyId, None]] = {}
    for box in boxes:
        contents = read_contents(box.system_id, box.data)
        if contents.problem:
            notes.append(f"{box.system_id.name}'s pssh: {contents.problem}")
        said.setdefault(box.system_id.name, {}).update(dict.fromkeys((*box.key_ids, *contents.key_ids)))
        notes += [
            f"{box.system_id.name}'s pssh names {key_id}, which is a KID of the media in GUID order"
            for key_id in contents.key_ids
            if key_id not in used and key_id.byte_reversed in used
        ]
    common = {kid for box in boxes if box.system_id == COMMON_SYSTEM and box.version for kid in box.key_ids}
    missing = [kid for kid in used if kid not in common]
    if boxes and missing:
        others = "; ".join(
            f"{name}'s names {_some(list(kids)) or 'no KID'}"
            for name, kids in said.items()
            if name != COMMON_SYSTEM.name
        )
        what = "no pssh box of the common system names" if common else "there is no pssh box of the common system for"
        told = f"{what} KID {_some(missing)}" + (f" ({others})" if others else "")
        notes.append(f"{told}; browsers need it for Clear Key: clearkey pssh insert {file} -o OUT")
    return tuple(dict.fromkeys(notes))


def _some(key_ids: list[KeyId]) -> str:
    more = f" and {len(key_ids) - _LISTED} more" if len(key_ids) > _LISTED else ""
    return ", ".join(map(str, key_ids[:_LISTED])) + more


def _widevine(data: WidevineData) -> PsshContents:
    details = []
    if data.provider:
        details.append(f"provider {_shown(data.provider.encode())}")
    if data.content_id:
        details.append(f"content id {_shown(data.content_id)}")
    if data.crypto_period is not None:
        details.append(f"crypto period {data.crypto_period}")
    if data.entitled:
        details.append("entitled keys")
    problem = ""
    if data.odd_key_ids:
        sizes = ", ".join(str(len(key_id)) for key_id in data.odd_key_ids[:8])
        problem = f"a key id in Widevine's data has {sizes} bytes instead of 16"
        if any(len(key_id) in {32, 36} and key_id.isascii() for key_id in data.odd_key_ids):
            problem += ": it was written as text"
    return PsshContents(data.key_ids, data.scheme, "", tuple(details), problem)


def _playready(data: PlayReadyData) -> PsshContents:
    details = [f"header version {data.version}"] if data.version else []
    if data.algorithm:
        details.append(data.algorithm)
    if data.has_license_store:
        details.append("an embedded license store")
    return PsshContents(data.key_ids, data.scheme, data.license_url, tuple(details))


def _shown(value: bytes) -> str:
    """Text as text, anything else in hex; at most so much that it stays on a line."""
    text = value.decode("utf-8", "replace")
    return readable(text, 60) if text.isprintable() and "\ufffd" not in text else value[:32].hex()
