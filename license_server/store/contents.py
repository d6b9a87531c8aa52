"""Contents: what keys belong to, with rules of its own, and with the crypto periods of a stream whose keys change."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from drm.errors import KeyMissingError
from drm.rights.policy import Policy
from license_server.store.key_rows import policy_text, stored_policy
from license_server.store.keys import KeyRow, KeyStore, Place
from license_server.store.names import canonical_name, check_content, check_track
from license_server.store.schema import contents, next_epoch, upsert

__all__ = ["ContentRow", "ContentStore"]


@dataclass(frozen=True, slots=True)
class ContentRow:
    """What is known of a content."""

    content: str
    policy: Policy | None
    created_at: int
    revoked_at: int | None


class ContentStore:
    """Contents as an operator handles them. Safe for several threads and processes."""

    def __init__(self, engine: sa.Engine, keys: KeyStore) -> None:
        self._engine = engine
        self._keys = keys

    def rows(self) -> list[ContentRow]:
        """Return every content that has rules of its own or was revoked."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(contents).order_by(contents.c.content_id)).all()
        return [
            ContentRow(row.content_id, stored_policy(row.content_id, row.policy), row.created_at, row.revoked_at)
            for row in rows
        ]

    def set_policy(self, content: str, policy: Policy | None) -> None:
        """Set rules that hold for all keys of a content, besides their own. Raises InvalidArgumentError."""
        self._put(content, policy=policy_text(policy))

    def revoke(self, content: str, *, restore: bool = False) -> None:
        """Issue no key of a content any more, or again. Raises InvalidArgumentError."""
        self._put(content, revoked_at=None if restore else int(time.time()))

    def next_period(self, content: str, tracks: Sequence[str] = ()) -> list[KeyRow]:
        """Make the keys of the next crypto period of a content and return their rows.

        One for each track that the newest period has, or for each of `tracks`. Raises KeyMissingError for a content
        without keys when no tracks are named, InvalidArgumentError for what is no name.
        """
        check_content(content)
        for track in tracks:
            check_track(track)
        rows = self._keys.rows(content)
        last = max((row.place.period or 0 for row in rows), default=-1)
        named: Sequence[str | None] = tracks or sorted(
            {row.place.track for row in rows if (row.place.period or 0) == last}, key=str
        )
        if not named:
            raise KeyMissingError(f"content {content!r} has no keys yet", remedy="name its tracks with --track")
        kids = self._keys.make([Place(content, track, last + 1) for track in named])
        return [self._keys.row(kid) for kid in kids]

    def _put(self, content: str, **values: object) -> None:
        check_content(content)
        row = upsert(self._engine, contents).values(
            content_id=canonical_name(content), created_at=int(time.time()), **values
        )
        with self._engine.begin() as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["content_id"], set_=values))
            connection.execute(next_epoch())
