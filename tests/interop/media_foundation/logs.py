"""Logs: the product's, made here, and Wine's, kept here."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from drm.app import (
    NO_QUALITY_MANAGER,
    SessionConfiguration,
    WorkerConfiguration,
    create_media_session,
    create_pmp_media_session,
    create_pmp_server,
)
from tests.interop.media_foundation.playing import Play
from tests.interop.media_foundation.presentation import COMPONENTS, make_clips
from tests.interop.media_foundation.scenarios import FOLDER, every

__all__ = ["KINDS", "product_logs", "wine_log"]

KINDS: Final = ("local", "pmp")
_AT_ONCE: Final = 4  # scenarios of a kind; most of their time is waiting
_MAKING: Final = threading.Lock()
_LIMIT: Final = 60.0  # seconds for one scenario


def wine_log(name: str) -> str:
    """What Wine did."""
    return (FOLDER / "wine" / f"{name}.log").read_text(encoding="utf-8", errors="replace")


def product_logs(kind: str, names: Iterable[str], clips: Path, at_once: int = _AT_ONCE) -> dict[str, str]:
    """Play these scenarios on sessions of one kind, all of one worker; return their logs by name.

    Nothing is dropped, however late it is: Wine's sample grabber drops nothing. A scenario that does not end leaves
    its log so far, with a line that says so.
    """
    wanted = list(names)
    with _MAKING:
        make_clips(clips, set().union(*(every()[name].lengths for name in wanted)))
    if kind == "local":
        return _play(wanted, lambda **words: create_media_session(_configuration(**words)), clips, at_once)
    with create_pmp_server(WorkerConfiguration(components=COMPONENTS)) as server:
        create = lambda **words: create_pmp_media_session(  # noqa: E731
            configuration=SessionConfiguration(server_context=server, quality_manager=NO_QUALITY_MANAGER, **words)
        )
        return _play(wanted, create, clips, at_once)


def _configuration(**words: Any) -> SessionConfiguration:
    return SessionConfiguration(components=COMPONENTS, quality_manager=NO_QUALITY_MANAGER, **words)


def _play(names: list[str], create: Callable[..., Any], clips: Path, at_once: int) -> dict[str, str]:
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)
    begun: dict[str, tuple[Play, float]] = {}
    logs: dict[str, str] = {}

    def serve() -> None:
        while True:
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            play = Play(every()[name], create, clips)
            begun[name] = play, time.monotonic()
            try:
                logs[name] = play.run()
            except Exception as error:  # noqa: BLE001 - of the scenario: the others are played
                logs[name] = f"{play.log()}rc {type(error).__name__}: {error}\n"

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + _LIMIT * (1 + len(names) / at_once)
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    for name in names:
        if name not in logs:
            logs[name] = f"{begun[name][0].log() if name in begun else ''}rc 124\n"
    return logs
