"""The table of system calls has a row for each call of the filter, and for no other."""

from drm.lockdown import seccomp
from tests.docs.system_calls import _CONDITIONS, KEPT, NEEDED, system_calls


def test_each_allowed_call_has_its_row_and_its_reason() -> None:
    assert not NEEDED.keys() & KEPT.keys()
    assert NEEDED.keys() | KEPT.keys() == set(seccomp._ALLOWED)
    assert _CONDITIONS.keys() == set(seccomp._JUDGED)
    rows = [line.split("`")[1] for line in system_calls() if line.startswith("| `")]
    assert rows == [*seccomp._ALLOWED, *seccomp._JUDGED]
