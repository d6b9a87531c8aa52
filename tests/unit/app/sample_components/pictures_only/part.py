"""Leaves the sound out."""

from drm.media import TrackType
from drm.session.topology import Topology


class PicturesOnly:
    def load_topology(self, topology: Topology) -> Topology:
        topology.branches = [each for each in topology.branches if each.stream.track.type is TrackType.VIDEO]
        return topology
