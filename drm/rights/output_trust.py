"""An output trust authority for outputs of ours (IMFOutputTrustAuthority). Worker only.

It says what the output is, asks each policy what that output must apply, and applies it. An output of software says
that its connector is unknown: a license that wants a protected connector is refused there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Final

from drm.errors import OutputNotAllowedError
from drm.media import TrackInfo, TrackType
from drm.rights.authorities import SetPolicyResult
from drm.rights.output_policy import OutputPolicy
from drm.rights.output_schema import Connector, OutputAttribute, OutputSchema, Schema
from drm.rights.policy import Action

__all__ = ["SOFTWARE_OUTPUT", "OutputTrust"]

SOFTWARE_OUTPUT: Final = OutputAttribute.DIGITAL | OutputAttribute.SOFTWARE
"""What a sink of ours is: frames end in memory of this machine, and what becomes of them there nobody can say."""

_CONSTRICTING: Final = frozenset({Schema.CONSTRICTVIDEO, Schema.CONSTRICTVIDEO_NOOPM})


class OutputTrust:
    """One output of one stream. The session's threads use it one at a time."""

    def __init__(
        self,
        action: Action,
        attributes: OutputAttribute = SOFTWARE_OUTPUT,
        connector: Connector = Connector.UNKNOWN,
        supported: Collection[Schema] = (Schema.CONSTRICTVIDEO_NOOPM,),
        apply: Callable[[OutputSchema], None] | None = None,
        told: Callable[[int, Sequence[OutputPolicy]], None] | None = None,
        track_id: int = 0,
    ) -> None:
        """`apply` puts a schema in force, or raises; the session does the scaling down of pictures, unasked.

        `told` gets the policies of each stream by its track id, for an output that lets out less under some of them.
        """
        self._action = action
        self._attributes = attributes
        self._connector = connector
        self._supported = frozenset(supported)
        self._apply_one = apply
        self._told = told
        self._track_id = track_id
        self.constriction = 0  # pixels that a picture on its way to this output may have; 0: any number
        self.applied: tuple[OutputSchema, ...] = ()

    def for_stream(self, track: TrackInfo) -> OutputTrust:
        """The same output for one stream: the rules of pictures are not those of sound."""
        attributes = self._attributes & ~OutputAttribute.VIDEO
        if track.type is TrackType.VIDEO:
            attributes |= OutputAttribute.VIDEO
        return OutputTrust(
            self._action, attributes, self._connector, self._supported, self._apply_one, self._told, track.track_id
        )

    def get_action(self) -> Action:
        """What is done with the media."""
        return self._action

    def set_policy(self, policies: Sequence[OutputPolicy]) -> SetPolicyResult:
        """Apply what the policies ask of this output.

        Raises:
            OutputNotAllowedError: a schema that is not merely a best effort cannot be applied, or no output of this
                kind may have the stream.
        """
        schemas = [
            schema
            for policy in policies
            for schema in policy.generate_required_schemas(self._attributes, self._connector, self._supported)
        ]
        missed = [self._try(schema) for schema in schemas if not schema.fail_over]
        applied = [schema for schema in missed if schema is not None]
        if None in missed:
            applied += [found for schema in schemas if schema.fail_over and (found := self._try(schema)) is not None]
        self.applied = tuple(applied)
        limits = [schema.configuration_data for schema in applied if schema.schema_type in _CONSTRICTING]
        self.constriction = min(limits, default=0)
        if self._told is not None:
            self._told(self._track_id, policies)
        return SetPolicyResult.APPLIED

    def is_policy_set(self) -> bool:
        """It is set when `set_policy` returns."""
        return True

    def _try(self, schema: OutputSchema) -> OutputSchema | None:
        """Apply one schema; None: it failed, and was a best effort (MFOUTPUTSCHEMA_BEST_EFFORT)."""
        try:
            if schema.schema_type not in self._supported:
                raise OutputNotAllowedError(f"this output does not have {schema.schema_type.name}")
            if self._apply_one is not None:
                self._apply_one(schema)
        except OutputNotAllowedError:
            if not schema.best_effort:
                raise
            return None
        return schema
