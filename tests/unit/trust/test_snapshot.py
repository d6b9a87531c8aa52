"""What a worker takes from an application to verify: at most so much, whatever of it is too much."""

from __future__ import annotations

import pytest

from drm.errors import TrustError
from drm.trust.snapshot import StoredTrust, TrustSnapshot, pack_snapshot, unpack_snapshot

SOURCE = StoredTrust({"timestamp.json": b"{}"})


def files(count: int) -> StoredTrust:
    return StoredTrust({f"{number}.json": b"" for number in range(count)})


@pytest.mark.parametrize(
    "snapshot",
    [
        TrustSnapshot((SOURCE,)),
        TrustSnapshot((SOURCE,) * 4, (b"",) * 512),
        TrustSnapshot((files(1200), SOURCE)),
    ],
    ids=["one", "sources and archives", "files"],
)
def test_what_is_just_within_the_bounds_comes_back_whole(snapshot: TrustSnapshot) -> None:
    assert unpack_snapshot(pack_snapshot(snapshot)) == snapshot


@pytest.mark.parametrize(
    ("snapshot", "says"),
    [
        (TrustSnapshot(()), "0 sources"),
        (TrustSnapshot((SOURCE,) * 5), "5 sources"),
        (TrustSnapshot((SOURCE,), (b"",) * 513), "513 archives"),
        (TrustSnapshot((SOURCE, files(1201))), "more than 1200 files"),
    ],
    ids=["no source", "sources", "archives", "files"],
)
def test_one_thing_too_many_is_enough(snapshot: TrustSnapshot, says: str) -> None:
    """Each is a bound of its own: the worker would verify a thousand archives, or every source that is named."""
    with pytest.raises(TrustError, match=says):
        unpack_snapshot(pack_snapshot(snapshot))


def test_more_than_64_mebibytes_are_not_looked_at() -> None:
    with pytest.raises(TrustError, match="67108865 bytes, more than 67108864"):
        unpack_snapshot(bytes((64 << 20) + 1))
