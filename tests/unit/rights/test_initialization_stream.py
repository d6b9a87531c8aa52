"""What sources tell a protection system of their tracks: the documented bytes, and each way of not being so."""

from __future__ import annotations

from struct import pack
from uuid import UUID

import pytest

from drm.errors import InvalidArgumentError
from drm.rights.initialization_stream import REMAINING_TRACKS, InitializationStream

SYSTEM = UUID("00112233-4455-6677-8899-aabbccddeeff")
HEAD = bytes.fromhex("33221100554477668899aabbccddeeff")  # a GUID in memory: its first three numbers little-endian


def stream(count: int, *records: tuple[int, bytes]) -> bytes:
    return HEAD + pack("<I", count) + b"".join(pack("<II", track, len(data)) + data for track, data in records)


def test_the_documented_bytes_are_read_and_written() -> None:
    data = stream(3, (1, b"one"), (REMAINING_TRACKS, b""), (7, b"seventh"))
    found = InitializationStream.parse(data)
    assert found == InitializationStream(SYSTEM, 3, ((1, b"one"), (REMAINING_TRACKS, b""), (7, b"seventh")))
    assert found.encode() == data
    assert InitializationStream.parse(stream(1)).records == ()


def test_a_track_has_its_own_record_or_that_of_the_rest() -> None:
    told = InitializationStream(SYSTEM, 3, ((REMAINING_TRACKS, b"rest"), (7, b"seventh")))
    assert [told.data_of(track) for track in (7, 8)] == [b"seventh", b"rest"]
    assert InitializationStream(SYSTEM, 1, ((7, b"seventh"),)).data_of(8) is None


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "at least 20 bytes, not 0"),
        (stream(1)[:-1], "at least 20 bytes, not 19"),
        (stream(0), "at least one track"),
        (stream(0, (1, b"one")), "at least one track"),
        (stream(1, (1, b""))[:-1], "ends inside a record, at byte 20"),
        (stream(2, (1, b"one"), (2, b""))[:-1], "ends inside a record, at byte 31"),
        (stream(1, (1, b"one"))[:-1], "the record of track 1 has 3 bytes, and 2 are left"),
        (stream(2, (1, b"a"), (1, b"b")), "two records of track 1"),
        (stream(1, (1, b"a"), (2, b"b")), "1 tracks has more records"),
    ],
)
def test_what_is_none_is_refused_by_what_is_wrong_with_it(data: bytes, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says):
        InitializationStream.parse(data)
