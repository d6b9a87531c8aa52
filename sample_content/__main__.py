"""`python -m sample_content [FOLDER] [--only NAME]`: make the samples, one line for each file.

The default folder is build/sample.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from drm.errors import DRMError, ExitCode
from sample_content.maker import make_samples
from sample_content.recipes import RECIPES


def main() -> int:
    """Make samples as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sample_content", description="Make the sample files.")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/sample"))
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=", ".join(RECIPES))
    told = parser.parse_args()
    try:
        for sample in make_samples(told.folder, told.only):
            state = "made" if sample.was_made else "there"
            print(f"{sample.path}  {sample.scheme or 'clear'}  {sample.path.stat().st_size} bytes  {state}")
    except DRMError as error:
        print(error.render(), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.UNEXPECTED
    return ExitCode.GOOD


if __name__ == "__main__":
    sys.exit(main())
