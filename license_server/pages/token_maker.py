"""Makes a token in the page of tools, with the key of `serve --admin-signing-key`, to try a server that asks."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping

import msgspec

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from license_server.issuing.token_minting import SigningKey, TokenClaims
from license_server.rules import ServerRules
from license_server.store.audit import record_admin_action
from license_server.store.opening import Store

__all__ = ["MadeToken", "TokenMaker"]

_LONGEST = 30 * 86_400  # seconds
_MOST_KIDS = 64


class MadeToken(msgspec.Struct, frozen=True):
    """A token for a person to copy. It is shown once, and kept nowhere."""

    token: str
    expires: int  # seconds since the epoch

    def __repr__(self) -> str:
        return f"MadeToken(expires={self.expires})"


class TokenMaker:
    """Signs tokens for this server. Each is written down, without itself."""

    def __init__(self, key: SigningKey, store: Store, audience: str | None) -> None:
        self._key = key
        self._store = store
        self._audience = audience

    @classmethod
    def of(cls, rules: ServerRules, store: Store) -> TokenMaker | None:
        """The maker of a server that has a key to sign with."""
        key = rules.admin.signing_key if rules.admin is not None else None
        return None if key is None else cls(key, store, rules.audience)

    def make(self, form: Mapping[str, str], client: str) -> MadeToken:
        """Sign what a form asks for: `kids` (none: every key), `life` in seconds, `subject`, `single` for one license.

        Raises InvalidArgumentError.
        """
        kids = tuple(KeyId.parse(word) for word in re.split(r"[\s,]+", form.get("kids", "").strip()) if word)
        life = form.get("life", "").strip() or "3600"
        if not life.isdecimal() or not 1 <= int(life[:9]) <= _LONGEST:
            raise InvalidArgumentError(f"a token lives 1 to {_LONGEST} seconds here, not {life[:32]!r}")
        if len(kids) > _MOST_KIDS:
            raise InvalidArgumentError(f"a token names {_MOST_KIDS} key ids at most, not {len(kids)}")
        now, token_id = int(time.time()), secrets.token_urlsafe(12) if form.get("single") else None
        claims = TokenClaims(
            kids=kids,
            life=int(life),
            audience=self._audience,
            subject=form.get("subject", "").strip()[:256],
            token_id=token_id,
        )
        token = self._key.mint(claims, now)
        record_admin_action(
            self._store.engine, "pages", "token_minted", "administrator", kids, client=client, token_id=token_id or ""
        )
        return MadeToken(token, now + claims.life)
