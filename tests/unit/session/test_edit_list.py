"""What an edit list makes of decoded frames (ISO/IEC 14496-12, 8.6.6), one row for each kind of list."""

from __future__ import annotations

import pytest

from drm.component import AudioFrame, VideoFrame
from drm.media import Edit, TrackInfo, TrackType
from drm.session.edit_list import EditList


def video(timescale: int, movie: int, *edits: Edit) -> EditList:
    return EditList(TrackInfo(1, TrackType.VIDEO, "avc1", timescale, movie, edits=edits))


def sound(timescale: int, movie: int, *edits: Edit) -> EditList:
    return EditList(TrackInfo(2, TrackType.AUDIO, "mp4a", timescale, movie, edits=edits))


def picture(pts: int, duration: int = 1000) -> VideoFrame:
    return VideoFrame(pts, duration, 2, 2, "gray", None)


def tone(pts: int, samples: int = 1024, rate: int = 48_000, timescale: int = 48_000) -> AudioFrame:
    return AudioFrame(pts, samples * timescale // rate, samples, rate, 2, "fltp", None)


VIDEO = [
    # presentation, pts in, pts out (None: not presented)
    ("no list", video(30_000, 1000), 5000, 5000),
    ("from 0", video(30_000, 1000, Edit(2000, 0)), 0, 0),
    ("B-frames' delay", video(30_000, 1000, Edit(2000, 2000)), 2000, 0),
    ("before the start", video(30_000, 1000, Edit(2000, 2000)), 1000, None),
    ("a picture across the start goes", video(30_000, 1000, Edit(2000, 2500)), 2000, None),
    ("the last one inside", video(30_000, 1000, Edit(2000, 2000)), 61_000, 59_000),
    ("at the end", video(30_000, 1000, Edit(2000, 2000)), 62_000, None),
    ("a duration of 0 has no end", video(30_000, 1000, Edit(0, 2000)), 10**9, 10**9 - 2000),
    ("an empty edit first", video(30_000, 1000, Edit(500, -1), Edit(2000, 0)), 0, 15_000),
    ("two empty edits", video(30_000, 1000, Edit(500, -1), Edit(100, -1), Edit(2000, 0)), 0, 18_000),
    ("an empty edit and nothing else", video(30_000, 1000, Edit(500, -1)), 0, 15_000),
    ("an empty edit behind counts for nothing", video(30_000, 1000, Edit(2000, 0), Edit(500, -1)), 0, 0),
    # 1001/30 s of a movie in milliseconds: 33 ms are 990 units of 30000, and the frame at 1001 is the next.
    ("a coarse movie clock rounds up", video(30_000, 7, Edit(1, 0)), 4285, 4285),
    ("and not further", video(30_000, 7, Edit(1, 0)), 4286, None),
    ("a movie clock of 0 breaks nothing", video(30_000, 0, Edit(5, 0)), 0, 0),
    ("large numbers stay exact", video(90_000, 90_000, Edit(2**52 + 1, 0)), 2**52, 2**52),
    ("and end exactly", video(90_000, 90_000, Edit(2**52 + 1, 0)), 2**52 + 1, None),
    ("negative times", video(30_000, 1000, Edit(2000, 0)), -1000, None),
]  # fmt: skip


@pytest.mark.parametrize(("presentation", "pts", "expected"), [row[1:] for row in VIDEO], ids=[row[0] for row in VIDEO])
def test_a_picture(presentation: EditList, pts: int, expected: int | None) -> None:
    frame = presentation.present(picture(pts))
    assert (frame and frame.pts) == expected if frame else expected is None


SOUND = [
    # presentation, frame in, (pts, duration, skipped samples) out
    ("priming of a whole frame", sound(48_000, 1000, Edit(0, 1024)), tone(0), None),
    ("the frame behind it", sound(48_000, 1000, Edit(0, 1024)), tone(1024), (0, 1024, 0)),
    ("a frame across the start", sound(48_000, 1000, Edit(0, 1000)), tone(0), (0, 24, 1000)),
    ("by one sample", sound(48_000, 1000, Edit(0, 1023)), tone(0), (0, 1, 1023)),
    ("in another timescale", sound(90_000, 1000, Edit(0, 1800)), tone(0, timescale=90_000), (0, 120, 960)),
    ("shifted by an empty edit", sound(48_000, 1000, Edit(20, -1), Edit(0, 1000)), tone(0), (960, 24, 1000)),
    ("at the end", sound(48_000, 48_000, Edit(2048, 1024)), tone(3072), None),
    ("the last inside", sound(48_000, 48_000, Edit(2048, 1024)), tone(2048), (1024, 1024, 0)),
]


@pytest.mark.parametrize(("presentation", "frame", "expected"), [row[1:] for row in SOUND], ids=[r[0] for r in SOUND])
def test_sound(presentation: EditList, frame: AudioFrame, expected: tuple[int, int, int] | None) -> None:
    out = presentation.present(frame)
    if out is None:
        assert expected is None
    else:
        assert (out.pts, out.duration, out.skip) == expected


def test_a_list_that_is_not_followed_whole_is_named() -> None:
    assert "2 edits" in video(30_000, 1000, Edit(1000, 0), Edit(1000, 60_000)).note
    assert not video(30_000, 1000, Edit(500, -1), Edit(1000, 0)).note
