"""What a worker tells the trust authorities of one session about itself (drm.component.ProtectedEnvironment)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from drm.errors import IsolationError
from drm.hresult import HResult
from drm.protection import ProtectionReport, TrustReport

__all__ = ["Environment"]


class Environment(msgspec.Struct, eq=False, weakref=True):
    """One for each session: sessions share a process, not their keys."""

    protection: ProtectionReport
    device_key: bytes | None
    engine: str
    dialects: tuple[str, ...]
    digests: dict[str, str]
    tracer: Callable[[], int]
    trust: Callable[[], TrustReport | None] = lambda: None  # what the components are worth now

    @property
    def level(self) -> int:
        """The isolation level that this process probed."""
        return self.protection.level

    def report(self) -> dict[str, object]:
        """Raises IsolationError when a debugger or tracer has come since the lock: then no license is asked for."""
        if self.level and (tracer := self.tracer()):
            raise IsolationError(
                f"process {tracer} traces the PMP worker, so no license is asked for",
                remedy="end the debugger or tracer",
                hresult=HResult.NS_E_DRM_DEBUGGING_NOT_ALLOWED,
            )
        whole = msgspec.structs.replace(self.protection, components=self.digests, trust=self.trust())
        found: dict[str, object] = msgspec.to_builtins(whole)
        return found

    def component_digests(self) -> dict[str, str]:
        """Component name to sha256 of its manifest."""
        return self.digests
