"""`python -m tests.fuzz`: mutants of the vectors through the readers. Repeat one: --seed S --first N --count 1."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.fuzz.mutation import mutant, seeds
from tests.fuzz.run import ROOT, Limits, run
from tests.fuzz.targets import FILES

KEPT = ROOT / "build" / "fuzz"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--count", type=int, default=100_000, help="inputs")
    parser.add_argument("--seconds", type=float, default=2.0, help="of processor time for one input")
    parser.add_argument("--memory", type=int, default=64, help="MiB that the process may grow by")
    parser.add_argument("--trace-every", type=int, default=1000, help="count the edges of every Nth input; 0: of none")
    parser.add_argument("--json", type=Path, help="write the outcome here as well")
    told = parser.parse_args()
    os.nice(5)
    found = seeds()
    limits = Limits(told.seconds, told.memory << 20)
    outcome = run(found, told.seed, told.first, told.count, limits, trace_every=told.trace_every)
    for line in outcome.findings:
        index = int(line.split(" index ")[1].split(":")[0])
        KEPT.mkdir(parents=True, exist_ok=True)
        (KEPT / f"{told.seed}-{index}.bin").write_bytes(mutant(found, told.seed, index)[1])
        print(f"FINDING {line}")
    print(
        f"{outcome.inputs} inputs of seed {told.seed} from {told.first}, out of {len(found)} files, in "
        f"{outcome.seconds:.0f} s: {len(outcome.findings)} findings\n"
        f"{outcome.past_the_head} ({outcome.past_the_head / max(1, outcome.inputs):.1%}) went past moov or Tracks, "
        f"and gave {outcome.samples} samples\n"
        f"{outcome.documents} documents beside them ({outcome.documents_taken} taken), {outcome.encrypted} clear files "
        f"encrypted, one input in {FILES} decrypted to a file\n"
        f"slowest input {outcome.slowest * 1000:.0f} ms (number {outcome.slowest_index}), limit "
        f"{told.seconds * 1000:.0f} ms; resident memory grew by {outcome.peak_growth >> 10} KiB, limit "
        f"{told.memory} MiB of address space"
    )
    if told.trace_every:
        print(
            f"{outcome.edges} edges in {outcome.traced} of them; {outcome.lines} of {outcome.lines_in_all} lines in "
            "functions of drm/isobmff and drm/webm (encoders, which no reader calls, among them)"
        )
    if told.json:
        told.json.write_text(json.dumps(outcome.record(), indent=1) + "\n")
    return 1 if outcome.findings else 0


if __name__ == "__main__":
    sys.exit(main())
