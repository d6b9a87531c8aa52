"""A clock that stands still until the test moves it, for the component and for the rules that it keeps."""

from __future__ import annotations

import sys

import pytest

from drm.app.sources import component_loader
from drm.class_ids import CLEARKEY_ITA
from drm.rights import policy
from tests.clocks import HeldClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HeldClock:
    component_loader().create(CLEARKEY_ITA)  # its modules come out of verified bytes, with the first one that is made
    return HeldClock().hold(monkeypatch, policy, sys.modules["ita.key_ring"], sys.modules["ita.decrypter"])
