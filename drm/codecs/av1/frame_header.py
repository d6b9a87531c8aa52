"""The AV1 frame header, read whole: where its tile data begins depends on all of it (section 5.9).

Holds the eight reference slots. Reading a header changes nothing; `Frames.keep` does, once the frame's tiles are there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from drm.codecs.av1.frame_header_tools import (
    Tiles,
    read_quantizer,
    read_segments,
    read_tiles,
    skip_film_grain,
    skip_filters,
    skip_global_motion,
)
from drm.codecs.av1.references import NO_FEATURES, SLOTS, Slot, frame_references, has_skip_mode
from drm.codecs.av1.sequence_header import SELECT, SequenceHeader
from drm.codecs.bits import Bits
from drm.errors import MalformedMediaError

__all__ = ["Frame", "Frames"]

_KEY, _INTER, _INTRA_ONLY, _SWITCH = range(4)  # frame_type
_NO_PRIMARY: Final = 7
_ALL: Final = 0xFF
_SUPERRES: Final = 8


class Frame(msgspec.Struct, frozen=True):
    """What a frame header says. `tiles` None: it only shows a frame that is there."""

    tiles: Tiles | None
    refreshed: int  # a bit for each slot that the frame goes to
    slot: Slot


class _Size(msgspec.Struct, frozen=True):
    upscaled_width: int
    width: int
    height: int


class _Head(msgspec.Struct, frozen=True):
    """The first flags of a header."""

    frame_type: int
    is_shown: bool
    is_showable: bool
    is_resilient: bool

    @property
    def is_intra(self) -> bool:
        return self.frame_type in {_KEY, _INTRA_ONLY}

    @property
    def resets(self) -> bool:
        """A key frame that is shown: nothing before it is referred to."""
        return self.frame_type == _KEY and self.is_shown


class Frames:
    """Reads the frame headers of one track, in decode order."""

    def __init__(self) -> None:
        self.sequence: SequenceHeader | None = None
        self._slots: list[Slot | None] = [None] * SLOTS

    def keep(self, frame: Frame) -> None:
        """The reference frame update process (section 7.20)."""
        for index in range(SLOTS):
            if frame.refreshed >> index & 1:
                self._slots[index] = frame.slot

    def read(self, r: Bits, temporal_id: int, spatial_id: int) -> Frame:
        """Take an uncompressed_header; `temporal_id` and `spatial_id` are those of its OBU.

        Raises:
            MalformedMediaError: no sequence header came before, the syntax is broken, or a slot is empty.
        """
        sequence = self.sequence
        if sequence is None:
            raise MalformedMediaError(
                "an AV1 frame comes before any sequence header",
                remedy="package it again, or encode it anew: the sequence header tells how to read the frames",
            )
        if not sequence.reduced_still and r.flag():
            return self._shown(r, sequence)
        head = _head(r, sequence)
        is_cdf_fixed = r.flag()
        has_screen_tools = r.flag() if sequence.tools.screen_content == SELECT else bool(sequence.tools.screen_content)
        is_integer = False
        if has_screen_tools:
            told = sequence.tools.integer_motion
            is_integer = r.flag() if told == SELECT else bool(told)
        r.u(sequence.frame_id_length)
        overrides = head.frame_type == _SWITCH or (not sequence.reduced_still and r.flag())
        hint = r.u(sequence.tools.order_hint_bits)
        primary = _NO_PRIMARY if head.is_intra or head.is_resilient else r.u(3)
        _skip_removal_times(r, sequence, temporal_id, spatial_id)
        refreshed = _ALL if head.frame_type == _SWITCH or head.resets else r.u(8)
        slots = self._told_slots(r, sequence, head, refreshed)
        references: list[Slot] = []
        is_precise = has_block_copy = False
        if head.is_intra:
            size = _frame_size(r, sequence, overrides=overrides)
            _skip_render_size(r)
            has_block_copy = has_screen_tools and size.upscaled_width == size.width and r.flag()
        else:
            references = self._references(r, sequence, slots, hint)
            if overrides and not head.is_resilient:
                size = _size_with_references(r, sequence, references)
            else:
                size = _frame_size(r, sequence, overrides=overrides)
                _skip_render_size(r)
            is_precise = not is_integer and r.flag()
            if not r.flag():
                r.u(2)
            r.flag()
            if not head.is_resilient and sequence.tools.reference_motion:
                r.flag()
        if not (sequence.reduced_still or is_cdf_fixed):
            r.flag()
        tiles = read_tiles(r, sequence, size.width, size.height)
        before = references[primary].quantizer_features if primary != _NO_PRIMARY else None
        features = _quality(r, sequence, size, before, has_block_copy=has_block_copy)
        is_compound = not head.is_intra and r.flag()
        order_bits = sequence.tools.order_hint_bits
        if is_compound and order_bits and has_skip_mode([slot.order_hint for slot in references], hint, order_bits):
            r.flag()
        if not head.is_intra and not head.is_resilient and sequence.tools.warped_motion:
            r.flag()
        r.flag()
        if not head.is_intra:
            skip_global_motion(r, is_precise=is_precise)
        if sequence.film_grain and (head.is_shown or head.is_showable):
            skip_film_grain(r, sequence, is_inter=head.frame_type == _INTER)
        slot = Slot(head.frame_type, size.upscaled_width, size.width, size.height, hint, features)
        return Frame(tiles, refreshed, slot)

    def _shown(self, r: Bits, sequence: SequenceHeader) -> Frame:
        """show_existing_frame: a key frame that is shown so goes to all slots, as if it were coded here."""
        slot = self._slot(self._slots, r.u(3))
        r.u(sequence.timing.presentation_length)
        r.u(sequence.frame_id_length)
        return Frame(None, _ALL if slot.frame_type == _KEY else 0, slot)

    def _told_slots(self, r: Bits, sequence: SequenceHeader, head: _Head, refreshed: int) -> list[Slot | None]:
        """The slots as this frame sees them: resilient ones tell the order hints of frames that may be lost."""
        slots = list(self._slots)
        if (not head.is_intra or refreshed != _ALL) and head.is_resilient and sequence.tools.order_hint_bits:
            for index, slot in enumerate(slots):
                hint = r.u(sequence.tools.order_hint_bits)
                if slot is None or slot.order_hint != hint:
                    slots[index] = Slot(_INTER, sequence.width, sequence.width, sequence.height, hint)
        return slots

    def _references(self, r: Bits, sequence: SequenceHeader, slots: list[Slot | None], hint: int) -> list[Slot]:
        """The seven frames that this one may refer to."""
        bits = sequence.tools.order_hint_bits
        chosen: list[int] = []
        if bits and r.flag():
            last, golden = r.u(3), r.u(3)
            hints = [slot.order_hint if slot else 0 for slot in slots]
            chosen = frame_references(hints, hint, bits, last, golden)
        found = []
        for number in range(7):
            found.append(self._slot(slots, chosen[number] if chosen else r.u(3)))
            r.u(sequence.frame_id_delta_length)
        return found

    def _slot(self, slots: list[Slot | None], index: int) -> Slot:
        slot = slots[index]
        if slot is None:
            raise MalformedMediaError(
                f"an AV1 frame refers to slot {index}, which no frame before it went to",
                maybe="the first sample is not a sync sample, or samples are missing",
            )
        return slot


def _head(r: Bits, sequence: SequenceHeader) -> _Head:
    if sequence.reduced_still:
        return _Head(_KEY, is_shown=True, is_showable=False, is_resilient=True)
    frame_type, is_shown = r.u(2), r.flag()
    if is_shown:
        r.u(sequence.timing.presentation_length)
    is_showable = frame_type != _KEY if is_shown else r.flag()
    is_resilient = frame_type == _SWITCH or (frame_type == _KEY and is_shown) or r.flag()
    return _Head(frame_type, is_shown, is_showable, is_resilient)


def _skip_removal_times(r: Bits, sequence: SequenceHeader, temporal_id: int, spatial_id: int) -> None:
    if not (sequence.timing.has_model and r.flag()):
        return
    for point in sequence.timing.points:
        in_layers = point.idc >> temporal_id & 1 and point.idc >> spatial_id + 8 & 1
        if point.has_model and (not point.idc or in_layers):
            r.u(sequence.timing.removal_length)


def _frame_size(r: Bits, sequence: SequenceHeader, *, overrides: bool) -> _Size:
    """Section 5.9.5, frame_size."""
    width, height = sequence.width, sequence.height
    if overrides:
        width, height = r.u(sequence.width_length) + 1, r.u(sequence.height_length) + 1
    return _scaled(r, sequence, width, height)


def _scaled(r: Bits, sequence: SequenceHeader, width: int, height: int) -> _Size:
    """Section 5.9.8, superres_params: the frame may be coded narrower than it is shown."""
    coded = width
    if sequence.superres and r.flag():
        denominator = r.u(3) + _SUPERRES + 1
        coded = (width * _SUPERRES + denominator // 2) // denominator
    return _Size(width, coded, height)


def _skip_render_size(r: Bits) -> None:
    if r.flag():
        r.u(32)


def _size_with_references(r: Bits, sequence: SequenceHeader, references: list[Slot]) -> _Size:
    """Section 5.9.7, frame_size_with_refs."""
    for slot in references:
        if r.flag():
            return _scaled(r, sequence, slot.upscaled_width, slot.height)
    size = _frame_size(r, sequence, overrides=True)
    _skip_render_size(r)
    return size


def _quality(
    r: Bits, sequence: SequenceHeader, size: _Size, before: tuple[int, ...] | None, *, has_block_copy: bool
) -> tuple[int, ...]:
    """From the quantizer to the mode of transforms; returns what segments add to the quantizer index."""
    quantizer = read_quantizer(r, sequence)
    has_segments, features = read_segments(r, before)
    if quantizer.base and r.flag():  # delta_q_present
        r.u(2)
        if not has_block_copy and r.flag():
            r.u(3)
    added = features if has_segments else NO_FEATURES
    is_coded_lossless = quantizer.is_plain and all(quantizer.base + each <= 0 for each in added)
    if not has_block_copy:
        is_lossless = is_coded_lossless and size.width == size.upscaled_width
        skip_filters(r, sequence, is_coded_lossless=is_coded_lossless, is_lossless=is_lossless)
    if not is_coded_lossless:
        r.flag()
    return features
