"""One remedy that is followed: what goes wrong, what the error says to try, what is done then, and what holds.

Every line is a line of a shell, as a user types it; see `test_followed.py` for what lies in the folder where it runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ONE = "10101010101010101010101010101010:20202020202020202020202020202020"  # of picture and sound of one.mp4
VIDEO = "30303030303030303030303030303030:40404040404040404040404040404040"  # of the picture of two.mp4
AUDIO = "50505050505050505050505050505050:60606060606060606060606060606060"  # of its sound
WRONG = "10101010101010101010101010101010:99999999999999999999999999999999"
KID = ONE[:32]


@dataclass(frozen=True)
class Case:
    """`wrong` ends with `code` and says `words` (a text of the source); each line of `then` ends with 0."""

    words: str
    code: int
    wrong: str
    then: tuple[str, ...]
    before: tuple[str, ...] = ()
    server: str = ""  # options of a license server; URL is its address in every line
    path: str = ""  # the file of the source, where several have these words

    @property
    def name(self) -> str:
        """How the test is called."""
        return f"{self.words[:48]}-{self.wrong[:40]}"


@dataclass
class Cases:
    """The cases of a subject, in the order in which they are written."""

    found: list[Case] = field(default_factory=list)

    def __call__(
        self, code: int, wrong: str, words: str, *then: str, before: tuple[str, ...] = (), server: str = "",
        path: str = "",
    ) -> None:  # fmt: skip
        """Add one."""
        self.found.append(Case(words, code, wrong, then, before, server, path))
