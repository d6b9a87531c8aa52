"""What is asked of the server and what it answers, without HTTP and without a database; and where keys come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from drm.keys import ContentKey, KeyId
from drm.license import sealed
from drm.rights.policy import Policy
from license_server.problems import PROBLEM_TYPE, ProblemError

__all__ = ["Decision", "DeviceRules", "DeviceSource", "HeldKey", "KeyRequest", "KeySource", "RequestFacts", "refusal"]


class KeyRequest(msgspec.Struct, frozen=True, gc=False):
    """One request as both faces of the server read it. Whoever sent it is not trusted; a token in it is a secret."""

    body: bytes = b""
    authorization: str = ""
    query: str = ""  # as it stood in the request line
    client: str = ""  # address

    def __repr__(self) -> str:
        return f"KeyRequest(client={self.client!r})"


class Decision(msgspec.Struct, frozen=True):
    """What is answered, and what log and audit may say of it. `body` may hold keys."""

    status: int
    media_type: str
    body: bytes
    code: str = "issued"
    kids: tuple[KeyId, ...] = ()
    device_id: str = ""
    level: str = ""  # of a sealed license: as claimed, and whether somebody vouched for the device
    subject: str = ""  # of the token
    token_id: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    cors: bool = True  # False: a fault that was asked for
    pause: float = 0.0  # seconds between the halves of the body, as a fault that was asked for

    def __repr__(self) -> str:
        return f"Decision({self.status}, {self.code!r}, kids={self.kids})"


class RequestFacts(msgspec.Struct):
    """What is known of a request so far; a refusal is told with it."""

    kids: tuple[KeyId, ...] = ()
    device_id: str = ""
    level: str = ""
    subject: str = ""
    token_id: str = ""


class HeldKey(msgspec.Struct, frozen=True):
    """A key that the store holds, unwrapped, and the rules under which it is issued."""

    key: ContentKey
    policy: Policy
    content: str = ""  # the content that it belongs to
    revoked: str = ""  # "key" or "content", when it is


class KeySource(Protocol):
    """Where keys come from."""

    def get_many(self, kids: Sequence[KeyId]) -> Mapping[KeyId, HeldKey]:
        """Return those of `kids` that are held."""


class DeviceSource(Protocol):
    """What is known of devices."""

    def enrolled(self, device_id: str) -> bool | None:
        """Whether somebody vouched for this device; None if it never registered. Raises ProblemError: revoked."""

    def register(self, device: sealed.VerifiedDevice, now: float) -> None:
        """Remember a device that proved to hold its key."""

    def spend(self, request: sealed.VerifiedRequest, now: float, keep: float) -> bool:
        """Use up the request's nonce; False if it was used before. It may be forgotten after `keep` seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRules:
    """How the server treats devices."""

    enrolled_only: bool = False
    freshness: float = 300.0  # seconds by which the device's clock may differ from ours, either way


def refusal(problem: ProblemError, asked: RequestFacts) -> Decision:
    """Return the decision that a problem makes of what was asked."""
    return Decision(
        problem.status,
        PROBLEM_TYPE,
        problem.body(),
        problem.code,
        asked.kids,
        asked.device_id,
        asked.level,
        asked.subject,
        asked.token_id,
        problem.headers,
    )
