"""What metadata says of an archive, where it contradicts itself; and the numbers by which a revocation is told."""

from __future__ import annotations

from uuid import UUID

import pytest

from drm.trust.entry import Entry, entry_of, target_path
from drm.trust.errors import MetadataError
from drm.trust.renewal import RevocationReason

CLASS = UUID("8f6c2d0a-54b7-4a0e-8c39-0f6e7a1d9b13")


def listed(length: int) -> Entry:
    point = "drm.components.null_sink.sink:NullSink"
    facts = {"clsid": str(CLASS), "name": "null-sink", "version": "1.0.0", "api": 1, "entry_point": point}
    return entry_of(target_path(CLASS, "1.0.0"), facts, "ab" * 32, length, ())


def test_an_archive_has_a_byte_and_at_most_16_mebibytes() -> None:
    """A length of nothing would be a component that is listed and that no copy can ever be."""
    assert [listed(length).length for length in (1, 16 << 20)] == [1, 16 << 20]
    for length in (-1, 0, (16 << 20) + 1):
        with pytest.raises(MetadataError, match=f"with {length} bytes"):
            listed(length)


def test_reasons_have_the_numbers_of_the_headers() -> None:
    """MFRR_COMPONENT_HASH_INFO.ulReason. Each is a bit of its own: a sum of two says what nobody meant."""
    assert {reason.name: reason.value for reason in RevocationReason} == {
        "USER_MODE_COMPONENT_LOAD": 0x1,
        "GRL_LOAD_FAILED": 0x10,
        "INVALID_GRL_SIGNATURE": 0x20,
        "GRL_ABSENT": 0x1000,
        "COMPONENT_REVOKED": 0x2000,
        "COMPONENT_CERT_REVOKED": 0x8000,
    }
