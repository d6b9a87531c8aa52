"""Take what an iterator gives while it runs in a thread of its own: nothing that blocks in there holds the taker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from contextlib import closing
from typing import Final, Generic, TypeVar

__all__ = ["in_background"]

T = TypeVar("T")

_AHEAD: Final = 4  # items that may wait for the taker


def in_background(items: Generator[T, None, None], every: float) -> Generator[T | None, None, None]:
    """Yield the items of `items`, which runs in another thread, and None whenever `every` seconds brought none.

    What `items` raises is raised here. When the taker stops early, `items` is closed as soon as it yields again; who
    knows what it waits for may end that.
    """
    waiting: queue.Queue[_Item[T] | _End] = queue.Queue(_AHEAD)
    left = threading.Event()
    threading.Thread(target=_run, args=(items, waiting, left), name="clearkey-beside", daemon=True).start()
    try:
        while True:
            try:
                found = waiting.get(timeout=every)
            except queue.Empty:
                yield None
                continue
            if isinstance(found, _Item):
                yield found.value
                continue
            if found.error is not None:
                raise found.error
            return
    finally:
        left.set()


class _Item(Generic[T]):
    def __init__(self, value: T) -> None:
        self.value = value


class _End:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error


def _run(items: Generator[T, None, None], waiting: queue.Queue[_Item[T] | _End], left: threading.Event) -> None:
    with closing(items):
        try:
            for value in items:
                if not _put(waiting, _Item(value), left):
                    return
            end = _End()
        except Exception as error:  # noqa: BLE001 - carried to the taker's thread, all of it
            end = _End(error)
    _put(waiting, end, left)


def _put(waiting: queue.Queue[_Item[T] | _End], what: _Item[T] | _End, left: threading.Event) -> bool:
    while not left.is_set():
        try:
            waiting.put(what, timeout=0.05)
        except queue.Full:
            continue
        return True
    return False
