"""What a scenario plays: the product's own source over a clip, with the abilities and failures that it names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from drm.app import FileByteStream, open_source
from drm.component import SourceCharacteristic
from drm.errors import DRMError, SessionShutdownError
from drm.session.topology import SinkActivate, SourceStreamNode, Topology
from sample_content.clip import Clip, make_clip
from tests.outputs import for_writing

__all__ = ["COMPONENTS", "MS", "Presentation", "make_clips", "options"]

COMPONENTS: Final = (Path(__file__).parent / "components" / "grab_sink",)
MS: Final = 10_000  # units of 100 ns in a millisecond
_GRAB: Final = UUID("77696e65-0000-4000-8000-000000000001")


def options(words: list[str]) -> dict[str, int]:
    """`["frames=60", "noseek"]` as a mapping; a word without a number counts as 1."""
    found = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            found[name] = int(value, 0) if value else 1
        except ValueError:
            found[name] = 1
    return found


def _clip(folder: Path, frames: int) -> Path:
    return folder / f"{frames}.mp4"


def make_clips(folder: Path, lengths: set[int]) -> None:
    """A silent clip of 30 frames a second for each length (frames). They are read by many threads at once."""
    for frames in lengths:
        if _clip(folder, frames).exists():
            continue
        made = Clip(width=160, height=90, frames=frames, gop=15, b_frames=0, sound=False)
        make_clip(_clip(folder, frames), made)


def _failure(number: int) -> DRMError:
    error = DRMError("the source of this scenario fails")
    error.hresult = number
    return error


class Source:
    """The product's source for MP4; raises what the scenario says."""

    def __init__(self, inner: Any, words: dict[str, int], tell: Callable[[str], None]) -> None:
        self._inner, self._words, self._tell = inner, words, tell
        self.is_dead = False
        able = SourceCharacteristic.DOES_NOT_USE_NETWORK
        able |= SourceCharacteristic(0) if "noseek" in words else SourceCharacteristic.CAN_SEEK
        able |= SourceCharacteristic(0) if "nopause" in words else SourceCharacteristic.CAN_PAUSE
        self.characteristics = able

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _refuse_dead(self) -> None:
        if self.is_dead:
            raise SessionShutdownError("the source was shut down")

    def streams(self) -> Any:
        self._refuse_dead()
        streams = self._inner.streams()
        if "codec" in self._words:
            replace = msgspec.structs.replace
            return tuple(replace(each, track=replace(each.track, codec="xxxx", decoder="")) for each in streams)
        return streams

    def select(self, stream_ids: Any, position: int = 0) -> None:
        self._refuse_dead()
        self._tell(f"Start({position // MS} ms)")
        if "startfails" in self._words:
            raise _failure(self._words["startfails"])
        if position and "noseek" in self._words:
            raise _failure(0xC00D36B2)
        self._inner.select(stream_ids, position)

    def on_pause(self) -> None:
        self._refuse_dead()
        self._tell("Pause")

    def on_stop(self) -> None:
        self._refuse_dead()
        self._tell("Stop")

    def on_shutdown(self) -> None:
        self._tell("Shutdown")

    def next_sample(self, stream_id: int) -> Any:
        self._refuse_dead()
        sample = self._inner.next_sample(stream_id)
        if sample is None:
            self._tell("no more samples")
        return sample

    def read_into(self, sample: Any, into: memoryview) -> None:
        self._refuse_dead()
        self._inner.read_into(sample, into)


class Presentation:
    """A topology, its source, and what its sink got. Close it."""

    def __init__(self, name: str, words: dict[str, int], clips: Path, tell: Callable[[str], None]) -> None:
        """`tell` takes what the source is told, as text. Raises what making the topology raises."""
        self.name = name
        self._stream = FileByteStream(_clip(clips, words.get("frames", 60)))
        self._output = os.memfd_create(name)
        self._handed = for_writing(self._output)
        self._forgotten = 0
        self.source = Source(open_source(self._stream), words, lambda text: tell(f"source {name}: {text}"))
        start, stop = (words[key] * MS if key in words else None for key in ("pstart", "pstop"))
        made: Topology[Any] = Topology(
            None if "nosource" in words else self.source, project_start=start, project_stop=stop
        )
        if "empty" not in words:
            node = SourceStreamNode(
                self.source.streams()[0],
                is_selected="unselected" not in words,
                media_start=words.get("mstart", 0) * MS,
                media_stop=words["mstop"] * MS if "mstop" in words else None,
            )
            made.connect(node, SinkActivate(_GRAB, {"rateless": "rateless" in words}, self._handed))
        self.topology = made

    def times(self) -> list[int]:
        """Of each frame that the sink got since `forget`: its presentation time, in ms."""
        text = os.pread(self._output, os.fstat(self._output).st_size, 0).decode()
        return [int(line) for line in text.split() if line != "closed"][self._forgotten :]

    def forget(self) -> None:
        """Count from here on."""
        self._forgotten += len(self.times())

    def close(self) -> None:
        self._stream.close()
        os.close(self._output)
        os.close(self._handed)
