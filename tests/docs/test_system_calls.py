"""The table of system calls has a row for each way through the filter, and no other."""

from drm.lockdown import seccomp
from tests.docs.system_calls import CALLS, RUNS


def test_each_way_through_the_filter_has_its_row_and_its_run() -> None:
    assert {call.name for call in CALLS} == {*seccomp._ALLOWED, *seccomp._JUDGED}
    assert {call.run for call in CALLS} == set(RUNS)
    assert len({call[:1] + call[3:] for call in CALLS}) == len(CALLS)
    for name, values in (("prctl", seccomp._PRCTL_OPTIONS), ("fcntl", seccomp._FCNTL_COMMANDS)):
        assert {call.value for call in CALLS if call.name == name} == set(values)
