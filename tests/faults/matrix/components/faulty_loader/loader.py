"""Changes nothing; `at` of the first sink's options being load_topology, `how` says how it goes wrong."""

from __future__ import annotations

import threading

from drm.errors import MediaError, PMPProcessDiedError, SessionShutdownError

__all__ = ["FaultyLoader"]

FAULTS = {each.__name__: each for each in (MediaError, SessionShutdownError, PMPProcessDiedError, OSError, MemoryError,
                                           SystemExit)}  # fmt: skip
HANGS = 8.0  # seconds


class FaultyLoader:
    def load_topology(self, topology: object) -> object:
        options = topology.sinks()[0].options
        how = options["how"] if options.get("at") == "load_topology" else ""
        if how in FAULTS:
            raise FAULTS[how]("planted")
        if how == "hangs":
            threading.Event().wait(HANGS)
        return "nonsense" if how == "nonsense" else topology
