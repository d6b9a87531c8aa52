"""The files that decryption is measured on: 20 and 200 MB of 1080p H.264, 20 MB of AAC, fragments of two seconds.

Made once and kept, since x264 needs two minutes for them; encrypted by our own packager.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final, NamedTuple

import av
import av.filter

from drm.encrypting.file import TrackEncryption, encrypt_file
from drm.keys import ContentKey, KeyId
from drm.media import Scheme, TrackType
from drm.whole_file import WholeFile
from sample_content.clip import Clip, make_clip

__all__ = ["KEY", "KEY_ID", "Case", "make_case", "make_clear"]

KEY_ID: Final = KeyId(hashlib.sha256(b"clearkey benchmark, key id").digest()[:16])
KEY: Final = hashlib.sha256(b"clearkey benchmark, key").hexdigest()[:32]  # published: it protects test pictures

_RATE: Final = 48_000  # hertz
_SOUND_FRAME: Final = 1024  # samples of an AAC frame
_SECONDS_OF_SOUND: Final = 1250  # 20 MB at 128 kbit/s
_FRAMES: Final = {20: 600, 200: 6000}  # pictures by megabytes


class Case(NamedTuple):
    """One file of the corpus."""

    megabytes: int
    kind: str  # "video" or "audio"
    scheme: Scheme
    is_progressive: bool = False

    @property
    def name(self) -> str:
        """What it is called in tables."""
        return f"{self.megabytes} MB {self.kind} {self.scheme.value}" + " progressive" * self.is_progressive


def make_clear(folder: Path, case: Case) -> Path:
    """The clear file; made when it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    clear = folder / f"decrypt_{case.megabytes}_{case.kind}_av{av.__version__}.mp4"
    if not clear.is_file():
        print(f"making {clear.name}, once ...", file=sys.stderr)
        _make_sound(clear) if case.kind == "audio" else make_clip(clear, _clip(case.megabytes))
        for sealed in folder.glob(f"{clear.stem}_*.mp4"):
            sealed.unlink()
    return _progressive(clear) if case.is_progressive else clear


def make_case(folder: Path, case: Case) -> tuple[Path, Path]:
    """The clear file and the encrypted one; made when they are not there."""
    clear = make_clear(folder, case)
    sealed = clear.with_name(f"{clear.stem}_{case.scheme.value}.mp4")
    if not sealed.is_file():
        told = TrackEncryption(KEY_ID, ContentKey.parse(KEY))
        encrypt_file(clear, sealed, scheme=case.scheme, tracks={TrackType(case.kind): told})
    return clear, sealed


def _clip(megabytes: int) -> Clip:
    return Clip(
        width=1920, height=1080, frames=_FRAMES[megabytes], gop=60, bitrate=8_000_000, preset="ultrafast", noise=12,
        sound=False, fragmented=True, threads=0,
    )  # fmt: skip


def _progressive(clear: Path) -> Path:
    """The same packets with one table of samples for all of them, in front."""
    target = clear.with_name(f"{clear.stem}_progressive.mp4")
    if not target.is_file():
        options = {"movflags": "faststart"}
        with (
            WholeFile(target) as file,
            av.open(str(clear)) as source,
            av.open(file.path, "w", format="mp4", options=options) as out,
        ):
            stream = out.add_stream_from_template(source.streams[0])
            for packet in source.demux():
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
    return target


def _make_sound(path: Path) -> None:
    """Noise with beeps, in AAC: nothing in it repeats."""
    graph = av.filter.Graph()
    count = _SECONDS_OF_SOUND * _RATE // _SOUND_FRAME
    nodes = [
        graph.add("anoisesrc", f"color=pink:seed=7:amplitude=0.4:sample_rate={_RATE}:nb_samples={_SOUND_FRAME}"),
        graph.add("aformat", "sample_fmts=fltp:channel_layouts=stereo"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    options = {"movflags": "empty_moov+default_base_moof", "frag_duration": "2000000"}
    with WholeFile(path) as file, av.open(file.path, "w", format="mp4", options=options) as out:
        stream = out.add_stream("aac", rate=_RATE, layout="stereo")
        stream.codec_context.bit_rate = 128_000
        for number in range(count):
            frame = graph.pull()
            assert isinstance(frame, av.AudioFrame)
            frame.pts = number * _SOUND_FRAME
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
