"""Remote source mode when things go wrong: cancelled, stalled, cut short, replaced. Clear errors, and no hanging."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.http.byte_stream import HttpByteStream
from drm.app.http.part import MediaLimits
from drm.app.session_proxy import MediaSessionProxy
from drm.app.source_resolver import SourceResolver
from drm.app.sources import open_source
from drm.component import MediaSource
from drm.errors import (
    CreationCancelledError,
    DRMError,
    MediaChangedError,
    MediaUnreachableError,
    SessionShutdownError,
    TruncatedMediaError,
)
from drm.hresult import HResult
from drm.session.events import MediaEventType as E
from tests.conformance.pmp_media_session.remote.media_server import MediaServer, wait_for
from tests.conformance.pmp_media_session.remote.world import (
    LIMIT,
    Film,
    LongFilm,
    from_byte_stream,
    from_url,
    hashes_of,
    resolver_of,
    topology_of,
    until,
)


# ------------------------------------------------------------------------------------------------ cancel, stall, change
@pytest.mark.parametrize("stalls_at", [0, 2048], ids=["at once", "in the movie box"])
def test_mf_082_a_creation_is_cancelled_while_the_server_stalls(
    resolver: SourceResolver, server: MediaServer, stalls_at: int
) -> None:
    server.stalls_at = stalls_at
    result = resolver.begin_create_object_from_url(server.url)
    wait_for(server.stalled)
    assert not result.is_completed
    began = time.monotonic()
    resolver.cancel_object_creation(result)
    with pytest.raises(CreationCancelledError) as cancelled:
        resolver.end_create_object_from_url(result, LIMIT)
    assert cancelled.value.hresult == HResult.MF_E_OPERATION_CANCELLED
    assert time.monotonic() - began < 1.0
    resolver.cancel_object_creation(result)  # over already: nothing happens


def test_mf_082_cancelling_an_await_cancels_the_creation(resolver: SourceResolver, server: MediaServer) -> None:
    server.stalls_at = 2048

    async def give_up() -> None:
        await asyncio.wait_for(resolver.create_object_from_url(server.url), 0.3)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())


@pytest.mark.parametrize("ending", ["close", "shutdown"])
def test_mf_082_a_session_ends_while_a_creation_waits(open_session, server: MediaServer, ending: str) -> None:
    server.stalls_at = 2048
    with open_session() as session:
        resolver = resolver_of(session)
        result = resolver.begin_create_object_from_url(server.url)
        wait_for(server.stalled)
        began = time.monotonic()
        if ending == "close":
            session.close()
            until(session, E.SESSION_CLOSED)
        session.shutdown()
        assert time.monotonic() - began < 2.0
        with pytest.raises((CreationCancelledError, SessionShutdownError)):
            resolver.end_create_object_from_url(result, LIMIT)


@pytest.mark.parametrize("where", ["worker", "application"])
def test_mf_082_a_session_closes_while_its_server_stalls(
    open_session, far_server: MediaServer, long_film: LongFilm, where: str
) -> None:
    """Whoever reads, for whom: `close` ends with SESSION_CLOSED, and nothing waits for the server's limits."""
    far_server.stalls_at = 10_000_000  # further on than what is read before playback
    url, remote = far_server.url, where == "worker"
    with open_session(long_film.keys, remote=remote) as session, HttpByteStream(url) as stream:
        session.set_topology(topology_of(from_url(url)(session) if remote else open_source(stream)))
        until(session, E.SESSION_TOPOLOGY_SET)
        session.start()
        until(session, E.SESSION_STARTED)
        wait_for(far_server.stalled)
        began = time.monotonic()
        session.close()
        until(session, E.SESSION_CLOSED)
        session.shutdown()
        assert time.monotonic() - began < 2.0


def test_mf_082_a_server_that_stalls_is_an_error_within_the_limit(
    open_session, far_server: MediaServer, long_film: LongFilm
) -> None:
    far_server.stalls_at = 6_000_000
    limits = MediaLimits(gap=0.5)
    with open_session(long_film.keys) as session, HttpByteStream(far_server.url, limits=limits) as stream:
        source = from_byte_stream(stream)(session)
        began = time.monotonic()
        with pytest.raises(MediaUnreachableError, match=r"sent nothing for 0\.5 seconds"):
            played(session, source)
        assert time.monotonic() - began < 4.0
        session.close()
        until(session, E.SESSION_CLOSED)


def played(session: MediaSessionProxy, source: MediaSource) -> None:
    session.set_topology(topology_of(source))
    until(session, E.SESSION_TOPOLOGY_SET)
    session.start()
    until(session, E.SESSION_ENDED)


def test_mf_082_a_file_that_shrinks_is_an_error_and_no_garbage(session, film: Film, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(film.path.read_bytes())
    source = from_url(path)(session)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(TruncatedMediaError, match="shorter"):
        played(session, source)


class Shrinking(FileByteStream):
    """A byte stream that gives less than it is asked for, and that may end before the size that it told."""

    ends_at = 1 << 40

    def read_into(self, offset: int, into: memoryview) -> int:
        room = max(0, min(len(into), self.ends_at - offset, 1000))
        return super().read_into(offset, into[:room])


def test_mf_082_short_reads_are_read_on(open_session, session, film: Film) -> None:
    with open_session(remote=False) as other, FileByteStream(film.path) as stream:
        expected = hashes_of(other, lambda _session: open_source(stream))
    with Shrinking(film.path) as stream:
        assert hashes_of(session, from_byte_stream(stream)) == expected


def test_mf_082_a_byte_stream_that_ends_early_is_an_error(session, film: Film) -> None:
    with Shrinking(film.path) as stream:
        stream.ends_at = 60_000
        with pytest.raises(TruncatedMediaError, match="before its size"):
            played(session, from_byte_stream(stream)(session))


def test_mf_082_a_byte_stream_with_a_fault_of_its_own_is_an_error(session, film: Film) -> None:
    class Faulty(FileByteStream):
        def read_into(self, offset: int, into: memoryview) -> int:
            raise RuntimeError("mine")

    with Faulty(film.path) as stream, pytest.raises(DRMError, match="RuntimeError: mine"):
        from_byte_stream(stream)(session)


def test_mf_082_a_file_that_is_replaced_on_the_server_is_an_error(
    open_session, far_server: MediaServer, long_film: LongFilm
) -> None:
    """Its answer breaks off, and what comes next is of another file: no frame may be made of both."""
    far_server.breaks_after = 3_000_000
    with open_session(long_film.keys) as session:
        source = from_url(far_server.url)(session)
        far_server.etag = '"two"'
        with pytest.raises(MediaChangedError, match="another one"):
            played(session, source)


def test_mf_082_a_long_film_over_http_takes_few_requests(
    open_session, far_server: MediaServer, long_film: LongFilm
) -> None:
    """Answers that break off are gone on with where they ended; else one answer is read from start to end."""
    with open_session(long_film.keys) as session:
        expected = hashes_of(session, from_url(long_film.path))
    with open_session(long_film.keys) as session:
        assert hashes_of(session, from_url(far_server.url)) == expected
    assert len(far_server.requests) == 1
    far_server.breaks_after = 2_000_000
    with open_session(long_film.keys) as session:
        assert hashes_of(session, from_url(far_server.url)) == expected
    assert 6 <= len(far_server.requests) <= 10
    far_server.breaks_after, far_server.gives_parts = None, False
    with open_session(long_film.keys) as session:
        assert hashes_of(session, from_url(far_server.url)) == expected, "without parts, over a temporary file"


def test_mf_082_a_server_that_compresses_is_refused(session, server: MediaServer) -> None:
    server.encoding = "gzip"
    with pytest.raises(MediaUnreachableError, match="compressed"):
        from_url(server.url)(session)
