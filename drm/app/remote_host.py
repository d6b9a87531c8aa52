"""The PMP host of a session in remote source mode: its source resolver is more than a reference."""

from __future__ import annotations

from uuid import UUID

from drm.app.host_proxy import HostProxy
from drm.app.remote_sources import RemoteSources
from drm.app.source_resolver import SourceResolver
from drm.class_ids import SOURCE_RESOLVER
from drm.wire.messages import RemoteObject

__all__ = ["RemoteSourceHost"]


class RemoteSourceHost:
    """A `HostProxy` whose `create_object(SOURCE_RESOLVER)` returns a `SourceResolver`."""

    def __init__(self, host: HostProxy, remote: RemoteSources) -> None:
        self._host = host
        self._remote = remote
        self.activate_class = host.activate_class
        self.release_object = host.release_object
        self.lock_process = host.lock_process
        self.unlock_process = host.unlock_process
        self.locked = host.locked

    def create_object(
        self, class_id: UUID, stream: bytes | None = None, interface: str = ""
    ) -> RemoteObject | SourceResolver:
        """Make an object in the worker (HostProxy.create_object); of CLSID_MFSourceResolver, return its proxy."""
        made = self._host.create_object(class_id, stream, interface)
        return SourceResolver(made, self._remote) if class_id == SOURCE_RESOLVER else made
