"""How a worker is made: what is asked of it, where it is launched, and whose device key it gets. Application only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drm.app.components.trust import ComponentTrust
from drm.app.service_process import ServiceProcess, service_of
from drm.app.worker_link import WorkerProcess
from drm.errors import InvalidArgumentError
from drm.launch.device_key import open_device_key
from drm.launch.process import PMPProcess
from drm.worker_memory import DEFAULT_MEMORY

__all__ = ["WorkerConfiguration", "launch_worker", "open_device_key_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerConfiguration:
    """How a worker is made; every limit bounds what an unsound peer can cost."""

    unprotected: bool = False  # MFPMPSESSION_UNPROTECTED_PROCESS: isolated, not locked down, clear content only
    min_level: int = 1  # isolation level below which creation fails
    service: str | None = None  # socket of the PMP service whose workers are used; None: for level 3 the usual one
    engine: str = "cryptography"  # cipher engine
    sealed: bool = True  # ask for sealed licenses, which needs a device key
    components: tuple[Path, ...] = ()  # folders of components of your own, beside the installed ones
    trust: ComponentTrust = field(default_factory=ComponentTrust)  # which authority vouches for the components
    start_timeout: float = 20.0  # seconds until the worker is locked down
    call_timeout: float = 20.0  # seconds for one call into the worker
    stall_timeout: float = 20.0  # seconds without a sign of life after which the worker is ended
    worker_memory: int = DEFAULT_MEMORY  # MiB that the worker may use, private and shared
    cpu_limit: float = 120.0  # seconds that it may compute without coming to another sample

    @property
    def service_socket(self) -> str | None:
        """Where the service is asked for a worker; None: one is launched here."""
        return service_of(self.service, self.min_level)


def launch_worker(configuration: WorkerConfiguration) -> WorkerProcess:
    """Start a worker, here or in the service. Raises IsolationError, PMPProcessDiedError."""
    service = configuration.service_socket
    if service is not None:
        if configuration.unprotected:
            raise InvalidArgumentError("the PMP service runs protected workers alone")
        return ServiceProcess(
            service,
            engine=configuration.engine,
            demanded_level=configuration.min_level,
            memory=configuration.worker_memory,
            timeout=configuration.start_timeout,
        )
    return PMPProcess(
        unprotected=configuration.unprotected,
        engine=configuration.engine,
        demanded_level=0 if configuration.unprotected else configuration.min_level,
        memory=configuration.worker_memory,
        start_timeout=configuration.start_timeout,
    )


@contextmanager
def open_device_key_of(configuration: WorkerConfiguration) -> Iterator[int | None]:
    """The device key's descriptor, for a worker that asks for sealed licenses. Raises StorageError.

    The service gives its workers its own.
    """
    if configuration.unprotected or not configuration.sealed or configuration.service_socket is not None:
        yield None
        return
    descriptor = open_device_key()
    try:
        yield descriptor
    finally:
        os.close(descriptor)
