"""Counts frames and lets nothing out: for playing a file through, for measuring, and for simulating outputs.

There is no HDCP and no CGMS-A on Linux that a program could vouch for. What a license that wants them would do on an
output that has them can be tried out here, where nothing leaves whatever the simulation says.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from drm.component import Frame, OutputTrustAuthority
from drm.errors import InvalidArgumentError, OutputNotAllowedError
from drm.media import TrackInfo
from drm.rights.output_schema import Connector, OutputAttribute, OutputSchema, Schema
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import Action

__all__ = ["DiscardSink"]


class _Simulation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An output that there is not: its connector, and schemas by the names of `Connector` and `Schema`."""

    connector: str = "HDMI"
    digital: bool = True
    compressed: bool = False
    supports: tuple[str, ...] = ()
    fails: tuple[str, ...] = ()  # of those that it supports: applying them goes wrong

    def output(self) -> OutputTrust:
        """Its trust authority. Raises InvalidArgumentError for a name that there is not."""
        attributes = OutputAttribute(0)
        attributes |= OutputAttribute.DIGITAL if self.digital else OutputAttribute(0)
        attributes |= OutputAttribute.COMPRESSED if self.compressed else OutputAttribute(0)
        try:
            connector, failing = Connector[self.connector], {Schema[name] for name in self.fails}
            supported = [Schema[name] for name in self.supports]
        except KeyError as unknown:
            raise InvalidArgumentError(f"the simulated output has {unknown}, which is none of the headers'") from None

        def apply(schema: OutputSchema) -> None:
            if schema.schema_type in failing:
                raise OutputNotAllowedError(f"the simulated output fails to apply {schema.schema_type.name}")

        return OutputTrust(Action.PLAY, attributes, connector, supported, apply)


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`in_time`: take each frame at its presentation time, as a screen does, and not as fast as they come."""

    in_time: bool = False
    simulation: _Simulation | None = None


class DiscardSink:
    """The end of a branch that nobody looks at."""

    def __init__(self) -> None:
        self._frames = 0
        self._options = _Options()

    @property
    def is_rateless(self) -> bool:
        """Unless it was told to take its time."""
        return not self._options.in_time

    def load(self, stream: bytes) -> None:
        """Read the options. Raises InvalidArgumentError."""
        try:
            self._options = msgspec.json.decode(stream, type=_Options)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidArgumentError(f"the options of the discard sink are wrong: {error}") from None

    def output_trust_authorities(self) -> Sequence[OutputTrustAuthority]:
        """One: play. Nothing leaves; but it says what it is, or what it simulates."""
        return (self._options.simulation.output() if self._options.simulation else OutputTrust(Action.PLAY),)

    def open(self, tracks: Sequence[TrackInfo], descriptor: int | None) -> None:  # noqa: ARG002 - Sink's signature
        """Nothing to get ready. Raises InvalidArgumentError for a descriptor, which it would neither use nor close."""
        if descriptor is not None:
            raise InvalidArgumentError("the discard sink writes nothing", seen="a descriptor to write to")

    def write(self, track_id: int, frame: Frame) -> None:  # noqa: ARG002 - Sink's signature
        """Count it."""
        self._frames += 1

    def finish(self) -> dict[str, int]:
        """Say how many there were."""
        return {"frames": self._frames}

    def close(self) -> None:
        """Nothing is held."""
