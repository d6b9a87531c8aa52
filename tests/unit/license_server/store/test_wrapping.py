"""Keys at rest, byte for byte: what was written once must open for good."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from drm.errors import StorageError
from drm.keys import ContentKey, KeyId
from license_server.store.opening import open_store
from license_server.store.wrapping import Kek

# A row as it stood in `content_keys` when the form was fixed: KEK, its id, KID, key, and nonce with ciphertext and tag.
KEK = Kek(bytes(range(100, 132)))
KEK_ID = "bafc45f23289b00c"
KID = KeyId(bytes(range(16)))
KEY = ContentKey(bytes.fromhex("00112233445566778899aabbccddeeff"))
WRAPPED = bytes.fromhex("32333435363738393a3b3c3df8821c75a8219ad653340c669db31a29c9a7dad6aefb0beee5155264d91a6445")


def test_a_recorded_row_opens() -> None:
    assert KEK.id == KEK_ID
    assert KEK.unwrap(KID, WRAPPED) == KEY


def test_a_recorded_row_opens_in_a_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "keys.db", KEK) as store:
        store.keys.add({KID: ContentKey(bytes(16))})
        with store.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE content_keys SET wrapped = ?, kek_id = ?", (WRAPPED, KEK_ID))
        assert store.keys.get_many([KID])[KID].key == KEY


def test_what_is_wrapped_has_the_recorded_form() -> None:
    """Twelve bytes of nonce, then AES-256-GCM over the key, with a label and the KID as associated data."""
    one, two = KEK.wrap(KID, KEY), KEK.wrap(KID, KEY)
    assert len(one) == len(WRAPPED) == 12 + 16 + 16
    assert one[:12] != two[:12], "a nonce is never used twice"
    opened = AESGCM(KEK.secret).decrypt(one[:12], one[12:], b"clearkey content key 1 " + KID.value)
    assert opened == KEY.secret


@pytest.mark.parametrize("at", range(len(WRAPPED)))
def test_a_row_with_one_bit_changed_does_not_open(at: int) -> None:
    spoilt = bytearray(WRAPPED)
    spoilt[at] ^= 1
    with pytest.raises(StorageError, match="does not unwrap") as refused:
        KEK.unwrap(KID, bytes(spoilt))
    assert refused.value.kids == (str(KID),)


@pytest.mark.parametrize(
    ("kek", "kid", "wrapped"),
    [
        (Kek(bytes(32)), KID, WRAPPED),
        (KEK, KeyId(bytes(16)), WRAPPED),
        (KEK, KID, WRAPPED[:-1]),
        (KEK, KID, WRAPPED + b"\0"),
        (KEK, KID, WRAPPED[:12]),
        (KEK, KID, b""),
    ],
    ids=["another KEK", "another KID's row", "cut", "longer", "a nonce alone", "empty"],
)
def test_what_does_not_belong_together_does_not_open(kek: Kek, kid: KeyId, wrapped: bytes) -> None:
    with pytest.raises(StorageError, match="does not unwrap"):
        kek.unwrap(kid, wrapped)
