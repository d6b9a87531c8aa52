"""`python -m tests.conformance`: run the conformance tests and write docs/conformance.md."""

from __future__ import annotations

import sys

import pytest

from tests.conformance.table import PAGE


def main() -> int:
    """Return pytest's exit code; the page is written whatever it is, and says what failed."""
    folder = str(PAGE.parents[1] / "tests" / "conformance")
    code = pytest.main(["-q", f"--conformance-page={PAGE}", "-k", "test_mf_", folder, *sys.argv[1:]])
    print(f"written: {PAGE}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
