"""The policy that an input trust authority hands to outputs (IMFOutputPolicy), and its decisions by kind of output.

The rules are the license's (drm.rights.policy.Policy). The decisions are those of Microsoft's published Clear Key
component (Windows-classic-samples, ClearKey content decryption module, GenerateRequiredSchemas), with one rule more: a
license that constricts pictures asks every picture output to do so.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Final
from uuid import UUID

from drm.errors import IncorrectRightsError, OutputNotAllowedError
from drm.hresult import HResult
from drm.rights.output_schema import CGMSA_VALUES, Connector, OutputAttribute, OutputSchema, Schema
from drm.rights.policy import Action, Policy

__all__ = ["OutputPolicy", "constricted"]

_REQUIRED_CGMS_A: Final = 4  # from here on it is required; below, best effort
_CONSTRICTING: Final = (Schema.CONSTRICTVIDEO, Schema.CONSTRICTVIDEO_NOOPM)


class OutputPolicy:
    """What one stream's license asks of the outputs that perform one action. Made by the authority; worker only."""

    def __init__(self, action: Action, rules: Policy | None, originator_id: UUID, policy_id: int = 0) -> None:
        """`rules` None: no key is bound yet. `policy_id` is 0, or the unique number of a change (MF_POLICY_ID)."""
        self.action = action
        self.rules = rules
        self.originator_id = originator_id
        self.policy_id = policy_id
        self.times_asked = 0  # calls of `generate_required_schemas`: an output that never asks applies nothing

    @property
    def minimum_revocation_list_version(self) -> int:
        """GetMinimumGRLVersion: an older revocation list must not be in force while this is played."""
        return self.rules.min_revocation_list if self.rules is not None else 0

    def generate_required_schemas(
        self, attributes: OutputAttribute, connector: Connector, supported: Collection[Schema]
    ) -> list[OutputSchema]:
        """Say what an output of this kind, which can apply `supported`, must apply; nothing is an answer too.

        Raises:
            OutputNotAllowedError: this output must not have it (MF_E_POLICY_UNSUPPORTED), or is an analog one that
                nobody knows (MF_E_ITA_UNRECOGNIZED_ANALOG_VIDEO_OUTPUT).
            IncorrectRightsError: the license's rule for analog outputs is none that is known.
        """
        self.times_asked += 1
        rules = self.rules
        if rules is None:
            return []
        is_digital = OutputAttribute.DIGITAL in attributes
        if not is_digital and OutputAttribute.COMPRESSED in attributes:
            raise self._refusal("an analog output does not get compressed media")
        if self.action is Action.EXTRACT:
            raise self._refusal("the license hands nothing out")
        if self.action is Action.NO:
            if connector.is_internal:
                return []
            raise self._refusal("an output that does nothing with it is inside the machine")
        if OutputAttribute.BUS in attributes:
            return []
        if rules.digital_only > 1:
            raise IncorrectRightsError(f"the license's rule for analog outputs is {rules.digital_only}, not 0 or 1")
        if rules.digital_only and not is_digital:
            raise self._refusal("the license allows digital outputs only")
        return self._of_media(rules, attributes, connector, supported)

    def _of_media(
        self, rules: Policy, attributes: OutputAttribute, connector: Connector, supported: Collection[Schema]
    ) -> list[OutputSchema]:
        is_video = OutputAttribute.VIDEO in attributes
        if OutputAttribute.SOFTWARE in attributes:
            if connector is not Connector.UNKNOWN:
                raise self._refusal("an output of software has no connector")
            if Schema.CONSTRICTVIDEO in supported:
                return self._constriction(rules, supported) if is_video else []
            if Schema.CONSTRICTVIDEO_NOOPM not in supported:
                raise self._refusal("an output of software must be able to constrict pictures")
        if not is_video:
            return []
        if OutputAttribute.COMPRESSED in attributes:
            raise self._refusal("compressed pictures do not leave")
        protection = self._protection(rules, OutputAttribute.DIGITAL in attributes, connector, supported)
        return protection + self._constriction(rules, supported)

    def _protection(
        self, rules: Policy, is_digital: bool, connector: Connector, supported: Collection[Schema]
    ) -> list[OutputSchema]:
        is_cgms_a_required = rules.cgms_a >= _REQUIRED_CGMS_A
        if connector is Connector.UNKNOWN:
            if rules.hdcp or is_cgms_a_required:
                raise self._refusal("the license wants a protected connector, and this output's is unknown")
            return []
        if is_digital:
            return self._hdcp(rules.hdcp, supported)
        if connector is not Connector.VGA and not connector.is_analog_tv:
            raise OutputNotAllowedError(
                f"an analog video output on {connector.name} is not known",
                hresult=HResult.MF_E_ITA_UNRECOGNIZED_ANALOG_VIDEO_OUTPUT,
            )
        if rules.hdcp:
            raise self._refusal("an analog output has no HDCP, which the license wants")
        if connector is Connector.VGA or not rules.cgms_a:
            if is_cgms_a_required:
                raise self._refusal("VGA cannot carry CGMS-A, which the license wants")
            return []
        if is_cgms_a_required and Schema.CGMSA not in supported:
            raise self._refusal("the license wants CGMS-A, which this output does not have")
        return [self._schema(Schema.CGMSA, CGMSA_VALUES[rules.cgms_a], best_effort=not is_cgms_a_required)]

    def _hdcp(self, wanted: int, supported: Collection[Schema]) -> list[OutputSchema]:
        if not wanted:
            return []
        if Schema.HDCP_WITH_TYPE_ENFORCEMENT in supported:
            return [self._schema(Schema.HDCP_WITH_TYPE_ENFORCEMENT, wanted)]
        if wanted == 1 and Schema.HDCP in supported:
            return [self._schema(Schema.HDCP, 1)]
        kind = "HDCP" if wanted == 1 else "HDCP of type 1"
        raise self._refusal(f"the license wants {kind}, which this output does not have")

    def _constriction(self, rules: Policy, supported: Collection[Schema]) -> list[OutputSchema]:
        if not rules.pixels:
            return []
        for kind in _CONSTRICTING:
            if kind in supported:
                return [self._schema(kind, rules.pixels)]
        raise self._refusal(f"the license allows pictures of {rules.pixels} pixels, and this output cannot scale down")

    def _schema(self, kind: Schema, value: int, *, best_effort: bool = False) -> OutputSchema:
        return OutputSchema(kind, value, self.originator_id, best_effort)

    def _refusal(self, why: str) -> OutputNotAllowedError:
        return OutputNotAllowedError(
            f"this output may not {self.action.value} the stream: {why}",
            remedy="another output, or a license that asks less of outputs",
        )


def constricted(width: int, height: int, pixels: int) -> tuple[int, int]:
    """The size of a picture that has at most `pixels` (0: any number), its aspect kept, in even numbers.

    One that is small enough already stays as it is.
    """
    if not pixels or width * height <= pixels:
        return width, height
    scale = math.sqrt(pixels / (width * height))
    # Even numbers, as chroma planes of half the size want; both rounded down, so that the product stays below.
    wide, high = max(2, int(width * scale) & ~1), max(2, int(height * scale) & ~1)
    return max(2, min(wide, pixels // high) & ~1), max(2, min(high, pixels // wide) & ~1)
