"""Who may have a license: a JSON Web Token (RFC 7519) that the operator's own service signs for a viewer.

Claims: `exp` (required), `aud`, `nbf`, `sub`, `kids` (a list, or "*") and `contents` (a list), of which one is
required, `policy` (as in drm.rights.policy; it only adds rules), and `jti`. A token with a `jti` is good for one
license, unless `reusable` is true; then the id is there to revoke it by. A token is a secret: it is in no message, log
or row.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final, Literal, Protocol
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta

from drm.errors import InvalidArgumentError
from drm.keys import KeyId
from drm.license.clearkey import decode_kid
from drm.rights.policy import Policy
from license_server.decisions import KeyRequest
from license_server.issuing.token_keys import TokenError, TokenKeys
from license_server.problems import ProblemError
from license_server.store.names import canonical_name, checked_token_id

__all__ = ["OPEN", "Entitlements", "Grant", "TokenLedger"]

_MAX_TOKEN: Final = 8192  # characters
_REMEMBERED: Final = 10_000  # verified tokens, in each worker
_BEARER: Final = re.compile(r"(?i:bearer) +([^\s]+) *")
_LEEWAY: Final = 5  # seconds by which the signer's clock may be off

_TEXT: Final = r"\A[^\x00]*\Z"  # PostgreSQL holds no NUL, and what is taken here is written down
_Id = Annotated[str, Meta(min_length=1, max_length=128, pattern=_TEXT)]


class TokenLedger(Protocol):
    """What is known of single tokens, over all workers."""

    def is_revoked(self, token_id: str) -> bool:
        """Whether the operator revoked it."""

    def spend(self, token_id: str, until: float) -> bool:
        """Use up a token; False if it was used before. It may be forgotten after `until`."""


class _Claims(msgspec.Struct, frozen=True):
    exp: float
    aud: str | list[str] | None = None
    nbf: float | None = None
    sub: Annotated[str, Meta(max_length=256, pattern=_TEXT)] = ""
    kids: list[str] | Literal["*"] | None = None
    contents: list[_Id] = []
    policy: Policy | None = None
    jti: _Id | None = None
    reusable: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified token allows. `kids` None: every key."""

    kids: frozenset[KeyId] | None = None
    contents: frozenset[str] = frozenset()
    policy: Policy | None = None
    expires: float = 0.0
    subject: str = ""
    token_id: str = ""
    is_single: bool = False
    limit_key: str = field(default="", repr=False)

    def covers(self, kid: KeyId, content: str) -> bool:
        """Whether the key `kid`, which belongs to `content`, is among those allowed."""
        return self.kids is None or kid in self.kids or (content != "" and content in self.contents)


OPEN: Final = Grant()
"""What everybody may where no tokens are asked for."""


class Entitlements:
    """Verifies tokens. Safe for several threads; a token that was good is remembered until it expires."""

    def __init__(self, keys: TokenKeys, ledger: TokenLedger, *, audience: str | None = None) -> None:
        self._keys = keys
        self._ledger = ledger
        self._audience = audience
        self._known: OrderedDict[bytes, Grant] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, ask: KeyRequest, now: float | None = None) -> Grant:
        """Return what the token of a request allows. Raises ProblemError: 401, or 403 for one of another server."""
        token = _token(ask)
        moment = time.time() if now is None else now
        name = sha256(token.encode(errors="surrogateescape")).digest()
        grant = self._known.get(name)
        if grant is None:
            grant = self._verified(token, name, moment)
            if not grant.is_single:
                self._remember(name, grant)
        elif grant.expires <= moment:
            with self._lock:
                self._known.pop(name, None)
            raise _expired()
        if grant.token_id and self._ledger.is_revoked(grant.token_id):
            raise ProblemError(403, "token_revoked", "the operator revoked this token")
        return grant

    def spend(self, grant: Grant) -> None:
        """Use up a single-use token. Raises ProblemError when it was used before."""
        if grant.is_single and not self._ledger.spend(grant.token_id, grant.expires + _LEEWAY):
            raise ProblemError(403, "token_replayed", "this token was good for one license, and was used before")

    def _verified(self, token: str, name: bytes, now: float) -> Grant:
        try:
            claims = msgspec.json.decode(self._keys.verify(token), type=_Claims)
            kids = None if claims.kids == "*" else frozenset(map(decode_kid, claims.kids or ()))
            token_id = "" if claims.jti is None else checked_token_id(claims.jti)
        except TokenError as error:
            raise _unauthorized("token_invalid", error.why) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidArgumentError):
            # The words of the parser would repeat parts of the token.
            raise _unauthorized("token_invalid", "its claims are not those that are read here") from None
        if claims.exp + _LEEWAY <= now:
            raise _expired()
        if claims.nbf is not None and claims.nbf - _LEEWAY > now:
            raise _unauthorized("token_invalid", "its time has not come yet (nbf)")
        self._check_audience(claims.aud)
        if kids is not None and not kids and not claims.contents:
            raise _unauthorized("token_invalid", "it names neither `kids` nor `contents`")
        return Grant(
            kids,
            frozenset(map(canonical_name, claims.contents)),
            claims.policy,
            claims.exp + _LEEWAY,
            claims.sub,
            token_id,
            claims.jti is not None and not claims.reusable,
            name.hex(),
        )

    def _check_audience(self, claim: str | list[str] | None) -> None:
        audiences = [claim] if isinstance(claim, str) else claim or []
        # RFC 7519 4.1.3: who is not named must refuse; and where an audience is set, a token must name it.
        if (audiences or self._audience is not None) and self._audience not in audiences:
            raise ProblemError(403, "token_audience", "the token is not meant for this server (aud)")

    def _remember(self, name: bytes, grant: Grant) -> None:
        with self._lock:
            self._known[name] = grant
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)


def _token(ask: KeyRequest) -> str:
    """The one token of a request: RFC 6750 2.1 and 2.3, under the name that players and servers use."""
    if header := _BEARER.fullmatch(ask.authorization):
        token = header[1]
    elif "token=" in ask.query:
        token = next(iter(_query(ask.query).get("token", ())), "")
    else:
        token = ""
    if not token:
        raise _unauthorized("token_missing", "send `Authorization: Bearer TOKEN`, or `?token=TOKEN`", error="")
    if len(token) > _MAX_TOKEN:
        raise _unauthorized("token_invalid", f"it is longer than {_MAX_TOKEN} characters")
    return token


def _query(text: str) -> Mapping[str, list[str]]:
    try:
        return parse_qs(text, max_num_fields=64)
    except ValueError:
        return {}


def _unauthorized(code: str, detail: str, *, error: str = ' error="invalid_token"') -> ProblemError:
    return ProblemError(401, code, detail, headers=(("WWW-Authenticate", f"Bearer{error}"),))


def _expired() -> ProblemError:
    return _unauthorized("token_expired", "the token has expired (exp)")
