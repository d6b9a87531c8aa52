"""The decisions of an output policy: the table of GenerateRequiredSchemas, row by row, and what outputs make of it."""

from __future__ import annotations

import uuid

import pytest

from drm.errors import DRMError, LicenseMalformedError, OutputNotAllowedError
from drm.hresult import HResult
from drm.media import TrackInfo, TrackType
from drm.rights.authorities import SetPolicyResult
from drm.rights.output_policy import OutputPolicy, constricted
from drm.rights.output_schema import Connector, OutputAttribute, OutputSchema, Schema
from drm.rights.output_trust import OutputTrust
from drm.rights.policy import CONSTRICTED, Action, Policy, parse_policy, strictest

ORIGINATOR = uuid.UUID(int=7)
A, S, C = OutputAttribute, Schema, Connector
DIGITAL = A.DIGITAL | A.VIDEO
ANALOG = A.VIDEO
SOFTWARE = A.SOFTWARE | A.DIGITAL | A.VIDEO
TV = (C.SVIDEO, C.COMPOSITE, C.COMPONENT)
UNSUPPORTED = HResult.MF_E_POLICY_UNSUPPORTED
HDCPS = (S.HDCP, S.HDCP_WITH_TYPE_ENFORCEMENT)
OPM, NO_OPM = S.CONSTRICTVIDEO, S.CONSTRICTVIDEO_NOOPM


def policy(action: Action = Action.PLAY, **rules: int) -> OutputPolicy:
    return OutputPolicy(action, Policy(**rules), ORIGINATOR)


def decision(asked: OutputPolicy, attributes: A, connector: C, supported: tuple[S, ...]) -> object:
    try:
        schemas = asked.generate_required_schemas(attributes, connector, supported)
    except DRMError as error:
        return error.hresult
    assert {schema.originator_id for schema in schemas} <= {ORIGINATOR}
    return [(schema.schema_type, schema.configuration_data, schema.best_effort) for schema in schemas]


ROWS = [
    ("no key bound", OutputPolicy(Action.PLAY, None, ORIGINATOR), ANALOG | A.COMPRESSED, C.VGA, (), []),
    ("analog and compressed", policy(), ANALOG | A.COMPRESSED, C.VGA, (), UNSUPPORTED),
    ("analog sound and compressed", policy(), A.COMPRESSED, C.UNKNOWN, (), UNSUPPORTED),
    ("extract", policy(Action.EXTRACT), DIGITAL, C.HDMI, HDCPS, UNSUPPORTED),
    ("extract over a bus", policy(Action.EXTRACT), DIGITAL | A.BUS, C.PCI, HDCPS, UNSUPPORTED),
    *[("no action inside", policy(Action.NO, hdcp=2), DIGITAL, c, (), []) for c in C if c.is_internal],
    *[("no action outside", policy(Action.NO), DIGITAL, c, (), UNSUPPORTED) for c in C if not c.is_internal],
    ("bus", policy(hdcp=2, cgms_a=6, digital_only=1), A.BUS | ANALOG, C.PCI, (), []),
    ("digital only, analog", policy(digital_only=1), ANALOG, C.VGA, (), UNSUPPORTED),
    ("digital only, analog sound", policy(digital_only=1), A(0), C.UNKNOWN, (), UNSUPPORTED),
    ("digital only, digital", policy(digital_only=1), DIGITAL, C.HDMI, (), []),
    ("digital only of 2", policy(digital_only=2), DIGITAL, C.HDMI, (), HResult.MF_E_LICENSE_INCORRECT_RIGHTS),
    ("software that constricts", policy(hdcp=2), SOFTWARE, C.UNKNOWN, (OPM,), []),
    ("software that cannot", policy(), SOFTWARE, C.UNKNOWN, (), UNSUPPORTED),
    ("software without OPM", policy(), SOFTWARE, C.UNKNOWN, (NO_OPM,), []),
    ("software without OPM, HDCP", policy(hdcp=1), SOFTWARE, C.UNKNOWN, (NO_OPM,), UNSUPPORTED),
    *[("software with a connector", policy(), SOFTWARE, c, (OPM, NO_OPM), UNSUPPORTED) for c in (C.HDMI, C.PCI)],
    ("sound", policy(hdcp=2, cgms_a=6, constrict=True), A.DIGITAL, C.HDMI, (), []),
    ("compressed sound", policy(hdcp=2), A.DIGITAL | A.COMPRESSED, C.HDMI, (), []),
    ("sound of software", policy(hdcp=2), A.DIGITAL | A.SOFTWARE, C.UNKNOWN, (NO_OPM,), []),
    ("compressed pictures", policy(), DIGITAL | A.COMPRESSED, C.HDMI, HDCPS, UNSUPPORTED),
    ("unknown connector", policy(), DIGITAL, C.UNKNOWN, (), []),
    ("unknown connector, best effort", policy(cgms_a=3), DIGITAL, C.UNKNOWN, (), []),
    *[("unknown connector, HDCP", policy(hdcp=n), DIGITAL, C.UNKNOWN, HDCPS, UNSUPPORTED) for n in (1, 2)],
    *[("unknown connector, CGMS-A", policy(cgms_a=n), ANALOG, C.UNKNOWN, (S.CGMSA,), UNSUPPORTED) for n in (4, 5, 6)],
    ("nothing wanted", policy(), DIGITAL, C.HDMI, (), []),
    ("HDCP 1", policy(hdcp=1), DIGITAL, C.HDMI, (S.HDCP,), [(S.HDCP, 1, False)]),
    ("HDCP 1, both", policy(hdcp=1), DIGITAL, C.DVI, HDCPS, [(S.HDCP_WITH_TYPE_ENFORCEMENT, 1, False)]),
    ("HDCP 1, none", policy(hdcp=1), DIGITAL, C.HDMI, (S.CGMSA,), UNSUPPORTED),
    ("HDCP 2", policy(hdcp=2), DIGITAL, C.HDMI, HDCPS, [(S.HDCP_WITH_TYPE_ENFORCEMENT, 2, False)]),
    ("HDCP 2, plain", policy(hdcp=2), DIGITAL, C.HDMI, (S.HDCP,), UNSUPPORTED),
    *[("analog, unheard of", policy(), ANALOG, c, (), HResult.MF_E_ITA_UNRECOGNIZED_ANALOG_VIDEO_OUTPUT)
      for c in (C.HDMI, C.DVI, C.PCI)],
    *[("analog, HDCP", policy(hdcp=1), ANALOG, c, HDCPS, UNSUPPORTED) for c in (C.VGA, *TV)],
    *[("VGA, CGMS-A", policy(cgms_a=n), ANALOG, C.VGA, (S.CGMSA,), UNSUPPORTED) for n in (4, 5, 6)],
    *[("VGA, best effort", policy(cgms_a=n), ANALOG, C.VGA, (), []) for n in (0, 1, 2, 3)],
    *[(f"analog TV, {n}", policy(cgms_a=n), ANALOG, c, (S.CGMSA,), [(S.CGMSA, value, n < 4)])
      for c in TV for n, value in ((1, 1), (2, 3), (3, 4), (4, 1), (5, 3), (6, 4))],
    ("analog TV, best effort, none", policy(cgms_a=2), ANALOG, C.SVIDEO, (), [(S.CGMSA, 3, True)]),
    ("analog TV, required, none", policy(cgms_a=5), ANALOG, C.SVIDEO, (), UNSUPPORTED),
    ("constricted", policy(constrict=True), SOFTWARE, C.UNKNOWN, (NO_OPM,), [(NO_OPM, CONSTRICTED, False)]),
    ("constricted, OPM", policy(constrict=5000), SOFTWARE, C.UNKNOWN, (OPM, NO_OPM), [(OPM, 5000, False)]),
    ("constricted and HDCP", policy(constrict=True, hdcp=1), DIGITAL, C.HDMI, (S.HDCP, OPM),
     [(S.HDCP, 1, False), (OPM, CONSTRICTED, False)]),
    ("constricted, unable", policy(constrict=True), DIGITAL, C.HDMI, HDCPS, UNSUPPORTED),
    ("snapshot is as play", policy(Action.SNAPSHOT, hdcp=2), DIGITAL, C.HDMI, (S.HDCP,), UNSUPPORTED),
]  # fmt: skip


@pytest.mark.parametrize(("_name", "asked", "attributes", "connector", "supported", "found"), ROWS,
                         ids=[f"{row[0]}-{row[3].name}" for row in ROWS])  # fmt: skip
def test_the_decision_table(
    _name: str, asked: OutputPolicy, attributes: A, connector: C, supported: tuple[S, ...], found: object
) -> None:
    assert decision(asked, attributes, connector, supported) == found


# ------------------------------------------------------------------------------------------------ what outputs do
class TwoWays:
    """A policy that asks for one thing as best it can be had, and for another if it cannot."""

    def __init__(self, *, best_effort: bool = True) -> None:
        self._best_effort = best_effort

    def generate_required_schemas(self, *_output: object) -> list[OutputSchema]:
        return [
            OutputSchema(S.CGMSA, 1, ORIGINATOR, best_effort=self._best_effort),
            OutputSchema(S.ACP, 2, ORIGINATOR, fail_over=True),
        ]


@pytest.mark.parametrize(
    ("failing", "applied"),
    [((), [S.CGMSA]), ((S.CGMSA,), [S.ACP])],
    ids=["applied", "failed-over"],
)
def test_a_best_effort_that_fails_is_replaced_by_the_fail_over(failing: tuple[S, ...], applied: list[S]) -> None:
    tried = []

    def apply(schema: OutputSchema) -> None:
        tried.append(schema.schema_type)
        if schema.schema_type in failing:
            raise OutputNotAllowedError("planted")

    output = OutputTrust(Action.PLAY, ANALOG, C.SVIDEO, (S.CGMSA, S.ACP), apply)
    assert output.set_policy([TwoWays()]) is SetPolicyResult.APPLIED
    assert [schema.schema_type for schema in output.applied] == applied
    assert tried == [*failing, *applied]


def test_what_is_no_best_effort_and_fails_is_the_end() -> None:
    output = OutputTrust(Action.PLAY, ANALOG, C.SVIDEO, (S.ACP,))
    with pytest.raises(OutputNotAllowedError, match="CGMSA"):
        output.set_policy([TwoWays(best_effort=False)])


def test_an_output_is_told_of_its_stream() -> None:
    """An output of one sink serves sound and picture, whose rules differ."""
    output = OutputTrust(Action.PLAY)
    video = output.for_stream(TrackInfo(1, TrackType.VIDEO, "avc1", 30))
    audio = output.for_stream(TrackInfo(2, TrackType.AUDIO, "mp4a", 48000))
    audio.set_policy([policy(hdcp=2)])
    with pytest.raises(OutputNotAllowedError):
        video.set_policy([policy(hdcp=2)])
    video.set_policy([policy(constrict=True)])
    audio.set_policy([policy(constrict=True)])
    assert (video.constriction, audio.constriction) == (CONSTRICTED, 0)


# ------------------------------------------------------------------------------------------------ sizes and rules
@pytest.mark.parametrize(
    ("width", "height", "pixels", "size"),
    [
        (1280, 720, CONSTRICTED, (960, 540)),
        (720, 1280, CONSTRICTED, (540, 960)),
        (960, 540, CONSTRICTED, (960, 540)),
        (961, 541, CONSTRICTED, (961, 541)),
        (3840, 2160, CONSTRICTED, (960, 540)),
        (1_000_000, 2, CONSTRICTED, (260_000, 2)),
        (4096, 4096, 16, (4, 4)),
        (100, 100, 2500, (50, 50)),
        (200, 100, 1152, (48, 24)),
        (100, 200, 1152, (24, 48)),
        (1280, 720, 0, (1280, 720)),
    ],
)
def test_sizes_of_constricted_pictures(width: int, height: int, pixels: int, size: tuple[int, int]) -> None:
    assert constricted(width, height, pixels) == size


@pytest.mark.parametrize("rules", [{"hdcp": 3}, {"hdcp": -1}, {"cgms_a": 7}, {"digital_only": 2}, {"constrict": 0},
                                   {"play_duration": 0}, {"rental": -1}, {"min_revocation_list": -1}])  # fmt: skip
def test_rules_that_mean_nothing_make_a_license_unusable(rules: dict[str, int]) -> None:
    with pytest.raises(LicenseMalformedError):
        parse_policy(rules)


@pytest.mark.parametrize(
    ("new", "old", "is_stricter"),
    [
        ({}, {}, False),
        ({"hdcp": 1}, {}, True),
        ({"hdcp": 1}, {"hdcp": 2}, False),
        ({"cgms_a": 4, "hdcp": 1}, {"cgms_a": 3, "hdcp": 2}, True),
        ({"digital_only": 1}, {}, True),
        ({"constrict": True}, {}, True),
        ({"constrict": True}, {"constrict": 600_000}, True),
        ({"constrict": 600_000}, {"constrict": True}, False),
        ({"expires": 5}, {}, False),
    ],
)
def test_a_policy_is_stricter_when_any_rule_asks_more_of_outputs(new: dict, old: dict, is_stricter: bool) -> None:
    assert Policy(**new).is_stricter_than(Policy(**old)) is is_stricter


def test_the_strictest_policy_keeps_every_rule_of_all() -> None:
    one = Policy(actions=(Action.PLAY, Action.SNAPSHOT), hdcp=1, constrict=True, play_duration=9, min_revocation_list=3)
    two = Policy(actions=(Action.PLAY,), cgms_a=5, digital_only=1, constrict=600_000, rental=5, expires=7)
    assert strictest((one, two)) == strictest((two, one)) == Policy(
        actions=(Action.PLAY,), hdcp=1, cgms_a=5, digital_only=1, constrict=True, play_duration=9, rental=5, expires=7,
        min_revocation_list=3,
    )  # fmt: skip
