"""Every error reaches the other process as what it is, with all that it says; and each says what to do."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

import drm.trust.errors
from drm.errors import (
    DRMError,
    EnableRequiredError,
    ErrorRecord,
    PolicyChangedError,
    UpdateHttpError,
    error_classes,
    error_from_record,
)
from drm.hresult import HResult
from drm.rights.output_policy import OutputPolicy
from drm.rights.policy import Action
from drm.wire.channel import app_channel
from drm.wire.messages import EnablerFailed, Raised

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"


def written_codes() -> dict[str, str]:
    """Class by code, as the source has them: whoever writes one must see it in every list below."""
    found = {"E-UNEXPECTED": "DRMError"}
    for folder in ("drm", "ita", "license_server", "player", "sample_content"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                for word in node.keywords if isinstance(node, ast.ClassDef) else ():
                    if word.arg == "code":
                        found[ast.literal_eval(word.value)] = node.name
    return found


CODES = written_codes()


def record_of(code: str) -> ErrorRecord:
    return ErrorRecord(code, 0xC00D1234, "what", "where", "seen", "maybe", "remedy", ("kid",))


# ------------------------------------------------------------------------------------------------ the boundary
@pytest.fixture(scope="module")
def fresh() -> dict[str, list[str]]:
    """What a fresh interpreter, which imported the two files alone, makes of the record of each code."""
    program = PROGRAMS / "make_errors.py"
    ran = subprocess.run([sys.executable, program, *CODES], cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
                         capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
    found: dict[str, list[str]] = json.loads(ran.stdout)
    return found


def test_there_are_as_many_codes_as_one_expects() -> None:
    assert len(CODES) >= 77
    assert set(error_classes()) == set(CODES)


def test_each_code_comes_back_as_its_own_class_where_two_files_are_loaded(
    fresh: dict[str, list[str]],
) -> None:
    assert {code: made[0] for code, made in fresh.items() if code != "modules"} == CODES


def test_the_tree_is_cheap(fresh: dict[str, list[str]]) -> None:
    """Of drm it needs the HRESULTs and what metadata says of components; one-shot decryption loads it when it fails."""
    ours = {name for name in fresh["modules"] if name.partition(".")[0] in {"drm", "ita", "player", "license_server"}}
    trust = {"drm.trust", "drm.trust.errors", "drm.trust.renewal"}
    assert ours == {"drm", "drm.errors", "drm.hresult", "drm.readable"} | trust


@pytest.fixture(scope="module")
def worker() -> Iterator[socket.socket]:
    """The application's end of a channel; at the other one is a process with the worker's messages, and no more."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(20)
    command = [sys.executable, str(PROGRAMS / "answer_errors.py"), str(theirs.fileno())]
    process = subprocess.Popen(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, pass_fds=[theirs.fileno()])
    theirs.close()
    with ours:
        yield ours
    assert process.wait(20) == 0


@pytest.mark.parametrize("code", CODES)
def test_a_code_goes_to_the_worker_and_comes_back_whole(worker: socket.socket, code: str) -> None:
    channel = app_channel(worker)
    channel.send(EnablerFailed(1, 1, record_of(code)))
    answer = channel.receive()
    assert answer is not None
    message, _ = answer
    assert isinstance(message, Raised)
    there = message.error  # what the worker's own error says of itself
    assert there == msgspec.structs.replace(record_of(code), where=f"where, as {CODES[code]}")
    here = error_from_record(there)
    assert type(here) is error_classes()[code]
    assert type(here).__name__ == CODES[code]
    assert here.to_record() == there


def test_what_is_not_for_the_other_process_stays() -> None:
    """An activation and policies are objects of their own process; the rest of these errors crosses."""
    policies = (OutputPolicy(Action.PLAY, None, UUID(int=1)),)
    changed = PolicyChangedError("changed", policies, where="track 1")
    assert (changed.policies, changed.where) == (policies, "track 1")
    crossed = error_from_record(changed.to_record())
    assert isinstance(crossed, PolicyChangedError)
    assert (crossed.policies, crossed.where) == ((), "track 1")
    required = error_from_record(EnableRequiredError("first", enabler_activate=object(), remedy="ask").to_record())
    assert isinstance(required, EnableRequiredError)
    assert (required.enabler_activate, required.remedy) == (None, "ask")


def test_the_status_of_an_update_error_crosses() -> None:
    error = error_from_record(UpdateHttpError.of_status(404, "not there").to_record())
    assert isinstance(error, UpdateHttpError)
    assert (error.status, error.hresult) == (404, 0x80190194)
    assert UpdateHttpError("of another HRESULT", hresult=HResult.E_FAIL).status == 0


@pytest.mark.parametrize("code", ["", "E-NOBODY", "e-key-wrong", "E-KEY-WRONG\0"])
def test_an_unknown_code_is_a_plain_error(code: str) -> None:
    assert type(error_from_record(record_of(code))) is DRMError


# ------------------------------------------------------------------------------------------------ what they say
@pytest.mark.parametrize("code", CODES)
def test_each_class_says_what_it_means_and_what_to_do(code: str) -> None:
    kind = error_classes()[code]
    assert (kind.__doc__ or "").strip().endswith((".", "`."))
    assert "advice" in vars(kind), "that of its parent is about something else"
    assert kind.advice.endswith((".", "`.")), kind.advice


def test_no_two_say_the_same() -> None:
    kinds = error_classes().values()
    assert len({kind.advice for kind in kinds}) == len({kind.__doc__ for kind in kinds}) == len(kinds)


def test_there_is_advice_to_follow() -> None:
    """What it names is looked up in tests/interop/remedies/test_words.py."""
    assert drm.trust.errors.ComponentRevokedError.code in error_classes()
