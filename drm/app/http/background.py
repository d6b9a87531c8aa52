"""Take what an iterator gives while it runs in a thread of its own: nothing that blocks in there holds the taker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Final, TypeVar

__all__ = ["in_background"]

T = TypeVar("T")

_AHEAD: Final = 4  # items that may wait for the taker
_LOOK: Final = 0.05  # seconds


def in_background(items: Generator[T, None, None], look: Callable[[], None], name: str) -> Generator[T, None, None]:
    """Yield the items of `items`, which runs in another thread, `name`.

    `look` is called before each item and 20 times a second while none comes, and may raise: where it is too late, or
    nobody wants more. What `items` raises is raised here. When the taker stops early, `items` is closed as soon as it
    yields again; who knows what it waits for may end that.
    """
    waiting: queue.Queue[tuple[T] | Exception | None] = queue.Queue(_AHEAD)
    left = threading.Event()
    threading.Thread(target=_run, args=(items, waiting, left), name=name, daemon=True).start()
    try:
        while True:
            look()
            try:
                found = waiting.get(timeout=_LOOK)
            except queue.Empty:
                continue
            if found is None:
                return
            if isinstance(found, Exception):
                raise found
            yield found[0]
    finally:
        left.set()


def _run(
    items: Generator[T, None, None], waiting: queue.Queue[tuple[T] | Exception | None], left: threading.Event
) -> None:
    end: Exception | None = None
    with closing(items):
        try:
            for value in items:
                if not _put(waiting, (value,), left):
                    return
        except Exception as error:  # noqa: BLE001 - carried to the taker's thread, all of it
            end = error
    _put(waiting, end, left)


def _put(
    waiting: queue.Queue[tuple[T] | Exception | None], what: tuple[T] | Exception | None, left: threading.Event
) -> bool:
    while not left.is_set():
        try:
            waiting.put(what, timeout=_LOOK)
        except queue.Full:
            continue
        return True
    return False
