"""A fuzz run: inputs by number through the readers, under a limit of memory and of time, and what it came to."""

from __future__ import annotations

import gc
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.documents import document, read_document
from tests.fuzz.files import encrypt_one
from tests.fuzz.mutation import Seed, mutant
from tests.fuzz.targets import FILES, Read, read

ROOT = Path(__file__).parents[2]
READERS = tuple(str(ROOT / "drm" / part) for part in ("isobmff", "webm"))


class TooSlow(BaseException):
    """Not an Exception: no handler of the code under test may swallow it."""


@dataclass
class Limits:
    seconds: float = 2.0  # of processor time for one input
    memory: int = 64 << 20  # bytes that the process may grow by; a vector and its mutants are 0.2 MB at most
    total: float = 0.0  # seconds of wall time after which the run ends; 0: never


@dataclass
class Outcome:
    seed: int
    first: int
    inputs: int = 0
    past_the_head: int = 0  # moov, or Tracks, was read: the samples were what the mutation was about
    samples: int = 0  # that were read, all of them sound
    documents: int = 0  # licenses, keys files, manifests … beside the media
    documents_taken: int = 0
    encrypted: int = 0  # damaged clear files that went through the packager
    slowest: float = 0.0  # seconds of processor time
    slowest_index: int = 0
    peak_growth: int = 0  # bytes of resident memory above the start
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)
    traced: int = 0  # inputs whose edges were counted
    edges: int = 0  # line to line, within one function, in the readers
    lines: int = 0
    lines_in_all: int = 0

    def record(self) -> dict[str, Any]:
        return asdict(self)


def run(
    found: list[Seed], seed: int, first: int, count: int, limits: Limits, *, trace_every: int = 0, reader: Read = read
) -> Outcome:
    """Give `count` inputs of `seed`, from number `first`, to the readers. A finding never ends the run."""
    outcome = Outcome(seed, first)
    edges: set[tuple[CodeType, int, int]] = set()
    begin, resident = time.monotonic(), _resident()
    with _bounded(limits):
        for index in range(first, first + count):
            if limits.total and time.monotonic() - begin >= limits.total:
                break
            origin, data = mutant(found, seed, index)
            traced = bool(trace_every) and index % trace_every == 0
            if traced:
                sys.settrace(_tracer(edges))
            started = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, limits.seconds * (20 if traced else 1))
            try:
                past_the_head, samples = reader(origin, data, index)
                if reader is read:
                    _beside(outcome, seed, index)
                outcome.past_the_head += past_the_head
                outcome.samples += samples
            except (Exception, TooSlow) as error:  # noqa: BLE001 - whatever is no DRMError is what is looked for
                sys.settrace(None)
                outcome.findings.append(f"{_name_of(error, origin)} seed {seed} index {index}: {_told(error)}")
            finally:
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
                sys.settrace(None)
            spent = time.process_time() - started
            outcome.inputs += 1
            outcome.traced += traced
            if spent > outcome.slowest and not traced:
                outcome.slowest, outcome.slowest_index = spent, index
            if index % 256 == 0:
                outcome.peak_growth = max(outcome.peak_growth, _resident() - resident)
    outcome.seconds = time.monotonic() - begin
    outcome.edges = len(edges)
    reached = {(code, line) for code, _, line in edges}
    outcome.lines = len(reached)
    outcome.lines_in_all = _lines_in_all() if trace_every else 0
    return outcome


def _beside(outcome: Outcome, seed: int, index: int) -> None:
    """What comes beside the media: a document with every fourth input, a file to encrypt with one in `FILES`."""
    if index % 4 == 2:
        kind, data = document(seed, index)
        outcome.documents += 1
        outcome.documents_taken += read_document(kind, data)
    if index % FILES == 33:
        outcome.encrypted += 1
        encrypt_one(seed, index)


def _name_of(error: BaseException, origin: Seed) -> str:
    """What was being read: the traceback knows whether it was the media."""
    names = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    if "read_document" in names:
        return "a document beside it"
    return "a clear file beside it" if "encrypt_one" in names else origin.name


@contextmanager
def _bounded(limits: Limits) -> Iterator[None]:
    """A count that is believed before its bytes are there ends in a MemoryError; a loop, in TooSlow."""
    gc.collect()
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + limits.memory, before[1]))
    handler = signal.signal(signal.SIGVTALRM, _too_slow)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _too_slow(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlow


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _told(error: BaseException) -> str:
    trace, where = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(str(ROOT)):
            where = f"{Path(code.co_filename).relative_to(ROOT)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}: {str(error)[:120]} at {where}"


# ------------------------------------------------------------------------------------------------ edges
def _tracer(edges: set[tuple[CodeType, int, int]]) -> Any:
    def outer(frame: FrameType, event: str, argument: object) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(READERS):
            return None
        last = frame.f_lineno

        def inner(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal last
            if event == "line":
                edges.add((code, last, frame.f_lineno))
                last = frame.f_lineno
            return inner

        return inner

    return outer


def _lines_in_all() -> int:
    """Lines inside the functions of the readers, their first (`def`) left out: what could have been reached."""
    total = 0
    for folder in READERS:
        for path in Path(folder).glob("*.py"):
            waiting = [compile(path.read_text(), str(path), "exec")]
            while waiting:
                code = waiting.pop()
                waiting += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
                if code.co_flags & 0x2:  # CO_NEWLOCALS: a function, not a module or a class
                    total += len({line for _, _, line in code.co_lines() if line}) - 1
    return total
