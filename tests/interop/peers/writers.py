"""What the peers encrypt for us to read: each program's schemes and the settings that change the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import av

from drm.cenc.dialect import Dialect
from tests.interop.peers.clips import FRAGMENTED, PROGRESSIVE, Clip, Clips
from tests.interop.peers.programs import Program
from tests.interop.peers.sealed import KEYS

Make = Callable[[Program, Clip, Path], None]
_IV = {"video": "ee0102030405060708090a0b0c0d0e0f", "audio": "0a1b2c3d4e5f60710a1b2c3d4e5f6072"}
_PERIODS: Final = 4  # more than a clip has
# All but Shaka Packager encrypt the last partial block of cens sound.
_PARTIAL = frozenset({Dialect.CENS_PARTIAL_BLOCK_IS_ENCRYPTED})


@dataclass(frozen=True)
class Case:
    """One file that a peer writes."""

    program: str
    said: str
    codecs: str
    layout: str  # of the clear file; what the peer makes of it is its own
    make: Make
    dialects: frozenset[Dialect] = frozenset()  # to be told to us for it

    @property
    def name(self) -> str:
        return f"{self.program}, {self.said}, {self.codecs}, {self.layout}"

    @property
    def file_name(self) -> str:
        """For the encrypted file: some peers go by its ending."""
        return "sealed.webm" if self.layout == "webm" else "sealed.mp4"

    def clip(self, clips: Clips) -> Clip:
        return clips.webm(self.codecs) if self.layout == "webm" else clips(self.codecs, self.layout)

    def keys(self, clip: Clip) -> dict[str, str]:
        """Key by KID: of each track, and those that Packager makes of them for later periods, byte after byte."""
        return {
            kid[2 * turn :] + kid[: 2 * turn]: key[2 * turn :] + key[: 2 * turn]
            for kid, key, _ in (KEYS[kind] for kind in clip.kinds)
            for turn in range(_PERIODS)
        }


# ------------------------------------------------------------------------------------------------ Bento4
def _mp4encrypt(method: str, *options: str) -> Make:
    def make(program: Program, clip: Clip, target: Path) -> None:
        words = ["--method", method]
        for kind, number in clip.track_ids.items():
            kid, key, _ = KEYS[kind]
            iv = _IV[kind] if "CB" in method else _IV[kind][:16]
            words += ["--key", f"{number}:{key}:{iv}", "--property", f"{number}:KID:{kid}"]
        for option in options:
            words += ["--global-option", f"mpeg-cenc.{option}:true"]
        program.run(*words, clip.path, target, makes=target)

    return make


def _bento4() -> Iterator[Case]:
    for method in ("MPEG-CENC", "MPEG-CENS", "MPEG-CBC1", "MPEG-CBCS", "PIFF-CTR", "PIFF-CBC"):
        dialects = _PARTIAL if method == "MPEG-CENS" else frozenset()
        yield Case("mp4encrypt", method, "avc+aac", FRAGMENTED, _mp4encrypt(method), dialects)
    for option in ("iv-size-8", "no-senc", "piff-compatible"):
        yield Case("mp4encrypt", f"MPEG-CENC {option}", "avc+aac", FRAGMENTED, _mp4encrypt("MPEG-CENC", option))
    for method in ("MPEG-CENS", "MPEG-CBC1"):
        yield Case("mp4encrypt", method, "avc in slices", FRAGMENTED, _mp4encrypt(method))
    for codec in ("avc in slices", "hevc", "av1", "ac-3"):
        for method in ("MPEG-CENC", "MPEG-CBCS"):
            yield Case("mp4encrypt", method, codec, FRAGMENTED, _mp4encrypt(method))


# ------------------------------------------------------------------------------------------------ Shaka Packager
def _packager(scheme: str, *options: str, iv: str = _IV["video"]) -> Make:
    def make(program: Program, clip: Clip, target: Path) -> None:
        (kind,) = clip.kinds  # it writes a file for each track
        kid, key, _ = KEYS[kind]
        program.run(
            f"in={clip.path},stream={kind},output={target}", "--quiet", "--enable_raw_key_encryption",
            "--keys", f"label=:key_id={kid}:key={key}", "--protection_scheme", scheme, "--iv", iv,
            "--segment_duration", "1", "--fragment_duration", "1", *_lead(options), makes=target,
        )  # fmt: skip

    return make


def _lead(options: tuple[str, ...]) -> tuple[str, ...]:
    return options if "--clear_lead" in options else ("--clear_lead", "0", *options)


def _shaka() -> Iterator[Case]:
    for scheme in ("cenc", "cens", "cbc1", "cbcs"):
        for codec in ("avc", "aac", "avc in slices"):
            yield Case("packager", scheme, codec, PROGRESSIVE, _packager(scheme))
    for said, made in {
        "cenc, IVs of 8 bytes": _packager("cenc", iv=_IV["video"][:16]),
        "cenc, an IV that wraps": _packager("cenc", iv="a0a1a2a3a4a5a6a7fffffffffffffffe"),
        "cbcs 2:8": _packager("cbcs", "--crypt_byte_block", "2", "--skip_byte_block", "8"),
        "cbcs 10:0": _packager("cbcs", "--crypt_byte_block", "10", "--skip_byte_block", "0"),
        "cens 2:3": _packager("cens", "--crypt_byte_block", "2", "--skip_byte_block", "3"),
        "cenc, clear lead": _packager("cenc", "--clear_lead", "1"),
        "cbcs, clear lead": _packager("cbcs", "--clear_lead", "1"),
        "cenc, a key a second": _packager("cenc", "--crypto_period_duration", "1"),
        "cbcs, a key a second": _packager("cbcs", "--crypto_period_duration", "1"),
    }.items():
        yield Case("packager", said, "avc", PROGRESSIVE, made)
    rotating = _packager("cenc", "--crypto_period_duration", "1")
    yield Case("packager", "cenc, a key a second", "aac", PROGRESSIVE, rotating)
    for codec in ("avc", "aac"):
        yield Case("packager", "cbcs", codec, FRAGMENTED, _packager("cbcs"))
    for codec in ("hevc", "av1", "vp9", "ac-3", "opus", "flac"):
        for scheme in ("cenc", "cbcs"):
            yield Case("packager", scheme, codec, PROGRESSIVE, _packager(scheme))
    for codec in ("vp8", "vp9", "opus"):
        yield Case("packager", "cenc", codec, "webm", _packager("cenc", iv=_IV["video"][:16]))
    whole = _packager("cenc", "--vp9_subsample_encryption=false", iv=_IV["video"][:16])
    yield Case("packager", "cenc, whole blocks", "vp9", "webm", whole)
    lead = _packager("cenc", "--clear_lead", "1", iv=_IV["video"][:16])
    yield Case("packager", "cenc, clear lead", "vp8", "webm", lead)


# ------------------------------------------------------------------------------------------------ GPAC
_TYPES = {
    "cenc": "CENC AES-CTR",
    "cens": "CENC AES-CTR Pattern",
    "cbc1": "CENC AES-CBC",
    "cbcs": "CENC AES-CBC Pattern",
}
_WITH_IVS = 'IV_size="{0}" first_IV="0x{1}"'


def _drm_file(program: Program, clip: Clip, scheme: str, attributes: str) -> Path:
    tracks = []
    for kind, number in clip.track_ids.items():
        kid, key, _ = KEYS[kind]
        keys = f'<key KID="0x{kid}" value="0x{key}"/>'
        if "keyRoll" in attributes or "multiKey" in attributes:
            keys += f'<key KID="0x{kid[2:]}{kid[:2]}" value="0x{key[2:]}{key[:2]}"/>'
        tracks.append(f'<CrypTrack trackID="{number}" IsEncrypted="1" {attributes}>{keys}</CrypTrack>')
    path = program.folder / "gpac_encrypt.xml"
    told = f'<?xml version="1.0"?>\n<GPACDRM type="{_TYPES[scheme]}">\n{"".join(tracks)}\n</GPACDRM>\n'
    path.write_text(told, encoding="ascii")
    return path


def _mp4box(scheme: str, attributes: str) -> Make:
    def make(program: Program, clip: Clip, target: Path) -> None:
        told = _drm_file(program, clip, scheme, attributes)
        program.run("-quiet", "-crypt", told, clip.path, "-out", target, makes=target)

    return make


def _gpac(scheme: str, attributes: str, output: str = "frag:cdur=1") -> Make:
    def make(program: Program, clip: Clip, target: Path) -> None:
        told = _drm_file(program, clip, scheme, attributes)
        program.run("-quiet", "-i", clip.path, f"cecrypt:cfile={told}", "@", "-o", f"{target}:{output}", makes=target)

    return make


def _of_gpac() -> Iterator[Case]:
    iv8 = _WITH_IVS.format(8, _IV["video"][:16])
    iv16 = _WITH_IVS.format(16, _IV["video"])
    constant = f'constant_IV_size="16" constant_IV="0x{_IV["video"]}"'
    one_nine = 'crypt_byte_block="1" skip_byte_block="9"'
    told = {
        "cenc": ("cenc", iv8),
        "cenc, IVs of 16 bytes": ("cenc", iv16),
        "cens": ("cens", f"{iv16} {one_nine}"),
        "cbc1": ("cbc1", iv16),
        "cbcs": ("cbcs", f"{constant} {one_nine}"),
        "cbcs 2:8": ("cbcs", f'{constant} crypt_byte_block="2" skip_byte_block="8"'),
        "cbcs, an IV of its own for each sample": ("cbcs", f"{iv16} {one_nine}"),
    }
    for said, (scheme, attributes) in told.items():
        dialects = _PARTIAL if scheme == "cens" else frozenset()
        yield Case("MP4Box", said, "avc+aac", PROGRESSIVE, _mp4box(scheme, attributes), dialects)
        yield Case("gpac", said, "avc+aac", PROGRESSIVE, _gpac(scheme, attributes), dialects)
    for said, extra in {
        "clear lead, clear description first": 'selectiveType="ForceClear=1" clearStsd="before"',
        "clear lead, clear description last": 'selectiveType="ForceClear=1" clearStsd="after"',
        "sync samples alone": 'selectiveType="RAP"',
        "keys in turn": 'keyRoll="rap"',
        "data in PIFF's box": 'saiSavedBox="uuid_psec"',
        "data without a box": 'saiSavedBox="none"',
        "parts that end inside blocks": 'blockAlign="disable"',
        "samples of two keys": 'multiKey="on"',
    }.items():
        yield Case("MP4Box", f"cenc, {said}", "avc", PROGRESSIVE, _mp4box("cenc", f"{iv16} {extra}"))
        yield Case("gpac", f"cenc, {said}", "avc", PROGRESSIVE, _gpac("cenc", f"{iv16} {extra}"))
    turns = _gpac("cbcs", f'{constant} {one_nine} keyRoll="rap"', "frag:cdur=1:sgpd_traf")
    yield Case("gpac", "cbcs, keys in turn, told in each fragment", "avc", PROGRESSIVE, turns)
    for codec in ("avc in slices", "hevc", "av1", "vp9", "ac-3"):
        yield Case("MP4Box", "cenc", codec, PROGRESSIVE, _mp4box("cenc", iv8))
        if codec == "vp9":  # "Encryption mode cbcs is not supported with VP8/VP9, only cenc is"
            yield Case("gpac", "cenc", codec, PROGRESSIVE, _gpac("cenc", iv8))
        else:
            yield Case("gpac", "cbcs", codec, PROGRESSIVE, _gpac("cbcs", f"{constant} {one_nine}"))


# ------------------------------------------------------------------------------------------------ FFmpeg
def _ffmpeg(*options: str) -> Make:
    def make(program: Program, clip: Clip, target: Path) -> None:
        kid, key, _ = KEYS[clip.kinds[0]]
        program.run("-v", "error", "-y", "-i", clip.path, "-map", "0", "-c", "copy", *options,
                    "-encryption_scheme", "cenc-aes-ctr", "-encryption_key", key, "-encryption_kid", kid,
                    "-f", "mp4", target, makes=target)  # fmt: skip

    return make


def _pyav(movflags: str) -> Make:
    def make(_program: Program, clip: Clip, target: Path) -> None:
        kid, key, _ = KEYS[clip.kinds[0]]
        told = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": kid, "movflags": movflags}
        with av.open(str(clip.path)) as source, av.open(str(target), "w", format="mp4", options=told) as out:
            made = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in source.streams}
            for packet in source.demux():
                if packet.size:
                    packet.stream = made[packet.stream.index]
                    out.mux(packet)

    return make


def _of_ffmpeg() -> Iterator[Case]:
    movflags = "+frag_keyframe+empty_moov+default_base_moof"
    yield Case("PyAV", "cenc", "avc+aac", PROGRESSIVE, _pyav("+faststart"))
    yield Case("PyAV", "cenc, in fragments", "avc+aac", PROGRESSIVE, _pyav(movflags))
    for program in ("ffmpeg 8", "ffmpeg 5"):
        for codec in ("avc+aac", "hevc", "av1"):
            yield Case(program, "cenc", codec, PROGRESSIVE, _ffmpeg())
            yield Case(program, "cenc, in fragments", codec, PROGRESSIVE, _ffmpeg("-movflags", movflags))


CASES: Final = (*_bento4(), *_shaka(), *_of_gpac(), *_of_ffmpeg())
