"""The source resolver of remote source mode (IMFSourceResolver): it lives in the worker, and so do its sources.

Synchronous creation is not remotable, as on Windows: there is begin, end and cancel, and an awaitable. The worker opens
nothing: URLs are opened here, and the bytes, encrypted as they are stored, are handed to it.
Other half: drm/pmp/source_resolver.py.
"""

from __future__ import annotations

import enum
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from drm.app.byte_stream import FileByteStream
from drm.app.media_urls import open_url, scheme_of
from drm.app.remote_mode.source import RemoteMediaSource
from drm.app.remote_mode.sources import Creation, RemoteSources
from drm.class_ids import SOURCE_RESOLVER
from drm.component import ByteStream
from drm.errors import (
    CreationCancelledError,
    DRMError,
    ExclusiveFlagsError,
    InvalidArgumentError,
    NotRemotableError,
)
from drm.wire.messages import RemoteObject

if TYPE_CHECKING:
    from drm.app.http.byte_stream import HttpByteStream

__all__ = ["ObjectCreation", "ResolutionFlags", "SourceResolver"]

Created = RemoteMediaSource | ByteStream
CreationCallback = Callable[["ObjectCreation"], object]


class ResolutionFlags(enum.IntFlag):
    """MF_RESOLUTION_*: exactly one kind of object."""

    MEDIA_SOURCE = 1
    BYTE_STREAM = 2


class ObjectCreation:
    """One creation: its asynchronous result (IMFAsyncResult), and the cookie that cancels it."""

    def __init__(self, name: str, callback: CreationCallback | None, state: object, *, is_url: bool) -> None:
        self.state = state
        self.is_url = is_url
        self.name = name
        self._callback = callback
        self._changing = threading.Lock()
        self._done = threading.Event()
        self._outcome: Created | DRMError | None = None
        self._is_taken = False
        self.is_cancelled = False
        self.opening: HttpByteStream | None = None
        self.remote: Creation | None = None

    @property
    def is_completed(self) -> bool:
        """Whether `end_…` returns or raises at once."""
        return self._done.is_set()

    def finish(self, outcome: Created | DRMError) -> None:
        """It is over; the callback runs on a thread of its own. The first outcome counts."""
        with self._changing:
            if self._done.is_set():
                return
            self._outcome = outcome
            self._done.set()
        if self._callback is not None:
            threading.Thread(target=self._callback, args=(self,), name="source-resolver-callback", daemon=True).start()

    def take(self, timeout: float | None) -> Created:
        """Wait for the object and return it, once. Raises what the creation came to."""
        if not self._done.wait(timeout):
            raise DRMError(f"the media source was not made within {timeout:g} seconds", where=self.name)
        with self._changing:
            if self._is_taken:
                raise DRMError("this result was used already")
            self._is_taken = True
        assert self._outcome is not None
        if isinstance(self._outcome, DRMError):
            raise self._outcome
        return self._outcome


_SYNCHRONOUS: Final = "a source resolver of another process has no synchronous calls"


class SourceResolver:
    """Made by `create_object(SOURCE_RESOLVER)` of a session's PMP host, in remote source mode."""

    def __init__(self, made: RemoteObject, remote: RemoteSources) -> None:
        self.object_id = made.object_id
        self.class_id = SOURCE_RESOLVER
        self._remote = remote

    # ------------------------------------------------------------------ begin, end, cancel

    def begin_create_object_from_url(
        self,
        url: str,
        flags: ResolutionFlags = ResolutionFlags.MEDIA_SOURCE,
        callback: CreationCallback | None = None,
        state: object = None,
    ) -> ObjectCreation:
        """Begin to open `url`: a path, or a URL of file, http or https. Return what `end_…` and cancelling take.

        `callback` is called once with it, on a thread of its own; it may call whatever it wants.

        Raises:
            ExclusiveFlagsError: both kinds of object are asked for.
            UnsupportedSchemeError: MF_E_UNSUPPORTED_SCHEME.
            InvalidArgumentError: neither kind is, or the URL cannot be read.
        """
        kind = _checked(flags)
        scheme_of(url)
        creation = ObjectCreation(url, callback, state, is_url=True)
        threading.Thread(target=self._open, args=(creation, url, kind), name="source-resolver", daemon=True).start()
        return creation

    def end_create_object_from_url(self, result: ObjectCreation, timeout: float | None = None) -> Created:
        """Return the media source, or the byte stream, that was made. Waits for it when it is not there yet.

        Raises:
            UnsupportedMediaError: these bytes are no media that is known (MF_E_UNSUPPORTED_BYTESTREAM_TYPE).
            CreationCancelledError: MF_E_OPERATION_CANCELLED.
            DRMError: what kept it from being opened.
        """
        return _ended(result, timeout, is_url=True)

    def begin_create_object_from_byte_stream(
        self,
        byte_stream: ByteStream,
        url: str | None = None,
        flags: ResolutionFlags = ResolutionFlags.MEDIA_SOURCE,
        callback: CreationCallback | None = None,
        state: object = None,
    ) -> ObjectCreation:
        """Begin to make a media source of `byte_stream`, which stays the caller's to close, after the source's end.

        `url` is what it is called where it has no name of its own. Raises as `begin_create_object_from_url`.
        """
        if _checked(flags) is ResolutionFlags.BYTE_STREAM:
            raise InvalidArgumentError("a byte stream is what was given: a media source can be made of it")
        creation = ObjectCreation(url or byte_stream.name, callback, state, is_url=False)
        self._make(creation, byte_stream, is_own=False)
        return creation

    def end_create_object_from_byte_stream(
        self, result: ObjectCreation, timeout: float | None = None
    ) -> RemoteMediaSource:
        """Return the media source. Waits, and raises, as `end_create_object_from_url`."""
        made = _ended(result, timeout, is_url=False)
        assert isinstance(made, RemoteMediaSource)
        return made

    def cancel_object_creation(self, cookie: ObjectCreation) -> None:
        """End a creation: its result is MF_E_OPERATION_CANCELLED, unless it was over already."""
        cookie.is_cancelled = True
        if cookie.remote is not None:
            self._remote.cancel(cookie.remote)
            return
        # It is being opened here. Its thread may sit in a name look-up, which nothing ends: it is not waited for.
        cookie.finish(_cancelled(cookie))
        if cookie.opening is not None:
            cookie.opening.close()

    # ------------------------------------------------------------------ await

    def create_object_from_url(
        self, url: str, flags: ResolutionFlags = ResolutionFlags.MEDIA_SOURCE
    ) -> Awaitable[Created]:
        """Return an awaitable of what `end_create_object_from_url` returns; cancelling it cancels the creation.

        Raises NotRemotableError (E_NOTIMPL) where no event loop runs: that is the synchronous call. Else as the pair.
        """
        _refuse_synchronous()
        return self._awaited(lambda done: self.begin_create_object_from_url(url, flags, done))

    def create_object_from_byte_stream(
        self,
        byte_stream: ByteStream,
        url: str | None = None,
        flags: ResolutionFlags = ResolutionFlags.MEDIA_SOURCE,
    ) -> Awaitable[Created]:
        """As `create_object_from_url`, of a byte stream."""
        _refuse_synchronous()
        return self._awaited(lambda done: self.begin_create_object_from_byte_stream(byte_stream, url, flags, done))

    async def _awaited(self, begin: Callable[[CreationCallback], ObjectCreation]) -> Created:
        import asyncio  # noqa: PLC0415 - only who awaits pays for it

        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def finished(_result: ObjectCreation) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(done.set)

        creation = begin(finished)
        try:
            await done.wait()
        except asyncio.CancelledError:
            self.cancel_object_creation(creation)
            raise
        return creation.take(0)

    # ------------------------------------------------------------------ threads

    def _open(self, creation: ObjectCreation, url: str, kind: ResolutionFlags) -> None:
        try:
            stream = open_url(url)
            if not isinstance(stream, FileByteStream):
                creation.opening = stream
                _refuse_cancelled(creation)  # from here on, who cancels sees the stream
                stream.open()
        except DRMError as error:
            creation.finish(_cancelled(creation) if creation.is_cancelled else error)
            return
        except Exception as fault:  # noqa: BLE001 - an answer, not silence
            creation.finish(DRMError(f"{type(fault).__name__}: {fault}", where=creation.name))
            return
        if kind is ResolutionFlags.BYTE_STREAM:
            creation.finish(stream)
        else:
            self._make(creation, stream, is_own=True)

    def _make(self, creation: ObjectCreation, stream: ByteStream, *, is_own: bool) -> None:
        try:
            _refuse_cancelled(creation)
            creation.remote = self._remote.create(self.object_id, stream, creation.finish, is_own=is_own)
        except DRMError as error:
            if is_own:
                getattr(stream, "close", lambda: None)()
            creation.finish(error)
            return
        if creation.is_cancelled:  # it came between the two
            self.cancel_object_creation(creation)


def _checked(flags: ResolutionFlags) -> ResolutionFlags:
    kinds = ResolutionFlags(flags) & (ResolutionFlags.MEDIA_SOURCE | ResolutionFlags.BYTE_STREAM)
    if kinds == ResolutionFlags.MEDIA_SOURCE | ResolutionFlags.BYTE_STREAM:
        raise ExclusiveFlagsError("a media source and a byte stream exclude each other", remedy="ask for one of them")
    if not kinds:
        raise InvalidArgumentError("say which is wanted: ResolutionFlags.MEDIA_SOURCE or BYTE_STREAM")
    return kinds


def _ended(result: ObjectCreation, timeout: float | None, *, is_url: bool) -> Created:
    if result.is_url is not is_url:
        raise InvalidArgumentError("this is no result of the begin that belongs to this end")
    return result.take(timeout)


def _refuse_cancelled(creation: ObjectCreation) -> None:
    if creation.is_cancelled:
        raise _cancelled(creation)


def _cancelled(creation: ObjectCreation) -> CreationCancelledError:
    return CreationCancelledError("the creation was cancelled", where=creation.name)


def _refuse_synchronous() -> None:
    asyncio = sys.modules.get("asyncio")
    try:
        if asyncio is not None:
            asyncio.get_running_loop()
            return
    except RuntimeError:
        pass
    raise NotRemotableError(
        _SYNCHRONOUS, remedy="begin_create_object_from_url and its end, or await this in a coroutine"
    )
