"""How a session is made: the attributes of MFCreatePMPMediaSession and MFCreateMediaSession, typed."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from drm.app.components.trust import ComponentTrust
from drm.app.rights.enabler import ContentProtectionManager
from drm.app.server import PMPServer
from drm.app.worker_configuration import WorkerConfiguration
from drm.bounded_calls import ANSWER_LIMIT
from drm.errors import InvalidArgumentError
from drm.wire.messages import SessionSpec
from drm.worker_memory import DEFAULT_MEMORY, LEAST_MEMORY, MOST_MEMORY

__all__ = ["NO_QUALITY_MANAGER", "PMPSessionFlags", "SessionConfiguration"]

NO_QUALITY_MANAGER = UUID(int=0)
"""As `quality_manager` (GUID_NULL): nothing is dropped, however late it is."""


class PMPSessionFlags(enum.IntFlag):
    """MFPMPSESSION_CREATION_FLAGS."""

    NONE = 0
    UNPROTECTED_PROCESS = 1  # isolated, not locked down: plays clear content only
    IN_PROCESS = 2  # listed in the headers, described nowhere: refused


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfiguration:
    """Every limit bounds what an unsound peer can cost.

    With a server context the worker is there already: what it was made with counts, and `min_level` is held to it.
    """

    content_protection_manager: ContentProtectionManager | None = None  # MF_SESSION_CONTENT_PROTECTION_MANAGER
    global_time: bool = False  # MF_SESSION_GLOBAL_TIME
    quality_manager: UUID | None = None  # MF_SESSION_QUALITY_MANAGER: a component's class id; None: the default one
    topology_loader: UUID | None = None  # MF_SESSION_TOPOLOADER: a component's class id; None: the session's own
    remote_source_mode: bool = False  # MF_SESSION_REMOTE_SOURCE_MODE: media sources live in the worker
    server_context: PMPServer | None = None  # MF_SESSION_SERVER_CONTEXT: the worker to make the session in
    low_latency: bool = False  # MF_LOW_LATENCY, of sessions in the application's own process
    dialects: tuple[str, ...] = ()  # readings of Common Encryption that the session's decrypters follow
    components: tuple[Path, ...] = ()  # folders of components of your own, beside the installed ones
    trust: ComponentTrust = field(default_factory=ComponentTrust)  # which authority vouches for the components
    answer_limit: float = ANSWER_LIMIT  # seconds that a source, a sink or a topology loader may take for a call
    min_level: int = 1  # isolation level below which creation fails
    service: str | None = None  # socket of the PMP service whose workers are used; None: for level 3 the usual one
    engine: str = "cryptography"  # cipher engine of the worker
    sealed: bool = True  # ask for sealed licenses, which needs a device key
    start_timeout: float = 20.0  # seconds until the worker is locked down
    call_timeout: float = 20.0  # seconds for one call into the worker
    stall_timeout: float = 20.0  # seconds without a sign of life after which the worker is ended
    worker_memory: int = DEFAULT_MEMORY  # MiB that the worker may use, private and shared
    cpu_limit: float = 120.0  # seconds that it may compute without coming to another sample

    def worker(self, flags: PMPSessionFlags) -> WorkerConfiguration:
        """What a worker of its own would be made with. Raises InvalidArgumentError for what is not supported."""
        if unknown := int(flags) & ~int(PMPSessionFlags.UNPROTECTED_PROCESS | PMPSessionFlags.IN_PROCESS):
            raise InvalidArgumentError("nobody knows this flag of a session's creation", seen=f"{unknown:#x}")
        if flags & PMPSessionFlags.IN_PROCESS:
            raise InvalidArgumentError(
                "a PMP session in the application's own process protects nothing, and is not made",
                remedy="create_media_session, for clear content",
            )
        if not LEAST_MEMORY <= self.worker_memory <= MOST_MEMORY:
            most = f"{LEAST_MEMORY} to {MOST_MEMORY} MiB"
            raise InvalidArgumentError(f"worker_memory is {most}", seen=str(self.worker_memory))
        return WorkerConfiguration(
            unprotected=bool(flags & PMPSessionFlags.UNPROTECTED_PROCESS),
            min_level=self.min_level,
            service=self.service,
            engine=self.engine,
            sealed=self.sealed,
            components=self.components,
            trust=self.trust,
            start_timeout=self.start_timeout,
            call_timeout=self.call_timeout,
            stall_timeout=self.stall_timeout,
            worker_memory=self.worker_memory,
            cpu_limit=self.cpu_limit,
        )

    def spec(self) -> SessionSpec:
        """The attributes that act in the worker."""
        return SessionSpec(
            self.dialects,
            self.global_time,
            self.quality_manager,
            self.topology_loader,
            self.remote_source_mode,
            self.answer_limit,
        )
