"""Services that a session gives on request (IMFGetService), by the GUIDs of the headers."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from drm.errors import UnsupportedServiceError

__all__ = ["RateControl", "Service", "service_of"]


class Service(enum.Enum):
    """What `get_service` takes."""

    PMP_SERVICE = UUID("9f1b6f6a-3c7e-4f43-9b0a-6c1b5a0d2e77")  # PMPHost; no public header gives Windows' number
    PMP_SERVER_CONTEXT = UUID("2f00c910-d2cf-4278-8b6a-d077fac3a25f")  # PMPServer
    REMOTE_PROXY = UUID("2f00c90e-d2cf-4278-8b6a-d077fac3a25f")  # RemoteProxy
    RATE_CONTROL_SERVICE = UUID("866fa297-b802-4bf8-9dc9-5e3b6a9f53c9")  # RateControl


def service_of(service: Service | UUID) -> Service:
    """Return the service with this GUID. Raises UnsupportedServiceError (MF_E_UNSUPPORTED_SERVICE)."""
    try:
        return Service(service) if isinstance(service, UUID) else service
    except ValueError:
        raise UnsupportedServiceError(f"there is no service {service}") from None


class _SetRate(Protocol):
    def __call__(self, rate: float, *, thin: bool = False) -> None: ...


class RateControl:
    """IMFRateControl and IMFRateSupport of a session."""

    def __init__(self, set_rate: _SetRate, get_rate: Callable[[], float]) -> None:
        self.set_rate = set_rate
        """Play at another speed: SESSION_RATE_CHANGED (MediaSession.set_rate)."""
        self.get_rate = get_rate
        """The rate of now."""

    def get_slowest_rate(self) -> float:
        """0: scrubbing, a picture for each start."""
        return 0.0

    def get_fastest_rate(self) -> float:
        """There is no limit but the machine."""
        return float("inf")

    def is_rate_supported(self, rate: float, *, thin: bool = False) -> bool:
        """Whether `set_rate` takes it: forward, without thinning."""
        return rate >= 0 and not thin
