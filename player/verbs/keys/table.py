"""Keys as a table: CSV with a header, as spreadsheets and key services write it.

Columns are `kid` and `key`, and any of `content`, `track`, `period` and `check_value`; a key that its check value does
not name is refused. No message repeats a key.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.formats import join_keys
from drm.keys import ContentKey, KeyId
from license_server.store.contents import check_content, check_track
from license_server.store.keys import LAST_PERIOD, Place
from license_server.store.wrapping import check_value

__all__ = ["KeyTable", "is_table", "parse_table"]

_COLUMNS = frozenset({"kid", "key", "content", "track", "period", "check_value"})


@dataclass(frozen=True, slots=True)
class KeyTable:
    """Keys, and what they are for."""

    keys: dict[KeyId, ContentKey]
    places: dict[KeyId, Place]


def is_table(data: bytes) -> bool:
    """Whether the first line is the header of such a table."""
    head = data.partition(b"\n")[0].decode("utf-8-sig", "replace").strip().lower().split(",")
    return {"kid", "key"} <= {word.strip() for word in head}


def parse_table(data: bytes) -> KeyTable:
    """Read a table. Raises KeysFileError, which names the line."""
    try:
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")), strict=True)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        unknown = sorted(set(reader.fieldnames) - _COLUMNS)
        if unknown:
            raise KeysFileError(f"the table has columns that are not known: {', '.join(unknown)[:100]}", where="line 1")
        rows = [(f"line {reader.line_num}", row) for row in reader]
    except (UnicodeDecodeError, csv.Error):
        raise KeysFileError("the table of keys is not CSV in UTF-8") from None
    entries = list(_entries(rows))
    if not entries:
        raise KeysFileError("the table holds no key")
    places = {kid: place for _, kid, _, place in entries if place != Place()}
    return KeyTable(join_keys((where, kid, key) for where, kid, key, _ in entries), places)


def _entries(rows: list[tuple[str, dict[Any, Any]]]) -> Iterator[tuple[str, KeyId, ContentKey, Place]]:
    for where, row in rows:
        # The reader gathers what is too much under None, and gives None for what is missing.
        told = {name: value.strip() for name, value in row.items() if isinstance(value, str)}
        if None in row or "kid" not in told or "key" not in told:
            raise KeysFileError("the line has more or fewer columns than the header", where=where)
        try:
            kid, key = KeyId.parse(told["kid"]), ContentKey.parse(told["key"])
            place = _place(told)
        except InvalidArgumentError as error:
            raise KeysFileError(error.what, where=where, maybe=error.maybe) from None
        wanted = told.get("check_value", "").lower()
        if wanted and wanted != check_value(key):
            raise KeysFileError(
                f"the key of KID {kid} is not the one that its check value names",
                where=where,
                seen=f"the table says {wanted[:16]}, and the key's is {check_value(key)}",
                kids=(str(kid),),
            )
        yield where, kid, key, place


def _place(told: dict[str, str]) -> Place:
    content, track, period = (told.get(name) or None for name in ("content", "track", "period"))
    if content is not None:
        check_content(content)
    if track is not None:
        check_track(track)
    if period is not None and not (period.isascii() and period.isdecimal() and int(period[:11]) <= LAST_PERIOD):
        raise InvalidArgumentError(f"the period is no number from 0 to {LAST_PERIOD}")
    return Place(content, track, None if period is None else int(period))
