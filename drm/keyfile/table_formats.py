"""Keys as a table: CSV with a header, as spreadsheets and key services write it, after commas, semicolons or tabs.

Columns are `kid` and `key`, and any of `content`, `track`, `period` and `check_value`. A key that its check value does
not name is refused. What a key is for (content, track, period) is of use to a key store alone. A table without a header
is lines of KID,KEY to drm.keyfile.spellings. Pure. No message repeats a key.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drm.errors import InvalidArgumentError, KeysFileError
from drm.keyfile.spellings import KeyEntry
from drm.keys import ContentKey, KeyId

__all__ = ["TableRow", "is_table", "table_entries", "table_rows"]

_COLUMNS: Final = frozenset({"kid", "key", "content", "track", "period", "check_value"})
_ALSO: Final = {"key_id": "kid", "keyid": "kid", "content_key": "key", "contentkey": "key"}
_DELIMITERS: Final = ",;\t"


@dataclass(frozen=True, slots=True)
class TableRow:
    """A line of the table: where it stands, its key, and the other cells by column."""

    where: str
    kid: KeyId
    key: ContentKey
    cells: dict[str, str]


def is_table(text: str) -> bool:
    """Whether the first line that says anything is the header of such a table."""
    return _header(text) is not None


def table_entries(text: str) -> Iterator[KeyEntry]:
    """The keys of a table. Raises KeysFileError, which names the line."""
    for row in table_rows(text):
        yield row.where, row.kid, row.key


def table_rows(text: str) -> Iterator[TableRow]:
    """The lines of a table that has a header. Raises KeysFileError, which names the line."""
    delimiter = _header(text)
    assert delimiter is not None
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    columns: list[str] = []
    try:
        for cells in reader:
            where = f"line {reader.line_num}"
            if not any(map(str.strip, cells)) or cells[0].lstrip().startswith("#"):
                continue
            if columns:
                yield _row(columns, cells, where)
            else:
                columns = _columns(cells, where)
    except csv.Error:
        raise KeysFileError(
            "this is not CSV", where=f"line {reader.line_num}", maybe="a quotation mark that is not closed"
        ) from None


def _header(text: str) -> str | None:
    """What separates the columns, if there is a header; None: there is none."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            for delimiter in _DELIMITERS:
                names = {_column(cell.strip().strip('"')) for cell in line.split(delimiter)}
                if {"kid", "key"} <= names:
                    return delimiter
            return None
    return None


def _column(cell: str) -> str:
    name = cell.strip().lower().replace(" ", "_").replace("-", "_")
    return _ALSO.get(name, name)


def _columns(cells: list[str], where: str) -> list[str]:
    columns = list(map(_column, cells))
    for number, name in enumerate(columns, start=1):
        if name not in _COLUMNS:
            raise KeysFileError(
                f"column {number} is not known",
                where=where,
                remedy=f"columns are {', '.join(sorted(_COLUMNS))}: remove the others",
            )
        if columns.count(name) > 1:
            raise KeysFileError(f"there are two columns {name}", where=where)
    return columns


def _row(columns: list[str], cells: list[str], where: str) -> TableRow:
    if len(cells) != len(columns):
        raise KeysFileError("the line has more or fewer columns than the header", where=where)
    told = {name: cell.strip() for name, cell in zip(columns, cells, strict=True)}
    try:
        kid, key = KeyId.parse(told["kid"]), ContentKey.parse(told["key"])
    except InvalidArgumentError as error:
        raise KeysFileError(error.what, where=where, maybe=error.maybe, remedy=error.remedy) from None
    if told.get("check_value"):
        _check(told["check_value"].lower(), kid, key, where)
    return TableRow(where, kid, key, told)


def _check(wanted: str, kid: KeyId, key: ContentKey, where: str) -> None:
    from drm.keyfile.check_value import check_value  # noqa: PLC0415 - few tables have one, and it costs the import

    found = check_value(key)
    if wanted != found:
        raise KeysFileError(
            f"the key of KID {kid} is not the one that its check value names",
            where=where,
            seen=f"the key's check value is {found}, and the table has another",
            kids=(str(kid),),
        )
