"""Keys that leave the store unwrapped: who had which is written down before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from drm.errors import KeyMissingError
from drm.keys import ContentKey, KeyId
from license_server.store.audit import record_admin_action
from license_server.store.opening import Store

__all__ = ["export_keys"]

_BATCH: Final = 500  # KIDs in one statement


def export_keys(
    store: Store, kids: Sequence[KeyId], content: str | None, who: str, client: str = "operator"
) -> dict[KeyId, ContentKey]:
    """Return the keys of `kids`; without any, those of a content; without one, all.

    Raises:
        KeyMissingError: one of them is not held, or there is none at all. Nothing is written down then.
        StorageError: a row does not unwrap.
    """
    wanted = list(kids) or [row.kid for row in store.keys.rows(content)]
    keys: dict[KeyId, ContentKey] = {}
    for start in range(0, len(wanted), _BATCH):
        keys |= {kid: held.key for kid, held in store.keys.get_many(wanted[start : start + _BATCH]).items()}
    missing = tuple(str(kid) for kid in wanted if kid not in keys)
    if missing or not keys:
        raise KeyMissingError(f"the store holds no such key: {', '.join(missing[:3]) or 'there is none'}", kids=missing)
    record_admin_action(store.engine, "export", "exported", who, keys, client=client)
    return keys
