"""The table of players in the documentation, made from the rows that were measured."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "watch-in-a-browser.md"
BEGINS, ENDS = "<!-- made by `make players` -->", "<!-- ends -->"
WORDS = {
    "manifest": "plays",
    "config": "with the license URL configured",
    "code": "with the license request made by the page",
    "keys": "with the keys in the page",
    "no": "no",
}


def table(rows: Iterable[Mapping[str, str]]) -> str:
    """A line for the forms of each version that come to the same: most of their trials, then those that differ."""
    answers: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in rows:
        told = WORDS[row["plays"]] + (f" (else: {row['cause']})" if row["cause"] else "")
        told = told.replace("no (else: ", "no (")
        answers[f"{row['player']} {row['version']}", row["form"]][f"{row['codec']} {row['scheme']}"] = told
    forms: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (player, form), told in answers.items():
        most = Counter(told.values()).most_common(1)[0][0]
        others = [f"{film}: {answer}" for film, answer in told.items() if answer != most]
        forms[player, "; ".join([most, *others])].append(f"`{form}`")
    lines = ["| player | form | from the manifest alone, or |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {player} | {', '.join(of)} | {told} |" for (player, told), of in forms.items())])


def written(text: str, rows: Iterable[Mapping[str, str]]) -> str:
    """The page with the table of these rows in it."""
    before, _, rest = text.partition(BEGINS)
    _, _, after = rest.partition(ENDS)
    return f"{before}{BEGINS}\n{table(rows)}\n{ENDS}{after}"
