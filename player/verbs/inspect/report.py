"""The report of `clearkey inspect`, as values: what `--json` prints and player/schemas/inspect-1.json describes.

Fields may be added under the same version of the schema; none is taken away or changes its meaning.
"""

from __future__ import annotations

import msgspec

from drm.isobmff.pssh.payload import read_contents
from drm.keys import KeyId
from drm.media import InitBox, Protection
from drm.readable import readable

__all__ = [
    "ClearLead",
    "Finding",
    "Inspection",
    "IvReport",
    "KeyPeriod",
    "Kid",
    "PatternReport",
    "ProtectionReport",
    "PsshReport",
    "SubsampleReport",
    "TrackReport",
    "Unjudged",
    "pattern_text",
]


def pattern_text(crypt: int, skip: int) -> str:
    """Write a pattern as 1:9, in blocks; empty: every block."""
    return f"{crypt}:{skip}" if crypt or skip else ""


class Kid(msgspec.Struct, frozen=True):
    """A key id in the notations that people search for, and how many samples are under it."""

    uuid: str
    hex: str
    base64url: str
    samples: int = 0

    @classmethod
    def of(cls, key_id: KeyId, samples: int = 0) -> Kid:
        """Write `key_id` out."""
        return cls(str(key_id), key_id.hex, key_id.base64url, samples)


class ProtectionReport(msgspec.Struct, frozen=True):
    """How the samples of one sample description are protected, where no group says otherwise."""

    description: int  # from 1
    scheme: str
    default_kid: Kid
    iv_size: int  # bytes of each sample's own IV; 0: a constant one
    constant_iv: str  # hex
    pattern: str

    @classmethod
    def of(cls, description: int, protection: Protection) -> ProtectionReport:
        """Write `protection` out."""
        return cls(
            description,
            protection.scheme.value,
            Kid.of(protection.key_id),
            protection.iv_size,
            protection.constant_iv.hex(),
            pattern_text(protection.crypt_blocks, protection.skip_blocks),
        )


class ClearLead(msgspec.Struct, frozen=True):
    """What comes before the first encrypted sample."""

    samples: int
    seconds: float


class KeyPeriod(msgspec.Struct, frozen=True):
    """Samples under the same key, or keys, from the first encrypted one to the last."""

    kids: tuple[str, ...]  # UUIDs
    first_sample: int  # from 1
    last_sample: int
    start: float  # seconds of decode time
    end: float
    samples_encrypted: int
    samples_clear: int  # among them


class PatternReport(msgspec.Struct, frozen=True):
    """A scheme with a pattern, and how many samples (or parts of samples of several keys) have it."""

    scheme: str
    pattern: str
    samples: int


class IvReport(msgspec.Struct, frozen=True):
    """How many samples have an IV of their own, by its size in bytes, and how many a constant one, by its hex."""

    own: dict[str, int]
    constant: dict[str, int]
    own_repeated: int  # samples whose own IV is that of all others in their key period


class SubsampleReport(msgspec.Struct, frozen=True):
    """How the encrypted samples divide into clear and protected bytes."""

    samples: int  # that tell subsamples
    whole_samples: int  # that are protected from the first byte to the last
    fewest: int  # subsamples in a sample
    most: int
    total: int
    clear_bytes: int
    protected_bytes: int
    unaligned_samples: int  # of which a protected range is no multiple of 16 bytes (not counted for cbcs)


class TrackReport(msgspec.Struct, frozen=True):
    """One track, read from its first sample to its last."""

    track_id: int
    type: str
    codec: str
    decoder: str
    sample_entries: tuple[str, ...]
    width: int
    height: int
    sample_rate: int
    channels: int
    language: str
    timescale: int
    seconds: float  # of media, by its samples
    edits: tuple[tuple[float, float], ...]  # seconds of presentation (0: to the end), start in the media (-1: empty)
    encrypted: bool  # any sample is; for a track that could not be read to its end, any may be
    scheme: str  # as the file spells it
    protections: tuple[ProtectionReport, ...]
    kids: tuple[Kid, ...]
    samples: int
    samples_encrypted: int
    samples_clear: int
    bytes: int
    bytes_protected: int  # in ranges marked as protected
    bytes_encrypted: int  # of these, what the scheme encrypts: less than all where there is a pattern
    clear_lead: ClearLead | None  # None: no sample is encrypted
    clear_stretches: int  # runs of clear samples, the lead included
    periods: tuple[KeyPeriod, ...]
    period_count: int  # may be more than are listed
    patterns: tuple[PatternReport, ...]
    ivs: IvReport
    subsamples: SubsampleReport
    error: dict[str, object] | None = None


class PsshReport(msgspec.Struct, frozen=True):
    """One `pssh` box."""

    system: str
    system_id: str
    version: int
    kids: tuple[Kid, ...]
    data_bytes: int
    summary: str  # what the system's own data says, where it is read
    data_kids: tuple[Kid, ...]  # the KIDs in it
    license_url: str

    @classmethod
    def of(cls, box: InitBox) -> PsshReport:
        """Write `box` and what its data says out."""
        inner = read_contents(box.system_id, box.data)
        summary = ", ".join(filter(None, (inner.scheme, *inner.details, inner.problem)))
        return cls(
            box.system_id.name,
            str(box.system_id),
            box.version,
            tuple(map(Kid.of, box.key_ids)),
            len(box.data),
            readable(summary, 200),
            tuple(map(Kid.of, inner.key_ids)),
            readable(inner.license_url, 200),
        )


class Finding(msgspec.Struct, frozen=True):
    """Something about the encryption that its maker should know. `level`: fault, odd, or info."""

    level: str
    code: str
    text: str
    track_id: int = 0  # 0: of the whole file
    requirement: str = ""  # id of the rule of conformance behind it; empty: none
    evidence: tuple[str, ...] = ()  # places and values that were seen


class Unjudged(msgspec.Struct, frozen=True):
    """A question that could not be answered: it counts neither as sound nor as a finding."""

    code: str
    text: str
    track_id: int = 0
    requirement: str = ""


class Inspection(msgspec.Struct, frozen=True):
    """A whole file."""

    file: str
    bytes: int
    container: str
    encrypted: bool  # any track is
    findings: tuple[Finding, ...]
    unjudged: tuple[Unjudged, ...]
    tracks: tuple[TrackReport, ...]
    pssh: tuple[PsshReport, ...]
    warnings: tuple[str, ...]  # what is odd about the file and was read all the same
