"""What the boxes of an MP4 file say, in a line each and a few below it: those about encryption with every field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from drm.isobmff.fragment import Tfdt, Tfhd, Trun
from drm.isobmff.movie import Hdlr, Tkhd
from drm.isobmff.protection import PIFF_TENC, Frma, PiffTenc, Schm, Tenc
from drm.isobmff.pssh.box import Pssh
from drm.isobmff.reader import Reader, printable
from drm.isobmff.sample_aux import PIFF_SENC, Saio, Saiz
from drm.isobmff.sample_group import FRAGMENT_INDEX, Csgp, Sbgp, Seig, SeigKey, Sgpd, grouping_type
from player.verbs.inspect.report import PsshReport, pattern_text
from player.verbs.inspect.senc_details import IvSizes, senc_details

__all__ = ["Details", "IvSizes", "describe"]

Details: TypeAlias = tuple[str, tuple[str, ...]]
"""What stands on the line of a box, and the lines below it."""

_MOST: Final = 8  # lines below a box; how many more there are is said
_ALGORITHMS: Final = {0: "not encrypted", 1: "AES-CTR", 2: "AES-CBC"}


def describe(r: Reader, ivs: IvSizes) -> Details:
    """Say what the box at `r` tells; nothing for boxes that do not matter here. Raises MediaError for a broken one.

    Boxes come in the order of the file: what `tenc` and `seig` say of IVs is kept in `ivs`, for `senc` to be read.
    """
    if r.uuid == PIFF_TENC:
        return _piff_tenc(r, ivs)
    if r.uuid == PIFF_SENC or r.type == "senc":
        return senc_details(r, ivs)
    if r.type in {"sgpd", "sbgp", "csgp"}:
        return _group(r, ivs)
    if r.type == "tenc":
        return _tenc(r, ivs)
    if r.type in {"tkhd", "tfhd"}:
        ivs.enter(Tkhd.parse(r.copy()).track_id if r.type == "tkhd" else Tfhd.parse(r.copy()).track_id)
    found = _DETAILS.get(r.type)
    return found(r) if found else ("", ())


def _few(lines: list[str], total: int | None = None) -> tuple[str, ...]:
    total = len(lines) if total is None else total
    return (*lines[:_MOST], f"… {total - _MOST} more") if total > _MOST else tuple(lines)


# ------------------------------------------------------------------------------------------------ how it is protected
def _iv_text(iv_size: int, constant_iv: bytes) -> str:
    return f"IV of {iv_size} bytes in each sample" if iv_size else f"constant IV {constant_iv.hex() or 'missing'}"


def _pattern(crypt: int, skip: int) -> str:
    return f", pattern {pattern_text(crypt, skip)}" if crypt or skip else ""


def _tenc(r: Reader, ivs: IvSizes) -> Details:
    box = Tenc.parse(r)
    if not box.is_protected:
        return f"not protected by default, KID {box.key_id}", ()
    ivs.tell(box.iv_size)
    below = f"version {box.version}, {_iv_text(box.iv_size, box.constant_iv)}"
    return f"KID {box.key_id}", (below + _pattern(box.crypt_blocks, box.skip_blocks),)


def _piff_tenc(r: Reader, ivs: IvSizes) -> Details:
    box = PiffTenc.parse(r)
    ivs.tell(box.iv_size)
    algorithm = _ALGORITHMS.get(box.algorithm, f"algorithm {box.algorithm}")
    return f"PIFF tenc: KID {box.key_id}", (f"{algorithm}, IV of {box.iv_size} bytes in each sample",)


def _group(r: Reader, ivs: IvSizes) -> Details:
    kind = grouping_type(r)
    if kind != "seig":
        return f"groups of type {printable(kind)}", ()
    if r.type == "csgp":
        return _csgp(r)
    return _sgpd(r, ivs) if r.type == "sgpd" else _sbgp(r)


def _csgp(r: Reader) -> Details:
    patterns = Csgp.parse(r).patterns
    lines = [f"{samples} samples in turn: {len(groups)} groups" for samples, groups in patterns[: 2 * _MOST]]
    total = len(patterns)
    return f"seig, {total} {'pattern' if total == 1 else 'patterns'}", _few(lines, total)


def _sgpd(r: Reader, ivs: IvSizes) -> Details:
    box = Sgpd.parse(r)
    lines: list[str] = []
    for number, entry in enumerate(box.entries, 1):
        ivs.tell(entry.iv_size, tuple(key.iv_size for key in entry.keys))
        if len(lines) < 2 * _MOST:
            lines += _seig(number, entry)
    default = f", default {box.default_index}" if box.default_index else ""
    count = len(box.entries)
    shown = tuple(lines[: 2 * _MOST])
    more = count - sum(line[0] != " " for line in shown)
    told = f"seig, {count} {'entry' if count == 1 else 'entries'}{default}"
    return told, (*shown, f"… {more} more") if more else shown


def _seig(number: int, entry: Seig) -> list[str]:
    if entry.refusal:
        return [f"{number}: not read: {entry.refusal}"]
    pattern = _pattern(entry.crypt_blocks, entry.skip_blocks)
    if not entry.is_protected:
        return [f"{number}: clear, KID {entry.key_id}"]
    if not entry.keys:
        head, iv = f"{number}: KID {entry.key_id}", _iv_text(entry.iv_size, entry.constant_iv) + pattern
        return [head, f"   {iv}"]
    head = f"{number}: {len(entry.keys)} keys for each sample{pattern}"
    return [head, *(f"   key {n}: {_seig_key(key)}" for n, key in enumerate(entry.keys[:_MOST], 1))]


def _seig_key(key: SeigKey) -> str:
    return f"KID {key.key_id}, {_iv_text(key.iv_size, key.constant_iv)}"


def _sbgp(r: Reader) -> Details:
    runs = Sbgp.parse(r).runs
    lines, at = [], 0
    shown = runs[: 2 * _MOST]
    for count, index in zip(shown[0::2], shown[1::2], strict=True):
        if index > FRAGMENT_INDEX:
            what = f"entry {index - FRAGMENT_INDEX} of this fragment's sgpd"
        else:
            what = f"entry {index} of sgpd" if index else "no entry: as tenc says"
        lines.append(f"samples {at + 1} to {at + count}: {what}" if count != 1 else f"sample {at + 1}: {what}")
        at += count
    total = len(runs) // 2
    return f"seig, {total} {'run' if total == 1 else 'runs'} of samples", _few(lines, total)


def _schm(r: Reader) -> Details:
    box = Schm.parse(r)
    uri = f", {box.uri[:80].rstrip(bytes(1))!r}" if box.uri else ""
    return f"scheme {printable(box.scheme)}, version {box.scheme_version >> 16}.{box.scheme_version & 0xFFFF}{uri}", ()


def _saiz(r: Reader) -> Details:
    box = Saiz.parse(r)
    if box.default_size or not box.sizes:
        sizes = f"{box.default_size} bytes each"
    else:
        low, high = min(found := set(box.sizes)), max(found)
        sizes = f"{low} to {high} bytes" if low != high else f"{low} bytes each"
    return f"{box.sample_count} samples, {sizes}{_aux(box)}", ()


def _saio(r: Reader) -> Details:
    box = Saio.parse(r)
    more = f", {len(box.offsets) - 1} more" if len(box.offsets) > 1 else ""
    return f"at {box.offsets[0]}{more}{_aux(box)}" if box.offsets else "nowhere", ()


def _aux(box: Saiz | Saio) -> str:
    return "" if box.aux_type is None else f", type {printable(box.aux_type)}"


def _pssh(r: Reader) -> Details:
    box = PsshReport.of(Pssh.parse(r))
    lines = [f"KID {kid.uuid}" for kid in box.kids]
    lines += [f"in its data: KID {kid.uuid}" for kid in box.data_kids]
    lines += [f"in its data: {text}" for text in (box.summary, box.license_url) if text]
    data = f", {box.data_bytes} bytes of data" if box.data_bytes else ""
    name = box.system_id if box.system.startswith("unknown") else box.system
    return f"{name}, version {box.version}{data}", _few(lines)


# ------------------------------------------------------------------------------------------------ where samples are
def _ftyp(r: Reader) -> Details:
    major = printable(r.fourcc())
    r.skip(4)
    brands = [printable(r.fourcc()) for _ in range(min(r.remaining // 4, 16))]
    return (f"{major}, compatible with {' '.join(brands)}" if brands else major), ()


def _sidx(r: Reader) -> Details:
    version, _flags = r.full_box()
    track, timescale = r.u32(), r.u32()
    start, _offset = (r.u64(), r.u64()) if version else (r.u32(), r.u32())
    r.skip(2)
    count = r.u16()
    sizes = durations = 0
    for _ in range(count):
        sizes += r.u32() & 0x7FFF_FFFF
        durations += r.u32()
        r.skip(4)
    begin, length = start / (timescale or 1), durations / (timescale or 1)
    return f"track {track}, {count} references: {sizes} bytes, {length:.3f} s from {begin:.3f} s", ()


def _tfhd(r: Reader) -> Details:
    box = Tfhd.parse(r)
    told = [f"track {box.track_id}"]
    if box.description_index is not None:
        told.append(f"description {box.description_index}")
    if box.base_data_offset is not None:
        told.append(f"base at {box.base_data_offset}")
    return ", ".join(told), ()


def _trun(r: Reader) -> Details:
    box = Trun.parse(r)
    size = f", {sum(box.sizes)} bytes" if box.sizes is not None else ""
    at = f", data at +{box.data_offset}" if box.data_offset is not None else ""
    return f"{box.sample_count} samples{size}{at}", ()


_DETAILS: Final[dict[str, Callable[[Reader], Details]]] = {
    "ftyp": _ftyp,
    "styp": _ftyp,
    "sidx": _sidx,
    "tkhd": lambda r: (f"track {Tkhd.parse(r).track_id}", ()),
    "hdlr": lambda r: (printable(Hdlr.parse(r).handler), ()),
    "tfhd": _tfhd,
    "tfdt": lambda r: (f"decode time {Tfdt.parse(r).decode_time}", ()),
    "trun": _trun,
    "frma": lambda r: (f"was {printable(Frma.parse(r).format)}", ()),
    "schm": _schm,
    "saiz": _saiz,
    "saio": _saio,
    "pssh": _pssh,
}
