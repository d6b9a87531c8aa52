"""Who may use the API: whoever sends one of the operator's tokens. The file has a line for each, NAME TOKEN.

Not the password of the pages: that is hashed so slowly that every request would cost a tenth of a second, and people
choose it. A token is random and long, so its plain SHA-256 tells nothing.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from drm.errors import InvalidArgumentError
from license_server.issuing.rate_limits import Limit, RateLimit
from license_server.issuing.token_minting import SigningKey
from license_server.problems import ProblemError

__all__ = ["AdminAccess", "AdminRules", "admin_tokens_of"]

_LEAST: Final = 24  # characters
_MAX_FILE: Final = 64 << 10
_LINE: Final = re.compile(r"(?:(?P<name>[A-Za-z0-9_.@-]{1,64})[ \t]+)?(?P<token>[!-~]+)")
_TRIES: Final = Limit(20, 60)
_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="clearkey administration"'),)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminRules:
    """How the API is set up."""

    tokens: tuple[tuple[str, bytes], ...] = field(repr=False)  # name and SHA-256
    signing_key: SigningKey | None = None  # to mint tokens for tests


def admin_tokens_of(path: Path) -> tuple[tuple[str, bytes], ...]:
    """Read a file of tokens: names, which the audit log shows, with the SHA-256 of each token.

    Empty lines and those that begin with # are passed over; a token without a name is `admin`'s.

    Raises:
        InvalidArgumentError: a line cannot be read, or a token is too short. No message repeats a token.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE).decode()
    except OSError as error:
        raise InvalidArgumentError(f"the tokens cannot be read: {error.strerror}", where=str(path)) from None
    except UnicodeDecodeError:
        raise InvalidArgumentError("the file of administrators' tokens is no text", where=str(path)) from None
    tokens: list[tuple[str, bytes]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path} line {number}"
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise InvalidArgumentError("a line is neither TOKEN nor NAME TOKEN", where=where)
        if len(match["token"]) < _LEAST:
            raise InvalidArgumentError(
                f"an administrator's token has {_LEAST} characters or more",
                where=where,
                remedy=f"openssl rand -hex 32 > {path}",
            )
        tokens.append((match["name"] or "admin", sha256(match["token"].encode()).digest()))
    if not tokens:
        raise InvalidArgumentError("the file holds no administrator's token", where=str(path))
    return tuple(tokens)


class AdminAccess:
    """Tells administrators from others. Safe for several threads."""

    def __init__(self, rules: AdminRules) -> None:
        self._tokens = rules.tokens
        self._tries = RateLimit(_TRIES)

    def admit(self, authorization: str, client: str) -> str:
        """Return whose token it is. Raises ProblemError: nobody's, none, or too many of these from there."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise ProblemError(
                401, "admin_token_missing", "send Authorization: Bearer and an administrator's token",
                headers=_CHALLENGE,
            )  # fmt: skip
        digest = sha256(token.strip().encode()).digest()
        # All of them in any case: the time tells nothing of which one it nearly was.
        names = [name for name, known in self._tokens if hmac.compare_digest(known, digest)]
        if names:
            return names[0]
        self._tries.count(client, "administration")
        raise ProblemError(
            401, "admin_token_wrong", "no administrator of this server has this token", headers=_CHALLENGE
        )
