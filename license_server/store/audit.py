"""What was issued and refused, to whom, and what operators did: a row for each, never with a key or a token.

Queued, a row costs a request next to nothing: a thread writes what has gathered every 50 ms, and what does not fit is
counted. In sync mode the row is committed before the answer leaves, so that nothing that was answered goes unrecorded.
"""

from __future__ import annotations

import itertools
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

import sqlalchemy as sa
from sqlalchemy import event

from drm.keys import KeyId
from license_server.decisions import Decision
from license_server.metrics import ACTIONS, Metrics
from license_server.store.schema import audit

__all__ = ["LAST_ROW", "Audit", "AuditMode", "AuditRow", "RowKind", "audit_rows", "enter_log", "record_admin_action"]

logger = logging.getLogger(__name__)

LAST_ROW: Final = 2**63 - 1
"""The largest id that databases give a row."""

_MOST: Final = 20_000  # rows that wait
_BATCH: Final = 5_000
_ROWS: Final = 500  # of one statement: databases bound its parameters
_LOCK: Final = int.from_bytes(b"clearkey")  # the name of an advisory lock in PostgreSQL
_PAUSE: Final = 0.05  # seconds
_ISSUED: Final = frozenset({"issued", "sealed", "registered"})

_Row: TypeAlias = tuple[float, str, str, int, str, str, str, str, str, int]  # the columns after the id
_COLUMNS: Final = tuple(column.name for column in audit.columns if column.name != "id")


class AuditMode(StrEnum):
    """How decisions are written down."""

    QUEUED = "queued"
    SYNC = "sync"
    OFF = "off"


class RowKind(StrEnum):
    """What a row tells of."""

    ISSUED = "issued"
    REFUSED = "refused"
    DEED = "done"  # by an operator: nobody was refused anything

    @classmethod
    def of(cls, action: str, code: str) -> RowKind:
        """By the action first: only what clients asked for was issued or refused."""
        if action not in ACTIONS:
            return cls.DEED
        return cls.ISSUED if code in _ISSUED else cls.REFUSED


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One decision, or one deed of an operator (status 0)."""

    id: int
    at: float  # seconds since the epoch
    action: str
    client: str
    status: int
    code: str
    kids: str
    subject: str
    token_id: str
    device_id: str
    microseconds: int


class Audit:
    """Writes the audit log of one process. Safe for several threads."""

    def __init__(self, engine: sa.Engine, mode: AuditMode, metrics: Metrics | None = None) -> None:
        self._engine = engine
        self._mode = mode
        self._metrics = metrics
        self._waiting: queue.SimpleQueue[_Row | None] = queue.SimpleQueue()
        self._insert = f"INSERT INTO audit ({', '.join(_COLUMNS)}) VALUES "  # noqa: S608 - our own names
        mark = "%s" if engine.dialect.name == "postgresql" else "?"
        self._row = f"({', '.join([mark] * len(_COLUMNS))})"
        self._writer: threading.Thread | None = None
        if mode is AuditMode.SYNC and engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _on_the_disk)
        if mode is AuditMode.QUEUED:
            self._writer = threading.Thread(target=self._write_on, name="audit", daemon=True)
            self._writer.start()

    def record(self, action: str, client: str, decision: Decision, at: float, seconds: float) -> None:
        """Write a decision down. In sync mode, raises whatever the database raises: then it must not be answered."""
        if self._mode is AuditMode.OFF:
            return
        row: _Row = (
            at,
            action,
            client[:64],
            decision.status,
            decision.code,
            " ".join([kid.hex for kid in decision.kids]),
            decision.subject,
            decision.token_id,
            decision.device_id,
            int(seconds * 1e6),
        )
        if self._mode is AuditMode.SYNC:
            self._write([row])
        elif self._waiting.qsize() < _MOST:
            self._waiting.put(row)
        else:
            self._drop(1)

    def close(self, timeout: float = 5.0) -> None:
        """Write what waits."""
        if self._writer is not None:
            self._waiting.put(None)
            self._writer.join(timeout)

    def _write_on(self) -> None:
        goes_on = True
        while goes_on:
            rows = [self._waiting.get()]
            time.sleep(_PAUSE)
            while len(rows) < _BATCH and not self._waiting.empty():
                rows.append(self._waiting.get())
            goes_on = None not in rows
            batch = [row for row in rows if row is not None]
            try:
                if batch:
                    self._write(batch)
            except sa.exc.SQLAlchemyError as error:
                self._drop(len(batch))
                logger.error("%d audit rows are lost: %s", len(batch), type(error).__name__)  # noqa: TRY400 - no rows

    def _write(self, rows: list[_Row]) -> None:
        # Many rows in one statement, by the driver itself: a statement for each row would take the interpreter back for
        # each row, and requests wait for it.
        with self._engine.begin() as connection:
            enter_log(connection)
            for first in range(0, len(rows), _ROWS):
                part = rows[first : first + _ROWS]
                insert = self._insert + ", ".join([self._row] * len(part))
                connection.exec_driver_sql(insert, tuple(itertools.chain.from_iterable(part)))

    def _drop(self, rows: int) -> None:
        if self._metrics is not None:
            self._metrics.count_dropped(rows)


def _on_the_disk(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")  # and not only with the operating system


def enter_log(connection: sa.Connection, *, alone: bool = False) -> None:
    """Until the end of the transaction, be one of those who write the log, or read it while nobody writes.

    Several who write to PostgreSQL at once get their ids before they commit: whoever read the later ids first would
    never come back for the earlier ones. SQLite has one writer at a time.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}({_LOCK})")


def record_admin_action(
    engine: sa.Engine,
    action: str,
    code: str,
    who: str,
    kids: Iterable[KeyId] = (),
    *,
    client: str = "operator",
    token_id: str = "",
    device_id: str = "",
) -> None:
    """Write down what an operator did with a store, before anybody is told that it is done."""
    row = {
        "at": time.time(),
        "action": action,
        "client": client[:64],
        "status": 0,
        "code": code,
        "kids": " ".join(kid.hex for kid in kids),
        "subject": who[:256],
        "token_id": token_id,
        "device_id": device_id,
        "microseconds": 0,
    }
    with engine.begin() as connection:
        enter_log(connection)
        connection.execute(audit.insert(), row)


def audit_rows(engine: sa.Engine, *, after: int = 0, most: int = 100) -> list[AuditRow]:
    """Return the first rows whose id is larger than `after`. Whoever reads on from the last one misses none.

    `after` is at most `LAST_ROW`.
    """
    query = sa.select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(most)
    with engine.connect() as connection:
        enter_log(connection, alone=True)
        return [AuditRow(*row) for row in connection.execute(query)]
