"""Both halves of a served byte stream, joined without a worker: what is read, in how many round trips, and lies."""

import os
import random
import threading

import pytest

from drm.app.byte_stream_service import ByteStreamService
from drm.errors import DRMError, InvalidRequestError, WireError
from drm.hresult import HResult
from drm.pmp.byte_stream_proxy import ByteStreamProxy
from drm.wire.messages import BytesRead, ByteStreamClosed, ByteStreamSpec, ReadBytes
from drm.wire.remote_sources import MAX_OUTSTANDING, SLOT, SLOTS, WINDOW
from drm.wire.ring import RingWriter

SIZE = 5 * (1 << 20) + 12_345
DATA = random.Random(7).randbytes(SIZE)


class Bytes:
    """A byte stream in memory."""

    name = "film"
    size = SIZE

    def __init__(self) -> None:
        self.reads = 0
        self.gate = threading.Event()
        self.gate.set()

    def read_into(self, offset: int, into: memoryview) -> int:
        self.gate.wait(10)
        self.reads += 1
        data = DATA[offset : offset + len(into)]
        into[: len(data)] = data
        return len(data)


class Joined:
    """The service and the proxy, each sending to the other."""

    def __init__(self) -> None:
        self.stream = Bytes()
        self.asked: list[ReadBytes] = []
        self.closed: list[int] = []
        self.service = ByteStreamService(self.stream, lambda message, _fds: self.proxy.answered(message), 1, 1)
        spec = ByteStreamSpec(1, "film", SIZE)
        self.proxy = ByteStreamProxy(self._from_worker, 1, spec, self.service.window, self.closed.append)
        self.service.start()

    def _from_worker(self, message: object) -> None:
        if isinstance(message, ReadBytes):
            self.asked.append(message)
            self.service.request(message)
        else:
            assert isinstance(message, ByteStreamClosed)
            self.service.stop()


@pytest.fixture
def joined():
    made = Joined()
    yield made
    made.stream.gate.set()
    made.proxy.close()
    made.service.close()
    assert made.closed == [1]
    assert not [thread for thread in threading.enumerate() if thread.name == "byte-stream"]


def test_what_is_read_is_what_is_there(joined: Joined) -> None:
    chance = random.Random(1)
    for _ in range(300):
        offset = chance.randrange(SIZE + 100)
        size = chance.choice((0, 1, 16, 4096, SLOT, 3 * SLOT + 5))
        assert joined.proxy.read_at(offset, size) == DATA[offset : offset + size]


def test_reading_on_takes_a_round_trip_for_each_slot_and_finds_its_data_there(joined: Joined) -> None:
    """4096 bytes at a time: 1,283 reads, 21 round trips, and all but the first two of them were asked for ahead."""
    for offset in range(0, SIZE, 4096):
        assert joined.proxy.read_at(offset, 4096) == DATA[offset : offset + 4096]
    pieces = -(-SIZE // SLOT)
    assert len(joined.asked) == joined.service.round_trips == pieces == 21


def test_two_readers_far_apart_share_the_window(joined: Joined) -> None:
    """Sound and pictures that lie apart: no slot is thrown out that the other still reads from."""
    half = (SIZE // 2) // SLOT * SLOT
    for at in range(0, half, 16_384):
        assert joined.proxy.read_at(at, 16_384) == DATA[at : at + 16_384]
        assert joined.proxy.read_at(half + at, 16_384) == DATA[half + at : half + at + 16_384]
    assert len(joined.asked) <= 26, "of 21 pieces"


def test_no_more_requests_wait_than_are_allowed(joined: Joined) -> None:
    joined.stream.gate.clear()
    reader = threading.Thread(target=lambda: joined.proxy.read_at(0, 12 * SLOT))
    reader.start()
    reader.join(0.2)
    assert len(joined.asked) <= MAX_OUTSTANDING
    joined.stream.gate.set()
    reader.join(10)
    assert len(joined.asked) >= 12


def test_a_read_that_is_stopped_lets_go_and_the_next_one_works(joined: Joined) -> None:
    joined.stream.gate.clear()
    stopped = threading.Event()
    joined.proxy.is_stopped = stopped.is_set
    found: list[DRMError] = []

    def read() -> None:
        try:
            joined.proxy.read_at(0, 10)
        except InvalidRequestError as error:
            found.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    stopped.set()
    joined.proxy.wake()
    reader.join(5)
    assert [error.hresult for error in found] == [HResult.MF_E_OPERATION_CANCELLED]
    stopped.clear()
    joined.stream.gate.set()
    assert joined.proxy.read_at(0, 10) == DATA[:10]


# ------------------------------------------------------------------------------------------------ a worker that lies
@pytest.mark.parametrize(
    "lie",
    [
        ReadBytes(1, 1, 1, -1, 10, 0), ReadBytes(1, 1, 1, SIZE - 5, 10, 0), ReadBytes(1, 1, 1, 2**62, 1, 0),
        ReadBytes(1, 1, 1, 0, 0, 0), ReadBytes(1, 1, 1, 0, -1, 0), ReadBytes(1, 1, 1, 0, SLOT + 1, 0),
        ReadBytes(1, 1, 1, 0, 10, SLOTS), ReadBytes(1, 1, 1, 0, 10, -1),
    ],
)  # fmt: skip
def test_a_request_that_no_sound_worker_makes_is_refused(joined: Joined, lie: ReadBytes) -> None:
    with pytest.raises(WireError):
        joined.service.request(lie)


def test_requests_without_end_are_refused(joined: Joined) -> None:
    joined.stream.gate.clear()
    for number in range(MAX_OUTSTANDING):
        joined.service.request(ReadBytes(1, 1, 1000 + number, 0, 10, 0))
    with pytest.raises(WireError, match="requests wait"):
        joined.service.request(ReadBytes(1, 1, 2000, 0, 10, 0))
    joined.proxy.close()  # before those are answered
    joined.service.stop()


# ------------------------------------------------------------------------------------------------ an application's lies
def test_an_answer_to_no_request_is_refused(joined: Joined) -> None:
    joined.proxy.read_at(0, 10)
    for request in (0, -1, 1, 77):
        with pytest.raises(WireError, match="does not wait"):
            joined.proxy.answered(BytesRead(1, 1, request))


def test_a_window_that_could_shrink_or_is_of_another_size_is_refused() -> None:
    spec = ByteStreamSpec(1, "film", SIZE)
    bare = os.memfd_create("bare", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(bare, WINDOW)
        with pytest.raises(WireError, match="not sealed"):
            ByteStreamProxy(lambda _message: None, 1, spec, bare, lambda _number: None)
    finally:
        os.close(bare)
    small = RingWriter(WINDOW // 2)
    with pytest.raises(WireError, match="announced"):
        ByteStreamProxy(lambda _message: None, 1, spec, small.fd, lambda _number: None)
    small.close()
