"""Runs pytest over and over in a copy of the tree: a process that has the libraries loaded, and forks for each run.

It loads nothing of ours, so each child imports what is on disk at that moment. Talks JSON, a line each way:
`Order` in, `Ended` out. Started by `tests.mutation.runs`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

__all__ = ["main"]

# What most tests import of others, and imports without starting a thread. What is not installed is left out.
_LIBRARIES = ("pytest", "_pytest.assertion.rewrite", "hypothesis", "hypothesis.strategies", "pytest_timeout", "av",
              "cryptography.hazmat.primitives.ciphers.aead", "cryptography.hazmat.primitives.asymmetric.ed25519",
              "Crypto.Cipher.AES", "msgspec", "requests", "flask", "sqlalchemy.orm", "sqlalchemy.dialects.sqlite",
              "alembic.command", "joserfc.jwt", "click", "rich.console", "tuf.api.metadata", "tuf.ngclient",
              "tuf.repository", "limits.strategies", "prometheus_client", "jsonschema", "numpy")  # fmt: skip


def main() -> None:
    """Serve until standard input ends."""
    orders, answers = sys.stdin, os.fdopen(os.dup(1), "w")
    sys.path.insert(0, str(Path.cwd()))
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    for line in orders:
        answers.write(json.dumps(_run(json.loads(line))) + "\n")
        answers.flush()


def _run(order: dict[str, Any]) -> dict[str, Any]:
    """One pytest in a child, in a session of its own that ends with it."""
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(order)
    ended, status = "", 0
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - begin > order["wall"]:
            ended = "time"
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            break
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)  # what it has left behind
    code = -1 if ended else os.waitstatus_to_exitcode(status)
    if code == -signal.SIGXCPU:
        ended = "time"
    return {"code": code, "ended": ended or ("signal" if code < 0 else "exit"), "seconds": time.monotonic() - begin}


def _child(order: dict[str, Any]) -> None:
    """Never returns."""
    code = 70
    try:
        os.setsid()
        output = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, nothing), (1, output), (2, output)):
            os.dup2(source, target)
        os.environ.update(order["environment"])
        sys.dont_write_bytecode = order["measured"] is False
        if sys.dont_write_bytecode:
            os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
            limit = int(order["cpu"]) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, mode) for number, mode in enumerate("rww"))
        import pytest

        code = int(pytest.main(order["arguments"]))
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - nothing else will say it
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
