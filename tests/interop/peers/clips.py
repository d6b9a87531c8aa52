"""Clear clips to encrypt: the vectors' originals, their packets muxed anew in the layouts that are tried."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av

CLEAR = Path(__file__).parents[2] / "data" / "vectors" / "clear"
FRAGMENTED, PROGRESSIVE = "fragmented", "progressive"
# Further ways to lay out the clear file, which an encrypter has to correct differently.
INDEXED = "fragmented, with sidx"
ABSOLUTE = "fragmented, offsets from the file's start"
SEPARATE = "fragmented, a moof for each track"
MOOV_LAST = "progressive, moov last"

# What a clip has, and from which original: codecs that share a file are joined by a plus.
_ORIGINALS = {
    "avc": "src_avc_aac.mp4",
    "aac": "src_avc_aac.mp4",
    "avc+aac": "src_avc_aac.mp4",
    "avc in slices": "src_avc_slices.mp4",
    "hevc": "src_hevc.mp4",
    "av1": "src_av1.mp4",
    "vp9": "src_vp9.mp4",
    "ac-3": "src_ac3.mp4",
    "opus": "src_opus.webm",
    "flac": "src_avc_aac.mp4",  # its sound, encoded anew
}
PLAIN = str.maketrans(" ", "_", ",:'")
"""Makes a name of a file: some peers take commas and colons in one for words of their own."""
_SOUND = frozenset({"aac", "ac-3", "opus", "flac"})
_MOVFLAGS = {
    # Fragments of a second; delay_moov, because what describes AC-3 is read from its first packet.
    FRAGMENTED: {"movflags": "frag_keyframe+delay_moov+default_base_moof", "frag_duration": "1000000"},
    PROGRESSIVE: {"movflags": "faststart"},
    INDEXED: {"movflags": "frag_keyframe+delay_moov+default_base_moof+global_sidx", "frag_duration": "1000000"},
    ABSOLUTE: {"movflags": "frag_keyframe+delay_moov", "frag_duration": "1000000"},
    SEPARATE: {"movflags": "frag_keyframe+delay_moov+default_base_moof+separate_moof", "frag_duration": "1000000"},
    MOOV_LAST: {},
}


@dataclass(frozen=True)
class Clip:
    """One clear file. Its tracks are numbered from 1, video before sound."""

    path: Path
    codecs: str
    layout: str

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of its tracks, in their order: "video", "audio"."""
        return tuple("audio" if codec in _SOUND else "video" for codec in self.codecs.split("+"))

    @property
    def track_ids(self) -> dict[str, int]:
        return {kind: number for number, kind in enumerate(self.kinds, 1)}


class Clips:
    """Makes each clip once, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, codecs: str, layout: str) -> Clip:
        clip = Clip(self._folder / f"{codecs} {layout}.mp4".translate(PLAIN), codecs, layout)
        if not clip.path.exists():
            _make(clip)
        return clip

    @staticmethod
    def webm(name: str) -> Clip:
        """One of the vectors' own originals, `vp8`, `vp9` or `opus`."""
        return Clip(CLEAR / f"src_{name}.webm", name, "webm")


def _make(clip: Clip) -> None:
    options = {**_MOVFLAGS[clip.layout], "fflags": "+bitexact"}
    beside = clip.path.with_suffix(".part")
    with (
        av.open(str(CLEAR / _ORIGINALS[clip.codecs])) as source,
        av.open(str(beside), "w", format="mp4", options=options) as out,
    ):
        streams = [getattr(source.streams, kind)[0] for kind in clip.kinds]
        if clip.codecs == "flac":
            _encode_flac(source, out)
        else:
            made = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in streams}
            if clip.codecs == "hevc":
                # hev1, the muxer's choice, allows parameter sets in samples, and MP4Box then adds them to some.
                made[streams[0].index].codec_tag = "hvc1"
            for packet in source.demux(streams):
                if packet.size:
                    packet.stream = made[packet.stream.index]
                    out.mux(packet)
    beside.rename(clip.path)


def _encode_flac(source: av.container.InputContainer, out: av.container.OutputContainer) -> None:
    stream = out.add_stream("flac", rate=source.streams.audio[0].rate, layout="stereo")
    stream.options = {"flags": "+bitexact"}
    stream.codec_context.thread_count = 1
    to_s16 = av.AudioResampler(format="s16", layout="stereo", rate=stream.rate, frame_size=4096)
    for frame in source.decode(audio=0):
        for converted in to_s16.resample(frame):
            out.mux(stream.encode(converted))
    out.mux(stream.encode(None))
