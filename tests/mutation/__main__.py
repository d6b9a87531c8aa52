"""Mutation testing: `make mutate`, or `make mutate ARGS="--modules ita cenc --sample 300 --seed 7"`.

Without modules, the whole of the groups that are marked so in groups.toml. Says for each module how many mutants were
killed, and each survivor: a test that is missing, or a row for equivalents.toml with its reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from tests.mutation.campaign import BUDGET, EQUIVALENT, KILLED, SURVIVED, TIME, UNREACHED, Campaign, chosen
from tests.mutation.groups import Group, read_equivalents, read_groups
from tests.mutation.runs import running
from tests.mutation.tree import copied_tree

__all__ = ["main"]

ROOT = Path(__file__).parents[2]
NOT_RUN = "not run"
ENOUGH = 0.95  # of the mutants that are not equivalent


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; 0 when enough were killed, 1 when not."""
    told = _parser().parse_args(arguments)
    modules = _modules(told.modules)
    folder = ROOT / "build" / "mutation"
    folder.mkdir(parents=True, exist_ok=True)
    tree = copied_tree(ROOT, folder / "tree")
    found = chosen(ROOT, modules, sample=told.sample, seed=told.seed)
    print(f"{len(found)} mutants; the state is kept in {told.state}", flush=True)
    outcomes: dict[str, Counter[str]] = {}
    ends = time.monotonic() + told.minutes * 60
    with running(tree) as runner:
        campaign = Campaign(tree, runner, Path(told.state), read_equivalents())
        for each in found:
            counted = outcomes.setdefault(each.module, Counter())
            if time.monotonic() >= ends and campaign.known(each) is None:
                counted[NOT_RUN] += 1
                continue
            outcome = campaign.outcome(each, told.seconds)["outcome"]
            counted[outcome] += 1
            if outcome in (SURVIVED, UNREACHED):
                mutant = each.mutant
                print(f"{each.module}:{mutant.line} {mutant.where} ({mutant.nth}) {outcome}: {mutant.kind}\n"
                      f"    {mutant.was}\n    {mutant.becomes}", flush=True)  # fmt: skip
    return _report(outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make mutate", description="Plant mistakes and see whether a test notices.")
    parser.add_argument(
        "--modules", nargs="+", metavar="GROUP|PATH", default=[], help="groups of groups.toml, or files"
    )
    parser.add_argument("--sample", type=int, default=0, help="so many mutants, drawn by --seed; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=BUDGET, help="of tests that one mutant is held against")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="after which no further mutant is run")
    parser.add_argument("--state", default=str(ROOT / "build" / "mutation" / "state.json"), help="where to go on")
    return parser


def _modules(named: list[str]) -> list[tuple[Group, str]]:
    """The modules that were asked for, by group or by path, each with its group."""
    groups = read_groups(ROOT)
    everything = [(group, module) for group in groups.values() for module in group.modules]
    if not named:
        return [(group, module) for group, module in everything if group.is_whole]
    unknown = set(named) - {name for group, module in everything for name in (group.name, module)}
    if unknown:
        sys.exit(f"neither a group nor a module of one: {', '.join(unknown)}; the groups are {', '.join(groups)}")
    return [(group, module) for group, module in everything if {group.name, module} & set(named)]


def _report(outcomes: dict[str, Counter[str]]) -> int:
    """Print a line for each module and the sum; return the exit code."""
    total: Counter[str] = Counter()
    print(f"\n{'module':44}{'mutants':>8}{'killed':>8}{'survived':>9}{'equivalent':>11}{'not run':>8}")
    for module, counted in outcomes.items():
        print(_row(module, counted))
        total += counted
    print(_row("all", total))
    killed, survived = total[KILLED] + total[TIME], total[SURVIVED] + total[UNREACHED]
    share = killed / (killed + survived) if killed + survived else 0.0
    print(f"{share:.1%} of those that were run and are not equivalent were killed; at least {ENOUGH:.0%} must be")
    return 0 if share >= ENOUGH else 1


def _row(name: str, counted: Counter[str]) -> str:
    killed, survived = counted[KILLED] + counted[TIME], counted[SURVIVED] + counted[UNREACHED]
    return f"{name:44}{counted.total():8}{killed:8}{survived:9}{counted[EQUIVALENT]:11}{counted[NOT_RUN]:8}"


if __name__ == "__main__":
    sys.exit(main())
