"""Counts what can be told of one track, sample by sample, in memory that does not grow with the samples.

An error in mid-track keeps all that was counted before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from drm.content_checks.counter_use import CounterUse
from drm.content_checks.enciphered import BLOCK, counter_blocks, encrypted_bytes
from drm.keys import KeyId
from drm.media import Sample, SampleCrypto, Scheme

__all__ = ["Period", "Tally"]

MAX_PERIODS: Final = 1000  # listed for one track; more are counted
Pair = tuple[int, int]  # crypt, skip


@dataclass(slots=True)
class Period:
    """Samples under the same keys, one after another, from its first encrypted one to its last; clear ones between."""

    key_ids: tuple[KeyId, ...]
    first: int  # sample, from 1
    start: int  # dts
    first_iv: bytes
    last: int = 0
    end: int = 0
    samples: int = 0
    clear: int = 0
    iv_varies: bool = False


@dataclass(slots=True)
class Tally:
    """What has come so far. `pattern` is by (crypt, skip), in blocks; sizes are bytes, times the track's own units."""

    track_id: int
    counters: CounterUse | None = None  # None: counters that are used twice are not looked for
    known_constant_ivs: frozenset[bytes] = frozenset()  # of the sample descriptions
    own_iv_kids: frozenset[KeyId] = frozenset()  # keys whose descriptions say that each sample has an IV of its own
    samples: int = 0
    encrypted: int = 0
    size: int = 0  # of all samples
    protected_bytes: int = 0  # in ranges marked as protected
    encrypted_bytes: int = 0  # of these, what the pattern really encrypts
    first_dts: int = 0
    end: int = 0
    lead: Pair | None = None  # samples and dts of the first encrypted one
    by_kid: dict[KeyId, int] = field(default_factory=dict)
    periods: list[Period] = field(default_factory=list)
    period_count: int = 0
    clear_stretches: int = 0  # runs of clear samples
    patterns: dict[tuple[Scheme, int, int], int] = field(default_factory=dict)
    own_ivs: dict[int, int] = field(default_factory=dict)  # samples by size of their own IV
    constant_ivs: dict[bytes, int] = field(default_factory=dict)  # samples by the constant IV
    repeated_own_ivs: int = 0  # samples that carry IVs of their own, all the same
    whole: int = 0  # samples protected as a whole
    subsampled: int = 0  # samples with subsamples
    subsamples: list[int] = field(default_factory=list)  # fewest, most, in all
    subsample_bytes: list[int] = field(default_factory=lambda: [0, 0])  # clear, protected
    unaligned: int = 0  # samples of which a protected range is no multiple of 16 bytes, in a scheme that wants it so

    _open: Period | None = None
    _clear: int = 0  # clear samples since the last encrypted one

    def count(self, samples: Iterator[Sample]) -> None:
        """Take all `samples`. An error of theirs passes through; what came before it stays counted."""
        try:
            for sample in samples:
                self.add(sample)
        finally:
            self.close()

    def add(self, sample: Sample) -> None:
        """Take the next sample."""
        if not self.samples:
            self.first_dts = sample.dts
        self.samples += 1
        self.size += sample.size
        end = sample.dts + sample.duration
        self.end = max(self.end, end)
        crypto = sample.crypto
        if crypto is None:
            self.clear_stretches += not self._clear
            self._clear += 1
            return
        self.encrypted += 1
        if self.lead is None:
            self.lead = self.samples - 1, sample.dts
        period = self._open
        if period is None or period.key_ids[0] != crypto.key_id or crypto.others:
            period = self._period(sample, crypto)
        period.samples += 1
        if period.last:
            period.clear += self._clear
        self._clear = 0
        period.last, period.end = self.samples, max(period.end, end)
        if crypto.iv != period.first_iv:
            period.iv_varies = True
        if crypto.others:
            for part in crypto.parts():
                self._part(part, sample.size)
        else:
            self._part(crypto, sample.size)

    def _part(self, crypto: SampleCrypto, size: int) -> None:
        key_id, scheme = crypto.key_id, crypto.scheme
        self.by_kid[key_id] = self.by_kid.get(key_id, 0) + 1
        told = scheme, crypto.crypt_blocks, crypto.skip_blocks
        self.patterns[told] = self.patterns.get(told, 0) + 1
        protected, encrypted = encrypted_bytes(crypto, size)
        self.protected_bytes += protected
        self.encrypted_bytes += encrypted
        if self.counters is not None:
            self.counters.add(key_id, crypto.iv, counter_blocks(crypto, encrypted))
        subsamples = crypto.subsamples
        if not subsamples:
            self.whole += 1
            return
        self.subsampled += 1
        count = len(subsamples)
        low, high, total = self.subsamples or (count, count, 0)
        self.subsamples = [min(low, count), max(high, count), total + count]
        self.subsample_bytes[0] += size - protected
        self.subsample_bytes[1] += protected
        is_whole = subsamples == ((0, size),)  # the same as no subsamples, and its last block may be partial
        if scheme is not Scheme.CBCS and not is_whole and any(part % BLOCK for _, part in subsamples):
            self.unaligned += 1

    def _period(self, sample: Sample, crypto: SampleCrypto) -> Period:
        """The period that `sample` belongs to: the open one, or a new one."""
        key_ids = crypto.key_ids
        if self._open is not None and self._open.key_ids == key_ids:
            return self._open
        self.close()
        self.period_count += 1
        self._open = Period(key_ids, self.samples, sample.dts, crypto.iv)
        return self._open

    def close(self) -> None:
        """There are no more samples."""
        period, self._open = self._open, None
        if period is None:
            return
        if len(self.periods) < MAX_PERIODS:
            self.periods.append(period)
        stays = not period.iv_varies and (period.samples > 1 or period.first_iv in self.known_constant_ivs)
        is_constant = stays and period.key_ids[0] not in self.own_iv_kids
        if stays and not is_constant:
            self.repeated_own_ivs += period.samples
        iv, size = period.first_iv, len(period.first_iv)
        if is_constant:
            self.constant_ivs[iv] = self.constant_ivs.get(iv, 0) + period.samples
        else:
            self.own_ivs[size] = self.own_ivs.get(size, 0) + period.samples
