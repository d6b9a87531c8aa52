"""Metadata that lies, in front of a real locked worker: one answer, and nothing of it is taken."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest

from drm.class_ids import CLEARKEY_ITA
from drm.errors import TrustError, error_from_record
from drm.hresult import HResult
from drm.rights.enablers import EnableType
from drm.trust.authority.revocation_list import encode_list
from drm.trust.authority.staged_repository import StagedRepository
from drm.trust.renewal import parse_renewals
from drm.trust.revocations import Reason, Revocation
from drm.trust.snapshot import StoredTrust, TrustSnapshot, pack_snapshot, unpack_snapshot
from drm.trust.verifier import COMPONENTS, LIST_FILE
from drm.wire import messages as wire
from drm.wire.ring import sealed_memfd
from tests.fuzz.wire.test_decoders import mutant
from tests.fuzz.wire.test_hostile_application import INIT, Application
from tests.publisher import MARKED, Publisher

REFUSED, INVALID = HResult.MF_E_SIGNATURE_VERIFICATION_FAILED, HResult.MF_E_GRL_INVALID_FORMAT
MUTANTS = 300  # in front of the worker
DECODED = 4000  # of the decoder alone


@pytest.fixture
def worker() -> Iterator[Application]:
    """A locked worker that has verified nothing yet."""
    made = Application()
    yield made
    made.process.close()
    assert made.process.exit_code == 0, made.process.stderr
    assert "Traceback" not in made.process.stderr


def hand_over(worker: Application, snapshot: TrustSnapshot | bytes) -> wire.Returned | wire.Raised:
    """Have the worker verify this; its one answer."""
    data = snapshot if isinstance(snapshot, bytes) else pack_snapshot(snapshot)
    worker.calls += 1
    fd = sealed_memfd("components", data)
    worker.send(wire.LoadTrust(worker.calls, len(data)), fds=(fd,))
    os.close(fd)
    answer = worker.next()
    assert isinstance(answer, wire.Returned | wire.Raised), worker.process.stderr
    assert answer.call == worker.calls
    return answer


def is_taken(answer: wire.Returned | wire.Raised) -> bool:
    return isinstance(answer, wire.Returned) and answer.trust is not None


def hresult(answer: wire.Returned | wire.Raised) -> int:
    assert isinstance(answer, wire.Raised), "it was taken"
    return error_from_record(answer.error).hresult


# ------------------------------------------------------------------------------------------------ who signed
@pytest.fixture(scope="module")
def stranger() -> Publisher:
    """Another authority, of the same components."""
    return Publisher(another=True)


PARTS = ("timestamp", "snapshot", "targets", "components", "revocations")


@pytest.mark.parametrize("role", PARTS)
def test_a_part_that_somebody_else_signed_spoils_the_whole(
    publisher: Publisher, stranger: Publisher, worker: Application, role: str
) -> None:
    theirs = {f"{role}.json": stranger.files()[f"{role}.json"]}
    assert hresult(hand_over(worker, publisher.snapshot(publisher.files() | theirs))) == INVALID
    assert is_taken(hand_over(worker, publisher.snapshot()))


@pytest.mark.parametrize("part", ["timestamp.json", "snapshot.json", "components.json", "revocations.json", LIST_FILE])
def test_parts_of_two_moments_of_one_authority_do_not_make_a_whole(
    publisher: Publisher, worker: Application, part: str
) -> None:
    """Each is signed by the right key. The older one, and one that was signed with the very same number."""
    before = publisher.files()
    now = publisher.sign(_change("here"))
    there = publisher.sign(_change("there"))
    for other in (before, there):
        assert other[part] != now[part]
        assert hresult(hand_over(worker, publisher.snapshot(now | {part: other[part]}))) == INVALID
    for whole in (before, now):
        assert is_taken(hand_over(worker, publisher.snapshot(whole)))


def _change(text: str) -> Callable[[StagedRepository], None]:
    def change(repository: StagedRepository) -> None:
        entry = Revocation(id="a", reason=Reason.FLAW, text=text, sha256=("00" * 32,))
        repository.set_list(encode_list(2, repository._now(), (entry,)))
        with repository.edit_targets(COMPONENTS) as listed:
            listed.unrecognized_fields["said"] = text

    return change


def test_metadata_under_another_root_is_refused_and_so_is_metadata_under_none(
    publisher: Publisher, stranger: Publisher, worker: Application
) -> None:
    ours, theirs = publisher.snapshot(), stranger.snapshot()
    mixed = msgspec.structs.replace(ours, sources=(StoredTrust(publisher.files(), stranger.root),))
    assert hresult(hand_over(worker, mixed)) == INVALID
    unrooted = msgspec.structs.replace(ours, sources=(StoredTrust(publisher.files()),))
    assert hresult(hand_over(worker, unrooted)) == HResult.MF_E_GRL_ABSENT
    both = msgspec.structs.replace(ours, sources=(*ours.sources, mixed.sources[0]))
    assert hresult(hand_over(worker, both)) == INVALID, "one source that verifies does not carry the other"
    assert is_taken(hand_over(worker, msgspec.structs.replace(ours, sources=(*ours.sources, *theirs.sources))))


def test_an_authority_that_speaks_of_the_end_of_time_is_only_old(publisher: Publisher, worker: Application) -> None:
    """Anybody can make a root, so dates are not to be believed in either."""
    publisher.now = datetime(9999, 12, 20, tzinfo=UTC)
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    files = publisher.sign(lambda repository: repository.set_list(encode_list(2, last, ())), revocations=9)
    answer = hand_over(worker, publisher.snapshot(files))
    assert isinstance(answer, wire.Returned)
    assert answer.trust is not None
    assert answer.trust.freshness == "stale"


# ------------------------------------------------------------------------------------------------ what is missing
def test_a_needed_component_that_the_application_leaves_out_is_missed(
    publisher: Publisher, worker: Application
) -> None:
    whole = publisher.snapshot()
    sha256 = publisher.sha256(CLEARKEY_ITA)
    without = tuple(data for data in whole.archives if b"clearkey-ita" not in data[:400])
    assert len(without) == len(whole.archives) - 1
    answer = hand_over(worker, msgspec.structs.replace(whole, archives=without))
    assert hresult(answer) == REFUSED
    assert isinstance(answer, wire.Raised)
    assert answer.enabler is not None
    assert answer.enabler.type is EnableType.UPDATE_UNTRUSTED_COMPONENT
    (component,) = parse_renewals(answer.enabler.data).components
    assert (component.name, component.header_hash) == ("clearkey-ita", sha256)
    # An application that does not even say that it needs one gets a worker without it.
    assert is_taken(hand_over(worker, msgspec.structs.replace(whole, archives=without, needed=())))
    worker.send(wire.CreateObject(50, 0, CLEARKEY_ITA, INIT))
    assert error_from_record(worker.until(wire.Raised, call=50).error).hresult == REFUSED


# ------------------------------------------------------------------------------------------------ noise
def _altered_json(rng: random.Random, value: Any) -> Any:
    """Change one place of a document: another type, another number, a member less or twice."""
    nothing = (None, 0, -1, 1 << 64, 1e308, "", "9999-12-31T23:59:59Z", [], {}, [[]], "\u0000", True, "0" * 5000)
    if isinstance(value, dict) and value and rng.random() < 0.85:
        name = rng.choice(list(value))
        change = rng.random()
        if change < 0.1:
            return {key: each for key, each in value.items() if key != name}
        return value | {name: _altered_json(rng, value[name])}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        return [*value[:at], _altered_json(rng, value[at]), *value[at + 1 :], *rng.choice(((), value[at:]))]
    return rng.choice(nothing)


def _altered(rng: random.Random, whole: TrustSnapshot) -> bytes:
    """One lie in a sound snapshot."""
    (source,) = whole.sources
    names = list(source.files)
    name = rng.choice(names)
    archives = list(whole.archives)
    match rng.randrange(9):
        case 0:
            return mutant(rng, [pack_snapshot(whole)]) or b"\xc0"
        case 1 | 2 | 3:  # any document in any other form
            document = _altered_json(rng, json.loads(source.files[name]))
            source = msgspec.structs.replace(source, files=source.files | {name: json.dumps(document).encode()})
        case 4:  # bytes that are no document
            data = rng.choice((mutant(rng, [source.files[name]]), b"[" * 100_000, b"", b"\xff\xfe", bytes(9 << 20)))
            source = msgspec.structs.replace(source, files=source.files | {name: data})
        case 5:  # a file in another one's place, or under a name of its own
            other = rng.choice((*names, "root_history/2.root.json", "root_history/999999999.root.json", "../x", ""))
            source = msgspec.structs.replace(source, files=source.files | {other: source.files[name]})
        case 6:
            at = rng.randrange(len(archives))
            archives[at] = rng.choice((mutant(rng, archives), b"", archives[at][:40], archives[at] * 2))
        case 7:
            root = rng.choice((None, b"", b"{}", mutant(rng, [source.root or b""]), source.files["targets.json"]))
            source = msgspec.structs.replace(source, root=root)
        case _:
            moment = rng.choice((float("nan"), float("inf"), -1e300, 1e300, 2.53e11, -0.0))
            source = msgspec.structs.replace(source, refreshed=moment)
    sources = (source,) * rng.choice((1, 1, 1, 1, 2, 4))
    needed = rng.choice((whole.needed, (), (UUID(int=rng.getrandbits(128)),), whole.needed * 9))
    return pack_snapshot(TrustSnapshot(sources, tuple(archives), needed))


def test_any_snapshot_gets_one_answer_of_a_worker_that_has_none_yet_and_of_one_that_has(
    publisher: Publisher, worker: Application
) -> None:
    """No crash, no hang, no traceback, no second answer; and the worker is as good as before."""
    rng, whole = random.Random(5), publisher.snapshot()
    fresh = Application()
    try:
        assert is_taken(hand_over(worker, whole))
        taken = refused = 0
        for number in range(MUTANTS):
            data = _altered(rng, whole)
            with contextlib.suppress(TrustError):
                if number % 2:  # what nobody has is needed: it goes all the way, and stays a worker that has nothing
                    read = unpack_snapshot(data)
                    data = pack_snapshot(msgspec.structs.replace(read, needed=(*read.needed, UUID(int=1))))
            began = time.monotonic()
            answer = hand_over(fresh if number % 2 else worker, data)
            assert time.monotonic() - began < 5
            if isinstance(answer, wire.Raised):
                assert answer.error.what
                assert "Traceback" not in repr(answer.error)
                refused += 1
            else:
                assert number % 2 == 0
                taken += 1
        assert refused > MUTANTS // 2
        assert taken, "some of what is altered does not count"
        for each in (fresh, worker):
            assert is_taken(hand_over(each, whole))
    finally:
        fresh.process.close()
    assert fresh.process.exit_code == 0, fresh.process.stderr
    assert "Traceback" not in fresh.process.stderr


def test_a_mutated_snapshot_is_read_or_refused_at_once(publisher: Publisher) -> None:
    rng = random.Random(6)
    small = TrustSnapshot((StoredTrust({"a": b"1", "b": b"2"}, b"r", 1.0),), (b"x", b"y"), (MARKED,))
    seeds = [pack_snapshot(small), pack_snapshot(publisher.snapshot())[:3000]]
    began, refused = time.monotonic(), 0
    for _ in range(DECODED):
        try:
            read = unpack_snapshot(mutant(rng, seeds))
        except TrustError:
            refused += 1
        else:
            assert unpack_snapshot(pack_snapshot(read)) == read or "nan" in repr(read)
    assert DECODED // 2 < refused < DECODED
    assert time.monotonic() - began < 10
    assert unpack_snapshot(seeds[0]) == small
