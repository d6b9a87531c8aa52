"""Several who write to one store at the same time: nobody fails, and nobody misses what another one did."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from drm.keys import ContentKey, KeyId
from license_server.decisions import Decision
from license_server.packagers.key_server import Slot
from license_server.packagers.keys import StoredPackagerKeys
from license_server.store.audit import Audit, AuditMode, audit_rows, record_admin_action
from tests.unit.license_server.store_places import StorePlace


def at_once(*deeds: Callable[[], None]) -> None:
    """Do all of them in threads that begin together; what one of them raises fails the test."""
    begin = threading.Barrier(len(deeds))

    def run(deed: Callable[[], None]) -> None:
        begin.wait(10)
        deed()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_same_keys_are_added_once(store_place: StorePlace) -> None:
    keys = {KeyId(os.urandom(16)): ContentKey(os.urandom(16)) for _ in range(300)}
    backwards = dict(reversed(keys.items()))
    made: list[int] = []
    with store_place.opened() as store:
        at_once(*(lambda told=told: made.append(store.keys.add(told)) for told in (keys, backwards, keys, backwards)))
        assert sorted(made) == [0, 0, 0, 300]
        assert store.keys.count() == 300


def test_packagers_that_ask_in_another_order_do_not_wait_for_each_other(store_place: StorePlace) -> None:
    slots = [Slot("HD", period) for period in range(400)]
    with store_place.opened() as store:
        for content in ("one", "two", "three"):
            found: list[dict[Slot, tuple[KeyId, ContentKey]]] = []

            def ask(order: list[Slot], content: str = content, found: list = found) -> None:
                found.append(dict(zip(order, StoredPackagerKeys(store.keys).keys_of(content, order), strict=True)))

            at_once(lambda ask=ask: ask(slots), lambda ask=ask: ask(slots[::-1]))
            assert len(found) == 2
            assert found[0] == found[1]


def test_whoever_reads_the_audit_log_on_misses_no_row(store_place: StorePlace) -> None:
    """Batches take long to write, and single rows go in between: later ids must not be seen before earlier ones."""
    seen: list[int] = []
    decision = Decision(200, "application/json", b"")
    with store_place.opened() as store:
        audit = Audit(store.engine, AuditMode.QUEUED)
        written = threading.Event()

        def write_batches() -> None:
            for _ in range(15_000):
                audit.record("license", "here", decision, 0.0, 0.0)
            audit.close(30)
            written.set()

        def write_deeds() -> None:
            while not written.is_set():
                record_admin_action(store.engine, "admin", "done", "alice")

        def read_on() -> None:
            is_last = False
            while not is_last:
                is_last = written.is_set()
                while rows := audit_rows(store.engine, after=seen[-1] if seen else 0, most=5_000):
                    seen.extend(row.id for row in rows)

        at_once(write_batches, write_deeds, read_on)
        everything = [row.id for row in audit_rows(store.engine, most=1_000_000)]
    assert len(everything) > 15_000
    assert set(everything[:15_000]) <= set(seen)
    assert seen == everything[: len(seen)]
