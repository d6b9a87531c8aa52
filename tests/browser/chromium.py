"""Chromium as the distribution has it, without a window, for the length of a `with` block."""

import contextlib
import ctypes
import importlib.util
import shutil
from collections.abc import Iterator
from typing import Final

import pytest

_PR_CAPBSET_DROP: Final = 24  # linux/prctl.h
_CAP_SYS_NICE: Final = 23  # linux/capability.h

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@contextlib.contextmanager
def chromium(*more: str) -> Iterator["playwright.sync_api.Browser"]:  # noqa: F821 - absent where tests skip
    """Start it; skip where it or playwright is not installed."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed")
    from playwright.sync_api import sync_playwright

    _without_real_time()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=[*ARGUMENTS, *more])
        try:
            yield browser
        finally:
            browser.close()


def _without_real_time() -> None:
    """Let no program that this thread starts raise its priority.

    As root, Chromium takes real-time priority for some threads; two that spin then keep a machine of two processors
    from everything else, and not even a signal ends them. Without the capability it asks, and goes on as others do.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
