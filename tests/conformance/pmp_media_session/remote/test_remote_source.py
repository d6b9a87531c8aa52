"""Remote source mode (PMP Media Session): the source resolver and the media sources live in the worker."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from drm.app.byte_stream import FileByteStream
from drm.app.remote_mode.source import RemoteMediaSource
from drm.app.source_resolver import ResolutionFlags, SourceResolver
from drm.app.sources import open_source
from drm.class_ids import SOURCE_RESOLVER
from drm.errors import (
    DRMError,
    ExclusiveFlagsError,
    InvalidArgumentError,
    InvalidRequestError,
    NotRemotableError,
    TopologyError,
    UnsupportedMediaError,
)
from drm.hresult import HResult
from drm.session.events import MediaEventType as E
from drm.session.services import Service
from drm.session.topology import SetTopologyFlags
from tests.conformance.mfcreatemediasession.world import eventually
from tests.conformance.pmp_media_session.remote.media_server import MediaServer, wait_for
from tests.conformance.pmp_media_session.remote.world import (
    LIMIT,
    Film,
    from_byte_stream,
    from_url,
    hashes_of,
    topology_of,
    until,
)
from tests.outputs import for_writing

VECTORS = ("ff_cenc_prog_av", "b4_mpeg-cenc_av", "ff_cenc_frag_av", "pk_cbcs_1_9_v", "gp_cbcs_prog_av", "pk_webm_vp9_v")


# ------------------------------------------------------------------------------------------------ MF-082
@pytest.mark.parametrize("name", VECTORS)
def test_mf_082_a_source_in_the_worker_plays_the_frames_of_one_in_the_application(
    open_session, own_vectors: Path, name: str
) -> None:
    film = Film(own_vectors, name)
    with open_session(film.keys, remote=False) as session, FileByteStream(film.path) as stream:
        expected = hashes_of(session, lambda _session: open_source(stream))
    assert expected.count("\n") > 20
    with open_session(film.keys) as session:
        assert hashes_of(session, from_url(film.path)) == expected, "from a descriptor"
    with open_session(film.keys) as session:
        assert hashes_of(session, from_url(film.path.as_uri())) == expected, "from a file URL"
    with open_session(film.keys) as session, FileByteStream(film.path) as stream:
        assert hashes_of(session, from_byte_stream(stream)) == expected, "from a byte stream"
    with open_session(film.keys) as session, MediaServer(film.path.read_bytes()) as server:
        assert hashes_of(session, from_url(server.url)) == expected, "over HTTP"


def test_mf_082_the_source_describes_itself_and_gives_nothing_else(session, film: Film) -> None:
    source = from_url(film.path)(session)
    assert isinstance(source, RemoteMediaSource)
    with FileByteStream(film.path) as stream:
        here = open_source(stream)
        assert tuple(source.streams()) == tuple(here.streams())
        assert source.characteristics == here.characteristics
        assert source.duration == here.duration
        sample = (here.select([1]), here.next_sample(1))[1]
    for ask in (
        lambda: source.select([1]),
        lambda: source.next_sample(1),
        lambda: source.read_into(sample, memoryview(bytearray(sample.size))),
        lambda: source.get_input_trust_authority(1),
    ):
        with pytest.raises(InvalidRequestError):
            ask()


def held_files() -> list[str]:
    return [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]


def test_mf_082_no_descriptor_of_the_file_stays_in_the_application(session, film: Film) -> None:
    """The file was opened here for a moment and handed over: what reads it now is the worker's copy."""
    path = str(film.path.resolve())
    before = held_files().count(path)  # what read it for another test may not have closed it yet
    source = from_url(film.path)(session)
    eventually(lambda: held_files().count(path) <= before)  # the thread that opened it closes it as it ends
    session.set_topology(topology_of(source))
    until(session, E.SESSION_TOPOLOGY_SET)


def test_mf_082_only_begin_and_end_are_there(resolver: SourceResolver, film: Film) -> None:
    with pytest.raises(NotRemotableError) as refused:
        resolver.create_object_from_url(str(film.path))
    assert refused.value.hresult == HResult.E_NOTIMPL
    with FileByteStream(film.path) as stream, pytest.raises(NotRemotableError):
        resolver.create_object_from_byte_stream(stream)


def test_mf_082_the_pair_can_be_awaited(resolver: SourceResolver, film: Film) -> None:
    async def both() -> list[RemoteMediaSource]:
        with FileByteStream(film.path) as stream:
            first = await resolver.create_object_from_url(str(film.path))
            second = await resolver.create_object_from_byte_stream(stream)
            second.shutdown()
            return [first, second]

    first, second = asyncio.run(both())
    assert first.streams() == second.streams()


def test_mf_082_the_callback_gets_the_state_and_may_call_back(session, resolver: SourceResolver, film: Film) -> None:
    got = []
    done = threading.Event()

    def called(result) -> None:
        got.append((result.state, resolver.end_create_object_from_url(result), session.get_rate()))
        done.set()

    resolver.begin_create_object_from_url(str(film.path), ResolutionFlags.MEDIA_SOURCE, called, "mine")
    wait_for(done)
    ((state, source, _rate),) = got
    assert state == "mine"
    assert isinstance(source, RemoteMediaSource)


def test_mf_082_a_result_is_taken_once_and_by_its_own_end(resolver: SourceResolver, film: Film) -> None:
    result = resolver.begin_create_object_from_url(str(film.path))
    with pytest.raises(InvalidArgumentError):
        resolver.end_create_object_from_byte_stream(result)
    resolver.end_create_object_from_url(result, LIMIT)
    with pytest.raises(DRMError, match="used already"):
        resolver.end_create_object_from_url(result)


def test_mf_082_without_the_mode_no_resolver_is_made(open_session) -> None:
    with open_session(remote=False) as session, pytest.raises(InvalidRequestError, match="remote source mode"):
        session.get_service(Service.PMP_SERVICE).create_object(SOURCE_RESOLVER)


def test_mf_082_a_source_plays_only_where_it_lives(open_session, session, film: Film) -> None:
    """The application's own source is refused in this mode, a remote one without it, and another session's always."""
    with FileByteStream(film.path) as stream, pytest.raises(TopologyError, match="lives in the application"):
        session.set_topology(topology_of(open_source(stream)))
    remote = from_url(film.path)(session)
    for mode in (False, True):
        with open_session(remote=mode) as other, pytest.raises(TopologyError, match="not this session's"):
            other.set_topology(topology_of(remote))
    remote.shutdown()
    with pytest.raises(TopologyError, match="shut down"):
        session.set_topology(topology_of(remote))


def test_mf_082_a_source_is_played_again_and_again(session, film: Film) -> None:
    """Each topology gets authorities of its own: those of the one before were reset with it."""
    source = from_url(film.path)(session)
    for _ in range(3):
        session.set_topology(topology_of(source), SetTopologyFlags.IMMEDIATE)
        until(session, E.SESSION_TOPOLOGY_SET)
        session.start()
        until(session, E.SESSION_ENDED)
    for _ in range(2):  # several over one source, in a queue
        session.set_topology(topology_of(source))
        until(session, E.SESSION_TOPOLOGY_SET)
    session.start()
    for _ in range(2):
        until(session, E.END_OF_PRESENTATION)
    until(session, E.SESSION_ENDED)


def test_mf_082_a_source_that_is_let_go_plays_to_its_end(session, film: Film) -> None:
    source = from_url(film.path)(session)
    session.set_topology(topology_of(source))
    source.shutdown()
    until(session, E.SESSION_TOPOLOGY_SET)
    session.start()
    until(session, E.SESSION_ENDED)


def test_mf_082_a_seek_reads_from_there(session, film: Film) -> None:
    fd = os.memfd_create("framemd5", os.MFD_CLOEXEC)
    try:
        with FileByteStream(film.path) as stream:
            handed = for_writing(fd)
            session.set_topology(topology_of(from_byte_stream(stream)(session), handed))
            os.close(handed)
            until(session, E.SESSION_TOPOLOGY_SET)
            session.start(20_000_000)
            until(session, E.SESSION_ENDED)
        lines = [line for line in os.pread(fd, 1 << 20, 0).decode().splitlines() if line.startswith("0,")]
        assert lines
        assert len(lines) < 75, "as if it had begun at the start"
    finally:
        os.close(fd)


# ------------------------------------------------------------------------------------------------ MF-083
def test_mf_083_both_kinds_of_object_exclude_each_other(resolver: SourceResolver, film: Film) -> None:
    both = ResolutionFlags.MEDIA_SOURCE | ResolutionFlags.BYTE_STREAM
    assert both == 3
    with pytest.raises(ExclusiveFlagsError) as refused:
        resolver.begin_create_object_from_url(str(film.path), both)
    assert refused.value.hresult == HResult.MF_E_SOURCERESOLVER_MUTUALLY_EXCLUSIVE_FLAGS == 0xC00D36F1
    with FileByteStream(film.path) as stream:
        with pytest.raises(ExclusiveFlagsError):
            resolver.begin_create_object_from_byte_stream(stream, None, both)
        with pytest.raises(InvalidArgumentError):
            resolver.begin_create_object_from_byte_stream(stream, None, ResolutionFlags.BYTE_STREAM)
    with pytest.raises(InvalidArgumentError):
        resolver.begin_create_object_from_url(str(film.path), ResolutionFlags(0))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a.mp4", "mms:stream", "data:video/mp4;base64,AAAA", "javascript:0"])
def test_mf_083_a_scheme_that_nobody_knows(resolver: SourceResolver, url: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        resolver.begin_create_object_from_url(url)
    assert refused.value.hresult == HResult.MF_E_UNSUPPORTED_SCHEME == 0xC00D36C3


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7 and so on", bytes(4096), os.urandom(64)], ids=len)
def test_mf_083_bytes_that_are_no_media(resolver: SourceResolver, tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(UnsupportedMediaError) as refused:
        resolver.end_create_object_from_url(resolver.begin_create_object_from_url(str(path)), LIMIT)
    assert refused.value.hresult == HResult.MF_E_UNSUPPORTED_BYTESTREAM_TYPE == 0xC00D36C4
    assert str(path) in refused.value.where


def test_mf_083_a_byte_stream_is_given_as_it_is(resolver: SourceResolver, film: Film) -> None:
    made = resolver.end_create_object_from_url(
        resolver.begin_create_object_from_url(str(film.path), ResolutionFlags.BYTE_STREAM), LIMIT
    )
    assert isinstance(made, FileByteStream)
    with made:
        assert made.size == film.path.stat().st_size
