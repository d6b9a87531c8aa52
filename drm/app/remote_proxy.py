"""Names the other halves of a proxy (IMFRemoteProxy): the session in the worker, and the host beside it."""

from __future__ import annotations

from typing import Final

from drm.app.host_proxy import HostProxy
from drm.app.worker_link import WorkerLink
from drm.errors import InterfaceError, WireError
from drm.wire import messages as wire

__all__ = ["RemoteProxy"]

_SESSION: Final = frozenset({"MediaSession", "MediaEventGenerator"})


class RemoteProxy:
    """What a session's `get_service(REMOTE_PROXY)` gives. Each call blocks."""

    def __init__(self, link: WorkerLink, session: int) -> None:
        self._link = link
        self._session = session

    def get_remote_object(self, interface: str = "MediaSession") -> wire.RemoteObject:
        """Return a reference to the session in the worker: the same one each time.

        It says which object this is the proxy of, and nothing can be done with it here: what the session does, it does
        for its proxy alone. Raises InterfaceError (E_NOINTERFACE) for a protocol that a session does not keep.
        """
        if interface not in _SESSION:
            raise InterfaceError(f"a session in a worker does not keep {interface}")
        answer = self._link.call(lambda call: wire.Query(call, self._session, "remote-object"))
        if answer.object is None:
            raise WireError("the worker does not name the session")
        return answer.object

    def get_remote_host(self, interface: str = "PMPHost") -> HostProxy:
        """Return the PMP host of the session. Raises InterfaceError (E_NOINTERFACE)."""
        if interface != "PMPHost":
            raise InterfaceError(f"the host of a session does not keep {interface}")
        return HostProxy(self._link, self._session)
