"""Names that people and programs give: contents, tracks and the ids of tokens, each in one spelling.

A name that is stored is what revocations and rules go by, so whoever writes `é` as one character and whoever writes it
as two must mean the same thing: names are kept and compared in Unicode's form NFC (UAX #15).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from drm.errors import InvalidArgumentError

__all__ = ["LONGEST_NAME", "canonical_name", "check_content", "check_track", "checked_token_id"]

LONGEST_NAME: Final = 128
"""Characters of the name of a content, and of the id of a token, in the form in which they are stored."""


def canonical_name(text: str) -> str:
    """Return `text` as it is stored and compared. It may be longer than what came in."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def check_content(content: str) -> None:
    """Return if this can name a content. Raises InvalidArgumentError."""
    name = canonical_name(content)
    if not re.fullmatch(rf"[^\x00-\x1f\x7f]{{1,{LONGEST_NAME}}}", name):
        raise InvalidArgumentError("a content is named by 1 to 128 printable characters", seen=f"{len(name)}")


def check_track(track: str) -> None:
    """Return if this can name a track. Raises InvalidArgumentError."""
    name = canonical_name(track)
    if len(name) > 16 or not name.isalnum():
        raise InvalidArgumentError("a track is named by 1 to 16 letters and digits")


def checked_token_id(text: str) -> str:
    """Return the id of a token (RFC 7519, 4.1.7) as it is stored. Raises InvalidArgumentError."""
    name = canonical_name(text)
    if not 1 <= len(name) <= LONGEST_NAME or "\0" in name:  # which PostgreSQL cannot hold
        raise InvalidArgumentError("the id of a token (jti) has 1 to 128 characters", seen=f"{len(name)}")
    return name
