"""Which methods of an application's objects go wrong, in which ways, and what a session must make of it."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["CASES", "HANGS", "HOW", "RAISES", "Case"]

RAISES: Final = ("MediaError", "SessionShutdownError", "PMPProcessDiedError", "OSError", "MemoryError", "SystemExit")
HOW: Final = (*RAISES, "hangs", "nonsense")
HANGS: Final = 8.0  # seconds: many times what a session waits for here

# What comes of it, beside a session that closes with 106 and shuts down:
CALL = "an exception of the call"
SET, STARTED, PAUSED, STOPPED, ERROR = 101, 103, 104, 105, 1  # this event, with an error
ENDED = 107  # no error at all: playback comes to its end
STANDS = 0  # no error, and no end: playback stands, as with a pipe that nobody reads, and can be stopped
REPORTED = 3  # E-MANAGER-BLOCKS is reported; closing ends the wait
WAITS = -1  # an answer is owed, maybe by a person: closing ends the wait


class Case(NamedTuple):
    """One method that goes wrong in one way."""

    kind: str  # of session: local or pmp
    whose: str
    method: str
    how: str
    outcome: object  # as above
    is_protected: bool

    def __str__(self) -> str:
        return f"{self.kind}-{self.whose}.{self.method}-{self.how}"


# whose, method, of protected content alone, outcome when it raises, when it hangs, of nonsense; None: not tried.
_ROWS: Final = (
    # What is asked on the application's own thread raises there; if it hangs, it is that thread which hangs.
    ("source", "characteristics", False, CALL, None, CALL),
    ("source", "duration", False, CALL, None, CALL),
    ("source", "set_pmp_host", True, CALL, None, ENDED),
    ("source", "get_input_trust_authority", True, CALL, None, CALL),
    ("source", "select", False, STARTED, STARTED, ENDED),
    ("source", "next_sample", False, ERROR, ERROR, ERROR),
    ("source", "read_into", False, ERROR, ERROR, None),
    ("source", "interrupt", False, ENDED, ENDED, ENDED),
    ("source", "on_pause", False, PAUSED, PAUSED, STANDS),
    ("source", "on_stop", False, STOPPED, STOPPED, STANDS),
    ("source", "on_shutdown", False, ENDED, ENDED, ENDED),
    ("sink", "is_rateless", False, STARTED, STARTED, ENDED),
    ("sink", "load", False, SET, SET, ENDED),
    ("sink", "output_trust_authorities", True, SET, SET, SET),
    ("sink", "open", False, SET, SET, ENDED),
    ("sink", "write", False, ERROR, STANDS, ENDED),
    ("sink", "finish", False, ERROR, ERROR, ERROR),
    ("sink", "close", False, ENDED, ENDED, ENDED),
    ("loader", "load_topology", False, SET, SET, SET),
    ("manager", "begin_enable_content", True, SET, REPORTED, WAITS),
    ("manager", "end_enable_content", True, SET, REPORTED, ENDED),
    ("enabler", "url", True, ENDED, ENDED, ENDED),  # it is asked for by those who send by hand
    ("enabler", "obtain", True, SET, WAITS, SET),
)


def _cases() -> list[Case]:
    found = []
    for whose, method, is_protected, raised, hung, nonsense in _ROWS:
        for kind in ("pmp",) if is_protected else ("local", "pmp"):
            outcomes = {"hangs": hung, "nonsense": nonsense}
            for how in HOW:
                outcome = outcomes.get(how, raised)
                if outcome is not None:
                    found.append(Case(kind, whose, method, how, outcome, is_protected))
    return found


CASES: Final = _cases()
