"""Which number each setting of a topology has in its session. Application process.

A topology may be set again, and in any order: its own id says which topology it is, and its number which setting of it.
The session's core, here or in a worker, knows numbers alone, and they rise.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Mapping
from typing import Final

import msgspec

from drm.component import MediaSource
from drm.session.topology import Topology
from drm.wire.specs import FullTopology

__all__ = ["TopologyNumbers"]

_NEVER: Final = -1
"""A number that no setting has."""

_REMEMBERED: Final = 4096
"""Settings whose ids are known when they are over: more than can wait at a time."""


class TopologyNumbers:
    """The settings of one session that are not over. Any thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._set: dict[int, Topology[MediaSource]] = {}  # in the order in which they were set
        self._ids: collections.OrderedDict[int, int] = collections.OrderedDict()  # also of some that are over
        self.newest = 0

    def take(self, topology: Topology[MediaSource]) -> int:
        """The number of a setting that begins."""
        with self._changing:
            self.newest += 1
            self._set[self.newest] = topology
            self._ids[self.newest] = topology.topology_id
            while len(self._ids) > _REMEMBERED:
                self._ids.popitem(last=False)
            return self.newest

    def over(self, number: int) -> None:
        """The setting is over, or did not come to be. Idempotent."""
        with self._changing:
            self._set.pop(number, None)

    def topology(self, number: int) -> Topology[MediaSource] | None:
        """The topology of a setting; None when it is over."""
        return self._set.get(number)

    def number_of(self, topology_id: int | None) -> int | None:
        """The oldest setting of a topology, which is the current one or the next; a number that none has otherwise.

        None stays None: whichever is current.
        """
        if topology_id is None:
            return None
        with self._changing:
            return next((number for number, each in self._set.items() if each.topology_id == topology_id), _NEVER)

    def named(self, values: Mapping[str, int | float | str]) -> dict[str, int | float | str]:
        """An event's values with the topology's own id in the place of the number."""
        if "topology" not in values:
            return dict(values)
        number = int(values["topology"])
        return {**values, "topology": self._ids.get(number, number)}

    def of_its_own_id(self, full: FullTopology) -> FullTopology:
        """A resolved topology as it is told to the application."""
        return msgspec.structs.replace(full, topology_id=self._ids.get(full.topology_id, full.topology_id))
