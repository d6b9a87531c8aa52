"""`python -m tests.interop.media_foundation`: play scenarios, and say where the logs differ from what is listed."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.interop.media_foundation import pages, wine
from tests.interop.media_foundation.comparison import hunks
from tests.interop.media_foundation.judged import DIFFERENCES, breaches, known, of_kind, settled, updated
from tests.interop.media_foundation.logs import KINDS, product_logs
from tests.interop.media_foundation.scenarios import every


def main() -> int:
    """Return 0 when all is as listed, 1 when not, 2 when Wine's logs cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m tests.interop.media_foundation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="SCENARIO", help="these alone")
    parser.add_argument("--kind", choices=KINDS, help="sessions of this kind alone; with --update local ones count")
    parser.add_argument("--update", action="store_true", help="write differences.toml and the pages as it is now")
    parser.add_argument("--wine", action="store_true", help=f"first make Wine's logs anew, with Wine {wine.OLDEST}")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="leave the product's logs there")
    words = parser.parse_args()
    names = words.names or list(every())
    if unknown := [name for name in names if name not in every()]:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    if words.wine:
        try:
            print(f"made with {wine.rebuild(names)}")
        except wine.UnusableWineError as error:
            print(f"Wine's logs are left as they are: {error}", file=sys.stderr)
            return 2
    kinds = [words.kind] if words.kind else KINDS
    with tempfile.TemporaryDirectory(prefix="mf-clips-") as folder:
        clips = Path(folder)
        logs = {
            kind: settled(
                kind,
                product_logs(kind, names, clips),
                known(),
                lambda name, kind=kind: product_logs(kind, [name], clips)[name],
            )
            for kind in kinds
        }
    if words.logs:
        for kind, by_name in logs.items():
            (words.logs / kind).mkdir(parents=True, exist_ok=True)
            for name, log in by_name.items():
                (words.logs / kind / f"{name}.log").write_text(log, encoding="utf-8")
    listed = known()
    found = [
        f"{kind}: {line}" for kind in kinds for name in names for line in breaches(name, kind, logs[kind][name], listed)
    ]
    alike = [name for name in names if of_kind(name, "pmp") not in listed]
    for name in alike if len(kinds) > 1 else ():
        for hunk in hunks(logs["local"][name], logs["pmp"][name], waits_for_211=every()[name].waits_for_211):
            if hunk.is_near():
                continue
            found += [f"{name}: the two kinds of session differ", *(f"    local  {line}" for line in hunk.one),
                      *(f"    pmp    {line}" for line in hunk.other)]  # fmt: skip
    print(*found, sep="\n")
    if words.update:
        DIFFERENCES.write_text(updated(logs, listed), encoding="utf-8")
        pages.write()
    unjudged = sum(not each.because for rows in known().values() for each in rows)
    print(f"{len(names)} scenarios, {sum(map(len, known().values()))} differences listed, {unjudged} without a cause")
    return 1 if found or unjudged else 0


if __name__ == "__main__":
    sys.exit(main())
