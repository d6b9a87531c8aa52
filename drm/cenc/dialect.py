"""Dialects: readings of Common Encryption on which shipping packagers and players disagree.

The default follows the reading that most current peers share. A dialect is switched on by name, for a file that was
written under the other reading; nothing guesses.
"""

from __future__ import annotations

import enum

__all__ = ["Dialect"]


class Dialect(enum.StrEnum):
    """Departures from the default reading. Some concern the reader of the file, some the decrypter."""

    SHORT_RUN_IS_CLEAR = "short-last-crypt-run-is-clear"
    """cens, cbcs: a last run of fewer than `crypt_blocks` blocks is clear (FFmpeg, mp4ff); by default its whole
    blocks are encrypted (Shaka Packager, GPAC, Bento4). Makes no difference to the usual pattern 1:9."""

    CTR_128_BIT_CARRY = "ctr-128-bit-carry"
    """cenc, cens: the block counter carries into the upper eight bytes (Bento4, GPAC, mp4ff); by default it wraps
    within the lower eight (ISO/IEC 23001-7, clause 9.3)."""

    CENS_PARTIAL_BLOCK_IS_ENCRYPTED = "cens-last-partial-block-is-encrypted"
    """cens, full-sample: a last partial block within a crypt run is encrypted (Bento4, FFmpeg, GPAC); by default it is
    clear (Shaka Packager)."""

    SENC_USE_LAST = "senc-has-too-many-entries-use-last"
    """A `senc` with more entries than its fragment has samples ends with the right ones (FFmpeg's writer). Accepted,
    and changes nothing: the counts say so themselves, no other reading fits, and the reader warns."""

    MULTI_KEY = "iso23001-7-2023-multi-key"
    """Samples of several keys, as ISO/IEC 23001-7:2023 writes them. Accepted, and changes nothing: a bit of `seig` that
    was zero in all editions before says so (drm.isobmff.multi_key)."""
