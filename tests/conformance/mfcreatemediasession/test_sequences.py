"""Presentation times of sequences, of parts of files, and of editing sessions (MF_SESSION_GLOBAL_TIME)."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest

from drm.hresult import HResult
from drm.media import TrackType
from drm.session.events import MediaEvent
from drm.session.events import MediaEventType as E
from drm.session.media_session import TimeFormat
from drm.session.topology import SourceStreamNode, Topology
from tests.conformance.mfcreatemediasession.world import OK, SECOND, Stage, kinds, raises_code

PICTURE, SOUND = 15_360, 48_000  # units of a second in the clips
STEP = PICTURE // 30  # from one picture to the next


@pytest.fixture(scope="session")
def ten(clips: Callable[..., Path]) -> Path:
    """Ten seconds of pictures, and nothing else."""
    return clips(frames=300, gop=30, width=64, height=36, sound=False)


@pytest.fixture
def global_time(create: Callable[..., object], ten: Path) -> Iterator[Stage]:
    """An editing session of either kind."""
    stage = Stage(create(global_time=True), ten)
    yield stage
    stage.close()


def stamps(at: Stage, stream: int = 0) -> list[tuple[int, str]]:
    """Presentation time, in the track's units, and hash of each frame that came out."""
    rows = [line.replace(" ", "").split(",") for line in at.lines()]
    return [(int(row[2]), row[5]) for row in rows if int(row[0]) == stream]


def announced(events: list[MediaEvent]) -> list[tuple[object, object]]:
    told = (event.values for event in events if event.type == E.SESSION_NOTIFY_PRESENTATION_TIME)
    return [(values["start_time"], values["offset"]) for values in told]


# ---------------------------------------------------------------------------------------- playlists


def test_the_second_of_a_sequence_is_stamped_where_the_first_ended(at: Stage, ten: Path) -> None:
    """S1 is ten seconds long and S2 begins at five seconds of its media: its first sample gets 5 + 10 - 5 = 10 s."""
    at.set(path=ten)
    at.set(path=ten, media=(5 * SECOND, None))
    at.to_the_end()
    found = stamps(at)
    assert [moment for moment, _hash in found] == [number * STEP for number in range(450)]
    assert found[300][0] == 10 * PICTURE
    whole = [digest for _moment, digest in found[:300]]
    assert [digest for _moment, digest in found[300:]] == whole[150:]
    assert announced(at.seen) == [(0, 0), (10 * SECOND, 5 * SECOND)]


def test_a_part_ends_at_its_media_stop_and_the_next_begins_there_exactly(at: Stage) -> None:
    """The packet of sound that lies across the stop does not push the next one back."""
    at.set(media=(SECOND // 2, SECOND))
    at.set(media=(0, SECOND // 2))
    at.to_the_end()
    assert announced(at.seen) == [(0, -(SECOND // 2)), (SECOND // 2, SECOND // 2)]
    pictures = stamps(at, 0)
    assert [moment for moment, _hash in pictures] == [number * STEP for number in range(30)]
    sound = [moment for moment, _hash in stamps(at, 1)]
    assert sound[0] == 0  # from the exact sample, in the middle of a packet
    assert SOUND // 2 in sound
    assert max(sound) < SOUND


def test_each_branch_has_its_own_start_and_stop(at: Stage) -> None:
    source = at.source()
    topology: Topology[object] = Topology(source)
    (picture, sound), sink = source.streams(), at.hashes()
    topology.connect(SourceStreamNode(picture, media_start=SECOND, media_stop=2 * SECOND), sink)
    topology.connect(SourceStreamNode(sound, media_start=0, media_stop=SECOND // 4), sink)
    at.session.set_topology(topology)
    at.to_the_end()
    rows = [line.replace(" ", "").split(",") for line in at.lines()]
    by_kind = {kind: [int(row[2]) for row in rows if row[0] == kind] for kind in "01"}
    assert by_kind == {"0": [number * STEP for number in range(30)], "1": [number * 1024 for number in range(12)]}


def test_a_seek_starts_at_the_time_in_the_segment(at: Stage, ten: Path) -> None:
    first, second = at.ready(at.in_time(), path=ten), at.set(path=ten, media=(5 * SECOND, None))
    at.session.start()
    at.until(E.SESSION_STARTED)
    at.session.start((second.topology_id, 2 * SECOND), TimeFormat.SEGMENT_OFFSET)
    told = at.until(E.SESSION_STARTED)
    assert announced(told) == [(0, -5 * SECOND)]  # the seconds of the first do not count
    assert told[-1].values["presentation_time_offset"] == -5 * SECOND
    at.until(E.SESSION_ENDED)
    found = stamps(at)
    assert [moment for moment, _hash in found] == [number * STEP for number in range(60, 150)]
    with raises_code(HResult.E_INVALIDARG):
        at.session.get_full_topology(first.topology_id)


@pytest.mark.parametrize("wanted", ["unknown", "beyond the end"])
def test_a_segment_or_a_place_in_it_that_there_is_not(at: Stage, wanted: str) -> None:
    at.playing()
    waiting = at.set()
    position = (waiting.topology_id + 99, 0) if wanted == "unknown" else (waiting.topology_id, 9 * SECOND)
    at.session.start(position, TimeFormat.SEGMENT_OFFSET)
    code = HResult.E_INVALIDARG if wanted == "unknown" else HResult.MF_E_INVALID_POSITION
    assert at.outcome(E.SESSION_STARTED) == code
    assert at.session.get_full_topology(waiting.topology_id)  # it waits on
    at.session.pause()
    assert at.outcome(E.SESSION_PAUSED) == OK  # and the first plays on


def test_entries_are_counted_from_the_current_one(at: Stage, ten: Path) -> None:
    at.ready(at.in_time(), path=ten)
    at.set(path=ten)
    at.set(path=ten, media=(9 * SECOND, None))
    for wrong in (-1, 3):
        at.session.start(wrong, TimeFormat.ENTRY_RELATIVE)
        assert at.outcome(E.SESSION_STARTED) == HResult.E_INVALIDARG
    at.session.start(2, TimeFormat.ENTRY_RELATIVE)
    assert at.outcome(E.SESSION_STARTED) == OK
    at.until(E.SESSION_ENDED)
    assert [moment for moment, _hash in stamps(at)] == [number * STEP for number in range(30)]


def test_after_a_stop_in_the_second_it_begins_at_its_own_beginning(at: Stage, ten: Path) -> None:
    at.ready(path=ten, media=(0, SECOND // 10))
    second = at.set(at.in_time(), path=ten)
    at.session.start()
    at.until_status(second, 300)
    at.session.stop()
    assert at.outcome(E.SESSION_STOPPED) == OK
    at.session.start()
    assert at.until(E.SESSION_STARTED)[-1].values["presentation_time_offset"] == 0
    assert at.time() < 0.25


# ---------------------------------------------------------------------------------------- editing sessions


def test_global_time_every_topology_says_where_it_lies(global_time: Stage) -> None:
    at = global_time
    for project in (None, (SECOND, SECOND), (2 * SECOND, SECOND), (-1, SECOND)):
        with raises_code(HResult.MF_E_TOPO_INVALID_TIME_ATTRIBUTES):
            at.session.set_topology(at.topology(project=project))
    at.no_more_events(0.1)


def test_without_global_time_none_does(at: Stage) -> None:
    with raises_code(HResult.MF_E_TOPO_INVALID_TIME_ATTRIBUTES):
        at.session.set_topology(at.topology(project=(0, SECOND)))


def test_global_time_segments_lie_where_they_say(global_time: Stage) -> None:
    at = global_time
    at.set(project=(SECOND, 2 * SECOND), media=(3 * SECOND, None))
    at.set(project=(4 * SECOND, 5 * SECOND))
    at.to_the_end()
    found = stamps(at)
    assert [moment for moment, _hash in found] == [number * STEP for number in (*range(30, 60), *range(120, 150))]
    assert announced(at.seen) == [(SECOND, -2 * SECOND), (4 * SECOND, 4 * SECOND)]


@pytest.mark.parametrize("moment", [SECOND + SECOND // 2, 4 * SECOND + SECOND // 2])
def test_global_time_a_seek_is_a_time_of_the_project(global_time: Stage, moment: int) -> None:
    at = global_time
    at.ready(project=(SECOND, 2 * SECOND))
    at.set(project=(4 * SECOND, 5 * SECOND))
    at.session.start(moment)
    at.until(E.SESSION_ENDED)
    first = moment * 30 // SECOND
    later = range(120, 150) if moment < 4 * SECOND else range(0)
    until = 60 if moment < 4 * SECOND else 150
    assert [each for each, _hash in stamps(at)] == [number * STEP for number in (*range(first, until), *later)]


def test_global_time_a_segment_offset_counts_from_its_project_start(global_time: Stage) -> None:
    at = global_time
    at.ready(project=(SECOND, 2 * SECOND))
    second = at.set(project=(4 * SECOND, 5 * SECOND))
    at.session.start((second.topology_id, SECOND // 2), TimeFormat.SEGMENT_OFFSET)
    assert at.until(E.SESSION_STARTED)[-1].values["presentation_time_offset"] == 4 * SECOND
    at.until(E.SESSION_ENDED)
    assert [moment for moment, _hash in stamps(at)] == [number * STEP for number in range(135, 150)]


def test_global_time_a_gap_of_the_project_holds_nothing(global_time: Stage) -> None:
    at = global_time
    at.ready(project=(SECOND, 2 * SECOND))
    at.set(project=(4 * SECOND, 5 * SECOND))
    for nowhere in (0, 3 * SECOND, 5 * SECOND):
        at.session.start(nowhere)
        assert at.outcome(E.SESSION_STARTED) == HResult.MF_E_INVALID_POSITION


# ---------------------------------------------------------------------------------------- seeks, to the frame

LAYOUTS = {"progressive": {}, "fragmented": {"fragmented": True}, "no B-frames": {"b_frames": 0}}
POSITIONS = [0, SECOND // 2, 7_000_000, 7_333_334, 12_345_678, 19_900_000]


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pictures_of_a_seek_are_the_rest_of_the_whole(
    local: Callable[..., Stage], clips: Callable[..., Path], layout: str, position: int
) -> None:
    """With B-frames a file has an edit list, which sets its first picture to 0."""
    at = local(clips(**LAYOUTS[layout]))
    at.ready()
    at.to_the_end()
    whole = stamps(at)
    at.forget_lines()
    at.session.start(position)
    assert at.outcome(E.SESSION_STARTED) == OK
    at.until(E.SESSION_ENDED)
    # The picture that is on the screen at that moment comes first, whole.
    assert stamps(at) == [row for row in whole if (row[0] + STEP) * SECOND > position * PICTURE]
    assert stamps(at, 1)[0][0] == round(position * SOUND / SECOND)


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Two seconds of AAC without noise substitution (ISO/IEC 14496-3, 4.6.13), which no decoder repeats."""
    folder = tmp_path_factory.mktemp("tones")

    def make(layout: str) -> Path:
        path = folder / f"{layout}.mp4"
        movflags = {"movflags": "frag_keyframe+delay_moov+default_base_moof"} if layout == "fragmented" else {}
        with av.open(str(path), "w", format="mp4", options=movflags) as out:
            stream = out.add_stream("aac", rate=SOUND, layout="mono")
            stream.options = {"aac_pns": "0"}
            for start in range(0, 2 * SOUND, 1024):
                frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
                wave = array("f", (math.sin(start * start / 9e7 + at / 15) / 2 for at in range(start, start + 1024)))
                frame.planes[0].update(wave.tobytes())
                frame.pts, frame.sample_rate = start, SOUND
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        return path

    return make


@pytest.mark.parametrize("layout", ["progressive", "fragmented"])
def test_the_sound_of_a_seek_is_the_rest_of_the_whole_from_the_exact_sample(
    local: Callable[..., Stage], tones: Callable[[str], Path], layout: str
) -> None:
    at = local(tones(layout))
    at.ready()
    at.to_the_end()
    whole = stamps(at)
    assert len({digest for _moment, digest in whole}) > 90
    for position in POSITIONS:
        at.forget_lines()
        at.session.start(position)
        assert at.outcome(E.SESSION_STARTED) == OK
        at.until(E.SESSION_ENDED)
        begin = round(position * SOUND / SECOND)
        rest = stamps(at)
        assert rest[0][0] == begin
        assert rest[1:] == [row for row in whole if row[0] > begin]
        if rest[1:]:
            assert int(at.lines()[0].split(",")[4]) == 2 * (rest[1][0] - begin)  # mono, 16 bits


def test_frames_come_in_the_order_of_presentation(at: Stage) -> None:
    at.ready()
    at.to_the_end()
    rows = [line.replace(" ", "").split(",") for line in at.lines()]
    moments = [int(row[2]) / (PICTURE if row[0] == "0" else SOUND) for row in rows]
    assert moments == sorted(moments)
    assert E.SESSION_ENDED in kinds(at.seen)
    assert [stream.track.type for stream in at.source().streams()] == [TrackType.VIDEO, TrackType.AUDIO]
