"""What a verb did to a store, in the audit log of that store: beside what administrators do over HTTP and in pages."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable

from drm.keys import KeyId
from license_server.store.audit import record_admin_action
from license_server.store.opening import Store

__all__ = ["who_runs_this", "write_down"]


def write_down(
    store: Store, code: str, kids: Iterable[KeyId] = (), *, content: str = "", token_id: str = "", device_id: str = ""
) -> None:
    """Write down what was just done, by whom, before it is said that it is done."""
    who = f"{who_runs_this()}: content {content}" if content else who_runs_this()
    record_admin_action(
        store.engine, "command", code, who, kids, client="command line", token_id=token_id, device_id=device_id
    )


def who_runs_this() -> str:
    """The account's name, or its number."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
