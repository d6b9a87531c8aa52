"""The public face of the platform: what programs import, fetched at first use (PEP 562). Runs in the application.

A module below costs what it costs by itself: `import drm.app.byte_stream` passes through here and loads no network
library. No other package of `drm` may have such a face, for theirs run in the worker too.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from drm.app.byte_stream import FileByteStream
    from drm.app.components.installed import component_folders
    from drm.app.components.supply import ComponentSupply
    from drm.app.components.trust import ComponentTrust
    from drm.app.http.byte_stream import HttpByteStream
    from drm.app.local_session import create_media_session
    from drm.app.rights.content_enabler import ContentEnabler
    from drm.app.rights.enabler import ContentProtectionManager, EnablerActivation, EnableResult
    from drm.app.rights.license_forms import LicenseForm
    from drm.app.rights.managers import LicenseManager, LocalKeysManager
    from drm.app.server import PMPServer, create_pmp_server
    from drm.app.session_configuration import NO_QUALITY_MANAGER, PMPSessionFlags, SessionConfiguration
    from drm.app.session_proxy import MediaSessionProxy, create_pmp_media_session
    from drm.app.source_resolver import SourceResolver
    from drm.app.sources import open_source
    from drm.app.worker_configuration import WorkerConfiguration

__all__ = [
    "NO_QUALITY_MANAGER",
    "ComponentSupply",
    "ComponentTrust",
    "ContentEnabler",
    "ContentProtectionManager",
    "EnableResult",
    "EnablerActivation",
    "FileByteStream",
    "HttpByteStream",
    "LicenseForm",
    "LicenseManager",
    "LocalKeysManager",
    "MediaSessionProxy",
    "PMPServer",
    "PMPSessionFlags",
    "SessionConfiguration",
    "SourceResolver",
    "WorkerConfiguration",
    "component_folders",
    "create_media_session",
    "create_pmp_media_session",
    "create_pmp_server",
    "open_source",
]

_PLACES: Final = {
    "create_pmp_media_session": "session_proxy",
    "MediaSessionProxy": "session_proxy",
    "create_media_session": "local_session",
    "create_pmp_server": "server",
    "PMPServer": "server",
    "WorkerConfiguration": "worker_configuration",
    "SessionConfiguration": "session_configuration",
    "PMPSessionFlags": "session_configuration",
    "NO_QUALITY_MANAGER": "session_configuration",
    "ContentProtectionManager": "rights.enabler",
    "ContentEnabler": "rights.content_enabler",
    "EnablerActivation": "rights.enabler",
    "EnableResult": "rights.enabler",
    "LicenseForm": "rights.license_forms",
    "LicenseManager": "rights.managers",
    "LocalKeysManager": "rights.managers",
    "ComponentTrust": "components.trust",
    "ComponentSupply": "components.supply",
    "component_folders": "components.installed",
    "open_source": "sources",
    "FileByteStream": "byte_stream",
    "HttpByteStream": "http.byte_stream",
    "SourceResolver": "source_resolver",
}
"""Each name with the module below this package that has it."""

if not TYPE_CHECKING:  # a type checker knows the names from above, and is to refuse any other

    def __getattr__(name: str) -> object:
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
        found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
