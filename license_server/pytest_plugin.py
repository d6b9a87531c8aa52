"""The pytest fixture `clearkey_server`: license servers over real HTTP, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from license_server.process import LicenseServer

__all__ = ["clearkey_server"]


@pytest.fixture
def clearkey_server() -> Iterator[Callable[..., LicenseServer]]:
    """Start servers: `clearkey_server(keys={kid: key}).license_url`. They end with the test.

    It takes the arguments of `license_server.process.LicenseServer`.
    """
    with ExitStack() as running:

        def start(**arguments: Any) -> LicenseServer:  # noqa: ANN401 - those of LicenseServer
            return running.enter_context(LicenseServer(**arguments))

        yield start
