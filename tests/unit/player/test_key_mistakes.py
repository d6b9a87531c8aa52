"""The likely mistake, told from the keys that were given."""

import pytest

from drm.errors import DRMError, KeyMissingError, KeyWrongError, MediaError
from drm.keys import ContentKey, KeyId
from player.key_mistakes import explain

KID = KeyId.parse("00112233445566778899aabbccddeeff")
OTHER = KeyId.parse("f0e1d2c3b4a5968778695a4b3c2d1e0f")
KEY = ContentKey(bytes(range(16)))


def missing() -> DRMError:
    return KeyMissingError("no key", maybe="what the worker thought", kids=(str(KID),))


def wrong() -> DRMError:
    return KeyWrongError("wrong key", maybe="what the worker thought", kids=(str(KID),))


@pytest.mark.parametrize(
    ("error", "keys", "words"),
    [
        (missing(), {OTHER: ContentKey(KID.value)}, "KID and KEY are swapped"),
        (missing(), {OTHER: ContentKey(KID.byte_reversed.value)}, "byte order of a Windows GUID"),
        (missing(), {KID.byte_reversed: KEY}, f"guid-le:{KID.byte_reversed}"),
        (wrong(), {KID: ContentKey(KID.value)}, "given as its own key"),
        (wrong(), {KID: KEY, OTHER: ContentKey(KEY.secret)}, f"the same key is given for {OTHER}"),
        (wrong(), {KID: KEY}, "what the worker thought"),
        (missing(), {}, "what the worker thought"),
        (MediaError("a file", maybe="what the worker thought"), {KID.byte_reversed: KEY}, "what the worker thought"),
    ],
    ids=["swapped", "swapped-and-guid", "guid", "kid-as-key", "one-key-twice", "nothing-to-see", "no-keys",
         "no-key-error"],
)  # fmt: skip
def test_the_mistake_is_named_and_no_key_is_shown(error: DRMError, keys: dict[KeyId, ContentKey], words: str) -> None:
    explained = explain(error, keys)
    assert explained is error
    assert words in explained.maybe
    assert KEY.secret.hex() not in explained.render()
