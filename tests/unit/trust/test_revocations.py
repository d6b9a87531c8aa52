"""The revocation list: what matches, what is refused, and what may stand in whose place."""

import contextlib
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.errors import TrustError
from drm.trust.errors import ListFormatError, RevocationListError
from drm.trust.freshness import GRACE, Freshness, freshness, trusted_now
from drm.trust.revocations import MAX_LIST, parse_revocations
from drm.trust.versions import version_key

CLASS = "8f6c2d0a-54b7-4a0e-8c39-0f6e7a1d9b13"
OTHER = "00000000-0000-4000-8000-000000000001"
HASH, KEY = "ab" * 32, "cd" * 32
ISSUED = "2026-03-01T12:00:00Z"


def entry(**members: object) -> dict[str, object]:
    return {"id": "R-1-1", "reason": "flaw", **members}


def document(*entries: dict[str, object], **members: object) -> bytes:
    return json.dumps({"format": 1, "version": 1, "issued": ISSUED, "entries": list(entries), **members}).encode()


MATCHES = [
    (entry(sha256=[HASH]), OTHER, "9.9", HASH, (), True),
    (entry(sha256=[HASH]), CLASS, "1.0.0", "ef" * 32, (), False),
    (entry(clsid=CLASS, versions=["1.0.0"]), CLASS, "1.0.0", "", (), True),
    (entry(clsid=CLASS, versions=["1.0.0"]), CLASS, "1.0", "", (), True),  # one version in two spellings
    (entry(clsid=CLASS, versions=["1.0.0"]), CLASS, "1.0.1", "", (), False),
    (entry(clsid=CLASS, versions=["1.0.0"]), OTHER, "1.0.0", "", (), False),
    (entry(clsid=CLASS, below="1.10"), CLASS, "1.9.9", "", (), True),  # numbers, not text
    (entry(clsid=CLASS, below="1.10"), CLASS, "1.10.0", "", (), False),
    (entry(clsid=CLASS, below="1.10"), OTHER, "1.0", "", (), False),
    (entry(keyid=KEY), OTHER, "1.0", "", ("11" * 32, KEY), True),
    (entry(keyid=KEY), OTHER, "1.0", "", ("11" * 32,), False),
    (entry(clsid=CLASS, versions=["3.0"], sha256=[HASH]), OTHER, "1.0", HASH, (), True),  # any one matcher suffices
]


@pytest.mark.parametrize(("said", "class_id", "version", "sha256", "key_ids", "is_revoked"), MATCHES)
def test_an_entry_revokes_what_it_names_and_nothing_else(said, class_id, version, sha256, key_ids, is_revoked):
    revocations = parse_revocations(document(said))
    found = revocations.find(UUID(class_id), version_key(version), sha256, key_ids)
    assert (found is not None) == is_revoked


REFUSED = {
    "not JSON": b"{",
    "not an object": b"[]",
    "deep": b'{"format":1,"version":1,"issued":"' + ISSUED.encode() + b'","entries":[],"x":' + b"[" * 100_000,
    "no number": json.dumps({"format": 1, "issued": ISSUED, "entries": []}).encode(),
    "number 0": document(version=0),
    "number as text": document(version="1"),
    "a date without a zone": document(issued="2026-03-01T12:00:00"),
    "no matcher": document(entry()),
    "class id alone": document(entry(clsid=CLASS)),
    "only a matcher of the future": document(entry(signer="x")),
    "versions of nobody": document(entry(versions=["1.0"])),
    "below of nobody": document(entry(below="1.0", sha256=[HASH])),
    "a version that is none": document(entry(clsid=CLASS, versions=["1"])),
    "below that is none": document(entry(clsid=CLASS, below="1.0b2")),
    "other digits": document(entry(clsid=CLASS, versions=["\u0661.\u0660"])),
    "half a hash": document(entry(sha256=[HASH[:62]])),
    "capital hash": document(entry(sha256=[HASH.upper()])),
    "unknown reason": document(entry(sha256=[HASH], reason="mood")),
    "unknown severity": document(entry(sha256=[HASH], severity="warn")),
    "one id twice": document(entry(sha256=[HASH]), entry(keyid=KEY)),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_a_list_that_makes_no_sense_is_refused_whole(data):
    with pytest.raises(RevocationListError) as refused:
        parse_revocations(data)
    assert refused.value.hresult == 0xC00D716A


def test_a_newer_format_is_told_from_damage():
    with pytest.raises(ListFormatError) as refused:
        parse_revocations(json.dumps({"format": 2, "anything": []}).encode())
    assert refused.value.hresult == 0xC00D716B


def test_a_list_over_the_limit_is_not_even_parsed():
    with pytest.raises(RevocationListError, match="bytes, more than"):
        parse_revocations(b" " * (MAX_LIST + 1))


def test_unknown_members_are_passed_over():
    revocations = parse_revocations(document(entry(sha256=[HASH], colour="red"), weather="fine"))
    assert revocations.entries[0].sha256 == (HASH,)


def test_the_digest_is_of_everything_but_the_date():
    digest = parse_revocations(document()).content_digest
    assert parse_revocations(document(issued="2026-04-01T00:00:00Z")).content_digest == digest
    assert parse_revocations(document(entry(keyid=KEY))).content_digest != digest
    # A member that is not known here is content all the same.
    assert parse_revocations(document(more=1)).content_digest != digest


def _changed(at: int, byte: int) -> bytes:
    sound = bytearray(document(entry(clsid=CLASS, versions=["1.0"], renewal={"version": "1.1"})))
    sound[at % len(sound)] = byte
    return bytes(sound)


@given(st.binary(max_size=200) | st.builds(_changed, st.integers(0, 400), st.integers(0, 255)))
def test_no_bytes_raise_anything_but_an_error_of_trust(data):
    with contextlib.suppress(TrustError):
        parse_revocations(data)


def test_freshness_grows_old_and_a_clock_set_back_does_not_make_it_young():
    end, later = datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC)
    assert freshness([later, end], end - timedelta(seconds=1)) is Freshness.FRESH
    assert freshness([later, end], end) is Freshness.STALE
    assert freshness([later, end], end + GRACE - timedelta(microseconds=1)) is Freshness.STALE
    assert freshness([later, end], end + GRACE) is Freshness.EXPIRED
    assert timedelta(days=14) == GRACE, "the days that the documentation gives"
    back = datetime(1999, 1, 1, tzinfo=UTC)
    assert trusted_now(back, None, issued=end) == end
    assert trusted_now(back, later, issued=end) == later
    assert trusted_now(later, end, issued=back) == later
