"""Starts `tests.mutation.server` in a copied tree and lets it run tests there."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.mutation.tree import Tree

__all__ = ["Ended", "Runner", "running"]

_NICE = 10
# Plugins that the server loaded before are not rewritten, which changes nothing: they are not tests.
_QUIET = ("-q", "-x", "--no-header", "--tb=line", "-p", "no:xdist", "-W", "ignore::pytest.PytestAssertRewriteWarning")


@dataclass(frozen=True)
class Ended:
    """What a run of pytest came to."""

    code: int  # pytest's exit code; below 0 it was ended by a signal
    ended: str  # "exit", "signal", or "time" when it took too long
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        return self.code == 0

    @property
    def failed(self) -> str | None:
        """The test that failed, as far as the output says it."""
        found = [line for line in self.output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        return found[0].split(" - ")[0].split(maxsplit=1)[1] if found else None


class Runner:
    """One server process. Runs one pytest at a time."""

    def __init__(self, tree: Tree, server: subprocess.Popen[str]) -> None:
        self._tree = tree
        self._server = server
        self._log = tree.root / "build" / "run.log"
        self._log.parent.mkdir(exist_ok=True)

    def measure(self, tests: Sequence[str], modules: Sequence[str], *, wall: float) -> tuple[Ended, dict[str, Any]]:
        """Run `tests` as they are, and return what each one reached in `modules`, and its seconds, by test id."""
        output = self._log.with_suffix(".reach.json")
        output.unlink(missing_ok=True)
        told = json.dumps({"modules": list(modules), "output": str(output)})
        arguments = [word for word in _QUIET if word != "-x"] + ["-p", "tests.mutation.reach", *tests]
        ended = self._run(arguments, {"MUTATION_REACH": told}, cpu=0, wall=wall, measured=True)
        return ended, json.loads(output.read_text()) if output.exists() else {}

    def run(self, tests: Sequence[str], *, cpu: float, wall: float) -> Ended:
        """Run `tests` up to the first that fails. `cpu` and `wall`: seconds after which it is ended."""
        return self._run([*_QUIET, *tests], {}, cpu=cpu, wall=wall, measured=False)

    def _run(
        self, arguments: list[str], environment: dict[str, str], *, cpu: float, wall: float, measured: bool
    ) -> Ended:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"arguments": arguments, "environment": environment, "cpu": cpu, "wall": wall, "measured": measured,
                 "log": str(self._log)}  # fmt: skip
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            raise RuntimeError(f"the server of the runs ended with {self._server.wait(10)}")
        return Ended(**json.loads(answer), output=self._log.read_text(errors="replace"))


@contextmanager
def running(tree: Tree) -> Iterator[Runner]:
    """A server in `tree`, for as long as the block lasts."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
    with subprocess.Popen(
        ["nice", "-n", str(_NICE), str(tree.python), "-m", "tests.mutation.server"],
        cwd=tree.root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as server:  # fmt: skip
        try:
            yield Runner(tree, server)
        finally:
            with contextlib.suppress(BrokenPipeError):
                assert server.stdin is not None
                server.stdin.close()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
