"""What a handler works with, and how a route is described: once, for the server and for its documentation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from msgspec import Struct

from drm.keys import KeyId
from license_server.health import Health
from license_server.rules import ServerRules
from license_server.store.audit import record_admin_action
from license_server.store.opening import Store

__all__ = ["AdminRequest", "Handler", "Route"]

Handler = Callable[..., Struct | bytes]
"""Takes a `AdminRequest`, the parts of the path by their names, and `body` and `query` if the route has them."""


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """One request of an administrator. `who` is the name of the token."""

    state: Health
    rules: ServerRules
    who: str
    client: str

    @property
    def store(self) -> Store:
        """What `clearkey keys` works with, too."""
        return self.state.store

    def record(
        self, code: str, kids: Iterable[KeyId] = (), *, content: str = "", token_id: str = "", device_id: str = ""
    ) -> None:
        """Write down what was done. The request is answered after that, and fails if it cannot be written."""
        who = f"{self.who}: content {content}" if content else self.who
        record_admin_action(
            self.store.engine, "admin", code, who, kids, client=self.client, token_id=token_id, device_id=device_id
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation. `path` is below /api/admin/v1, its variables in braces."""

    method: str
    path: str
    name: str
    summary: str
    handle: Handler
    answers: type[Struct]
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    status: int = 200
    refusals: tuple[int, ...] = ()  # besides those that every route knows
    confirm: str = ""  # what the header X-Clearkey-Confirm must say
