"""A WSGI application (PEP 3333) under an ASGI server: requests are read whole before a thread gets them.

So a client that sends slowly, or reads slowly, costs a connection and never a thread. Times are the business of
`connections`; sizes are bounded here: of one body, and of all long ones together, since they are in memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar

from drm.keyfile.formats import MAX_KEYS_FILE
from license_server.problems import PROBLEM_TYPE, ProblemError
from license_server.serving.calls import Answer, begun, environ_of
from license_server.serving.connections import ANSWER, BODY, TimedConnection, seconds_for

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["WholeRequests"]

_Message = dict[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_Result = TypeVar("_Result")

_THREADS: Final = 4  # that run Python; more make the slowest answers slower
_PATIENCE: Final = 30.0  # seconds in which one of them must come free
_MOST: Final = MAX_KEYS_FILE + 1  # bytes of a body: the largest that any view takes, and one more
_MOST_READ: Final = 16 << 20  # bytes of one, the refused ones too
_SHORT: Final = 64 << 10  # bytes of a body that does not count among the long ones
_MOST_OF_ALL: Final = 64 << 20  # bytes of all long bodies
_BUSY: Final = ProblemError(503, "server_busy", "too many long requests at a time; ask again")


class WholeRequests:
    """An ASGI application that answers as `application` does, over `TimedConnection`. Call it in one event loop."""

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="answers")
        self._long = 0  # bytes of long bodies that are held
        self._under_way = 0  # calls that threads have, or are to get
        self._moved = 0.0  # when the last one ended, or all threads were taken

    @property
    def is_moving(self) -> bool:
        """Whether a thread is free, or came free not long ago."""
        return self._under_way < _THREADS or time.monotonic() - self._moved < _PATIENCE

    def close(self) -> None:
        """Wait for what threads are doing."""
        self._threads.shutdown(cancel_futures=True)

    async def __call__(self, scope: _Message, receive: _Receive, send: _Send) -> None:
        """Answer one request."""
        connection: TimedConnection = scope["state"]["connection"]
        answer: Answer | None = None
        try:
            answer = await self._answer(connection, scope, receive)
            if answer is not None and not connection.is_gone:
                await self._send(connection, send, answer)
        finally:
            if answer is not None and not answer.is_whole:
                await self._in_thread(answer.close)
            connection.answered()
        while connection.is_gone and (await receive())["type"] == "http.request":
            pass  # uvicorn is to know that the client is gone before this returns

    async def _answer(self, connection: TimedConnection, scope: _Message, receive: _Receive) -> Answer | None:
        body = _Body()
        try:
            if not await self._receive(connection, receive, body):
                return None
            if body.is_refused:
                return Answer.complete(503, PROBLEM_TYPE, _BUSY.body())
            return await self._in_thread(begun, self._application, environ_of(scope, bytes(body.kept)))
        finally:
            self._long -= body.counted

    async def _receive(self, connection: TimedConnection, receive: _Receive, body: _Body) -> bool:
        """Read the body, and keep the beginning of one that is larger than any that is taken.

        The rest is read all the same: a client that is cut off while it sends reads no answer. False: it is gone.
        """
        clock, left, is_more = connection.clock, _MOST_READ, True
        clock.wait_for(connection, BODY)
        while is_more and left > 0:
            message = await receive()
            if message["type"] != "http.request":
                return False
            part, is_more = message["body"], message["more_body"]
            left -= len(part)
            self._keep(body, part)
            if is_more:
                clock.give(connection, seconds_for(len(part)))
        clock.wait_no_more(connection)
        return True

    def _keep(self, body: _Body, part: bytes) -> None:
        """Keep what is to be kept of a part; of a body that makes the long ones too many, nothing."""
        if body.is_refused:
            return
        before = body.counted
        body.kept += part[: _MOST - len(body.kept)]
        self._long += body.counted - before
        if body.counted and self._long > _MOST_OF_ALL:
            self._long -= body.counted
            body.kept.clear()
            body.is_refused = True

    async def _send(self, connection: TimedConnection, send: _Send, answer: Answer) -> None:
        seconds = ANSWER
        connection.clock.wait_for(connection, seconds)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        with nullcontext() if answer.is_whole else connection.clock.reading_on(connection):
            while not connection.is_gone:
                seconds = await _send_part(connection, send, answer, seconds)
                if answer.is_whole:
                    break
                await self._in_thread(answer.go_on)

    async def _in_thread(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        self._under_way += 1
        if self._under_way == _THREADS:
            self._moved = time.monotonic()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        finally:
            self._under_way -= 1
            self._moved = time.monotonic()


class _Body:
    """What is kept of a body that is being read."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.is_refused = False

    @property
    def counted(self) -> int:
        """What it takes of the room for long ones."""
        return len(self.kept) if len(self.kept) > _SHORT else 0


async def _send_part(connection: TimedConnection, send: _Send, answer: Answer, seconds: float) -> float:
    """Send what is to be sent next, in `seconds` and what its size adds; return what is left of them."""
    connection.clock.wait_for(connection, seconds + seconds_for(len(answer.part)))
    await send({"type": "http.response.body", "body": answer.part, "more_body": not answer.is_whole})
    return connection.clock.wait_no_more(connection)
