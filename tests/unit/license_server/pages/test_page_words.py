"""What pages read and say, by itself: boxes and tokens that were pasted, rules, times and percentiles in words."""

from __future__ import annotations

import base64

import pytest

from drm.errors import InvalidArgumentError
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.pssh.payload import PLAYREADY, make_data
from drm.keys import KeyId
from drm.rights.policy import Policy
from license_server.pages.overview import percentile
from license_server.pages.tools import decoded_boxes, read_token
from license_server.pages.wording import ago, rules_of

KID = KeyId.parse("00112233445566778899aabbccddeeff")


def test_a_percentile_is_the_nearest_rank() -> None:
    times = [number * 1000 for number in range(1, 101)]
    assert (percentile(times, 50), percentile(times, 99), percentile([5000], 99), percentile([], 50)) == (
        50,
        99,
        5,
        None,
    )


def test_rules_and_times_are_told_in_words() -> None:
    assert rules_of(None) == "default"
    assert rules_of(Policy()) == "play"
    assert rules_of(Policy(expires=0, min_level=2)) == "expires 1970-01-01 00:00:00 UTC; min level 2"
    assert ago(None) == ""
    assert ago(0).endswith(" d ago")


def test_boxes_are_read_in_hex_and_base64_and_nothing_else() -> None:
    text = "AAAANHBzc2gBAAAAEHfv7MCyTQKs4zweUuL7SwAAAAEAESIzRFVmd4iZqrvM3e7/AAAAAA=="
    whole = decoded_boxes(text)
    assert whole[0].key_ids == (KID,)
    assert decoded_boxes(base64.b64decode(text).hex(" ")) == whole
    assert decoded_boxes(text.rstrip("=")) == whole
    other = Pssh(PLAYREADY, (), make_data(PLAYREADY, (KID,)), 0).encode().hex()
    assert decoded_boxes(other)[0].key_ids == (KID,), "out of its data, and in the order of a UUID"
    for wrong in ("", "not a box", "AAAA", "0x0"):
        with pytest.raises(Exception, match=r".") as caught:
            decoded_boxes(wrong)
        assert type(caught.value).__module__ == "drm.errors"


@pytest.mark.parametrize("text", ["", "a.b.c", "e30", "bnVsbA.bnVsbA.x", "W10.W10.x", "." * 5, "é.é.é"])
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        read_token(text, None)
