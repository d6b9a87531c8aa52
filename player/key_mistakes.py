"""What people get wrong with keys, told from the keys that they gave: swapped, reversed, mixed up."""

from __future__ import annotations

from collections.abc import Mapping

from drm.errors import DRMError, KeyMissingError, KeyWrongError
from drm.keys import ContentKey, KeyId

__all__ = ["explain"]


def explain(error: DRMError, keys: Mapping[KeyId, ContentKey]) -> DRMError:
    """Return `error`, with the likely mistake in `maybe` when the given keys show one."""
    if not keys or not isinstance(error, KeyMissingError | KeyWrongError):
        return error
    for text in error.kids:
        mistake = _mistake(KeyId.parse(text), keys)
        if mistake:
            error.maybe = mistake
            break
    return error


def _mistake(wanted: KeyId, keys: Mapping[KeyId, ContentKey]) -> str:
    for key_id, key in keys.items():
        if key.secret == wanted.value:
            if key_id == wanted:
                return "the KID was given as its own key"
            return "KID and KEY are swapped: the key given is this KID (write KID:KEY, the KID first)"
        if key.secret == wanted.byte_reversed.value:
            return "KID and KEY are swapped, and the KID is in the byte order of a Windows GUID"
    if wanted not in keys and wanted.byte_reversed in keys:
        return (
            f"byte order: a key for {wanted.byte_reversed} was given, which is this KID as a Windows GUID; "
            f"write it as guid-le:{wanted.byte_reversed}"
        )
    others = [kid for kid, other in keys.items() if kid != wanted and other == keys.get(wanted)]
    if others:
        return f"the same key is given for {others[0]}: one of the two is a slip of the pen"
    return ""
