"""What `keys import` reads: a keys file in any form, and of a table also what each key is for."""

from __future__ import annotations

from dataclasses import dataclass, field

from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.formats import join_keys, keys_file_text, parse_keys_file
from drm.keyfile.table_formats import TableRow, is_table, table_rows
from drm.keys import ContentKey, KeyId
from license_server.store.keys import LAST_PERIOD, Place
from license_server.store.names import check_content, check_track

__all__ = ["PlacedKeys", "parse_placed_keys"]


@dataclass(frozen=True, slots=True)
class PlacedKeys:
    """Keys, and what they are for, as far as the file says."""

    keys: dict[KeyId, ContentKey]
    places: dict[KeyId, Place] = field(default_factory=dict)


def parse_placed_keys(data: bytes) -> PlacedKeys:
    """Read a keys file for a store. Raises KeysFileError, which names the line or entry."""
    text = keys_file_text(data)
    if not is_table(text):
        return PlacedKeys(parse_keys_file(data))
    parse_keys_file(data)  # whose errors say that it was read as a table
    rows = list(table_rows(text))
    places = {row.kid: place for row in rows if (place := _place(row)) != Place()}
    return PlacedKeys(join_keys((row.where, row.kid, row.key) for row in rows), places)


def _place(row: TableRow) -> Place:
    content, track, period = (row.cells.get(name) or None for name in ("content", "track", "period"))
    try:
        if content is not None:
            check_content(content)
        if track is not None:
            check_track(track)
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=row.where, maybe=error.maybe) from None
    if period is not None and not (period.isascii() and period.isdecimal() and int(period[:11]) <= LAST_PERIOD):
        raise KeysFileError(f"the period is no number from 0 to {LAST_PERIOD}", where=row.where)
    return Place(content, track, None if period is None else int(period))
