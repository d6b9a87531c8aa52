"""`python -m benchmarks`: each claim of speed beside its peer, in one run. Writes build/bench/results.json.

A missed bar fails the run with `--strict` only: on a busy machine ratios are still fair, and no longer steady.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from benchmarks import decrypt_files, decrypt_speed, encrypt_files, license_server, playback, session, trust
from benchmarks.results import Ratio, write_results

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    parser.add_argument("--pairs", type=int, default=playback.PAIRS, help="turns of each side (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path("build", "bench"), help="where files and results go")
    options = parser.parse_args(arguments)
    measures: list[Callable[[], Ratio]] = [
        lambda: playback.run(options.folder, options.pairs),
        lambda: _decryption(options.folder),
    ]
    ratios = []
    for measure in measures:
        ratios.append(measure())
        print(ratios[-1].line(), flush=True)
    file_ratios, absent = decrypt_files.run(options.folder, options.pairs)
    ratios += file_ratios
    encrypt_ratios, not_encrypting = encrypt_files.run(options.folder, options.pairs)
    ratios += encrypt_ratios
    session_ratios, not_probing = session.run(options.folder, options.pairs)
    ratios += session_ratios
    for ratio in trust.run():
        ratios.append(ratio)
        print(ratio.line(), flush=True)
    ratios += license_server.run()
    absent = sorted({*absent, *not_encrypting, *not_probing}, key=str.lower)
    print(f"absent peers: {', '.join(absent) or 'none'}")
    write_results(options.folder / "results.json", ratios, absent)
    print(f"written: {options.folder / 'results.json'}")
    return int(options.strict and not all(ratio.is_met for ratio in ratios))


def _decryption(folder: Path) -> Ratio:
    """The lowest share that any video scheme reaches; sound, with its small samples, is told beside it."""
    figures = decrypt_speed.run(folder)
    cases = cast("dict[str, dict[str, float]]", figures["cases"])
    shares = {name: case["share_of_raw_ctr"] for name, case in cases.items()}
    lowest = min(share for name, share in shares.items() if name.startswith("video"))
    detail = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    return Ratio("decryption in session / raw AES-CTR", lowest, decrypt_speed.BAR, "at least", detail, figures)


if __name__ == "__main__":
    sys.exit(main())
