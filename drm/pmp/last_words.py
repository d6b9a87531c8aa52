"""How a worker that cannot serve any more says why: one error, as JSON, as the last line on stderr, and its exit code.

The application makes an error of it again (drm/launch/process.py). Runs in the worker, also without memory or a
channel.
"""

from __future__ import annotations

import sys
from typing import NoReturn

import msgspec

from drm.errors import DRMError

__all__ = ["last_words"]


def last_words(error: DRMError) -> NoReturn:
    """Write `error` and end this process with its exit code."""
    sys.stderr.buffer.write(b"\n" + msgspec.json.encode(error.to_record()) + b"\n")
    sys.stderr.flush()
    sys.exit(error.exit_code)
