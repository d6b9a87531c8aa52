"""Every check on a file's encryption: its name, the requirement behind it, what yes means, and what to do then.

Codes are never given another meaning: they stand in the published JSON of `clearkey inspect`. A requirement's id is
that of the conformance kit's list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from drm.content_checks import of_boxes, of_counters, of_file, of_pssh, of_tracks
from drm.content_checks.facts import AuxPlace, ContentFacts, PsshRow
from drm.content_checks.judgement import Answer, Check, Judgement, Level

__all__ = ["CHECKS", "PLACE_QUESTIONS", "PSSH_QUESTIONS", "judge"]

PLACE_QUESTIONS: Final[dict[str, Callable[[AuxPlace], Judgement | None]]] = {
    "iv-size": of_boxes.iv_size,
    "leftover-boxes": of_boxes.leftover_boxes,
    "saio-beside": of_boxes.saio_beside,
    "saiz-against-senc": of_boxes.saiz_against_senc,
    "senc-surplus": of_boxes.senc_surplus,
    "senc-twice": of_boxes.senc_twice,
}
"""Asked of each fragment and each sample table while the file is walked."""

PSSH_QUESTIONS: Final[dict[str, Callable[[PsshRow], Judgement | None]]] = {
    "pssh-common-twice": of_pssh.common_twice,
    "pssh-twice": of_pssh.other_twice,
}
"""Asked of each row of `pssh` boxes."""


def _noted(code: str) -> Callable[[ContentFacts], Iterable[Judgement]]:
    """What a question came to that was asked while the file was walked."""

    def asked(facts: ContentFacts) -> Iterator[Judgement]:
        found = False
        for (name, track_id), summary in facts.noted.items():
            answer = summary.judgement() if name == code else None
            if answer is None:
                continue
            found = True
            if answer.answer is Answer.NO and facts.walk_error is not None:
                answer = Judgement.unknown("the file could not be read to its end", track_id)
            yield answer
        if not found and facts.walk_error is not None:
            yield Judgement.unknown("the file could not be read to its end")

    return asked


_FAULT, _ODD, _INFO = Level.FAULT, Level.ODD, Level.INFO
_AGAIN: Final = "Package it again with a current release of its packager, and report the fault there."

CHECKS: Final = (
    # -------------------------------------------------------------------------------------------- faults
    Check("iv-reused", "CKC-14", _FAULT,
          "Two samples of different content took the same AES-CTR counter block under one KID. Whoever has both has "
          "the exclusive or of their contents, without any key.",
          "Give each track a key of its own, or IVs that go on where the other track's end.", of_counters.iv_reused),
    Check("damaged", "", _FAULT, "A track cannot be read to its end; everything else is told as far as it was read.",
          "Compare size and hash with the original's; fetch or package it again.", of_tracks.damaged),
    Check("second-moov", "CKC-34", _FAULT,
          "The file has movie boxes that differ, usually because segments of two initialization segments were joined.",
          "Give each initialization segment with its own media segments.", of_file.second_movie),
    Check("no-mvex", "", _FAULT, "Movie fragments follow a movie box that does not announce them with mvex.",
          "Write the initialization segment anew, with mvex and a trex for each track.", of_file.no_mvex),
    Check("outside-mdat", "CKC-29", _FAULT,
          "Samples lie in no media data box: an offset was not corrected when boxes before it changed their size.",
          _AGAIN, of_tracks.outside_media_data),
    Check("iv-size", "CKC-10", _FAULT,
          "The entries of senc fit another IV size than the one that tenc or the sample group declares.",
          "Correct the size in tenc, or put back the senc that belongs to the file.", _noted("iv-size")),
    Check("senc-surplus", "CKC-10", _FAULT,
          "senc has more entries than there are samples (FFmpeg up to 8.1 does so in fragments with sound).",
          _AGAIN, _noted("senc-surplus")),
    Check("saiz-against-senc", "CKC-37", _FAULT, "saiz gives the entries of senc lengths that they do not have.",
          _AGAIN, _noted("saiz-against-senc")),
    Check("saio-beside", "CKC-37", _FAULT,
          "saio points beside the entries of senc, usually because the box moved after it was written.",
          "Take saiz and saio out, or correct the offset; players that read senc are not hurt.", _noted("saio-beside")),
    Check("headers-encrypted", "CKC-12", _FAULT,
          "The length or header of a NAL unit is enciphered (AVC has 1 byte, HEVC and VVC 2), or whole pictures are. "
          "Decoders that decrypt in hardware find the slices by them.",
          "Package it again with subsample encryption: clearkey encrypt does so.", of_tracks.headers_encrypted),
    Check("obus-encrypted", "CKC-65", _FAULT,
          "The header of an OBU of AV1, or an OBU that has to stay clear, is enciphered, or whole pictures are.",
          "Package it again with subsample encryption: clearkey encrypt does so.", of_tracks.obus_encrypted),
    Check("pssh-common-twice", "CKC-09", _FAULT,
          "Two pssh boxes of the common system stand side by side, and browsers ask for the keys of the first alone.",
          "clearkey pssh insert makes one box of them, with every KID.", _noted("pssh-common-twice")),
    # -------------------------------------------------------------------------------------------- odd
    Check("pssh-twice", "CKC-09", _ODD, "Two pssh boxes of one system stand side by side.",
          "Make one of them.", _noted("pssh-twice")),
    Check("senc-twice", "CKC-35", _ODD, "A fragment has more than one senc box.", _AGAIN, _noted("senc-twice")),
    Check("leftover-boxes", "CKC-35", _ODD,
          "A clear track carries senc, saiz, saio or seig groups, which a tool for decryption left in it. Tools that "
          "encrypt it again may trip over them.",
          "Decrypt the original with clearkey decrypt, which takes them out.", _noted("leftover-boxes")),
    Check("kid-of-zeros", "CKC-03", _ODD, "Samples are under the KID of zeros, which players take for no key.",
          "Package it again under a KID of its own.", of_tracks.kid_of_zeros),
    Check("cbcs-own-ivs", "CKC-41", _ODD, "cbcs with an IV in each sample, where devices expect one constant IV.",
          "Package it again with a constant IV.", of_tracks.cbcs_own_ivs),
    Check("own-ivs-repeated", "", _ODD,
          "Under AES-CBC all samples carry the same IV as their own: contents that begin alike show.",
          "Package it again with IVs that differ, or cbcs with a constant IV in tenc.", of_tracks.own_ivs_repeated),
    Check("unaligned", "CKC-13", _ODD, "Protected ranges are no whole blocks of 16 bytes; some devices refuse them.",
          "Package it again: current packagers align them.", of_tracks.unaligned),
    Check("nothing-protected", "CKC-30", _ODD,
          "Samples are marked as encrypted, and no byte of them is: cbcs and cbc1 leave samples under 16 bytes clear.",
          "Use scheme cenc for samples as short as these.", of_tracks.nothing_protected),
    # -------------------------------------------------------------------------------------------- worth a look
    Check("nothing-encrypted", "CKC-30", _INFO, "A track is marked as encrypted, and not one of its samples is.",
          "Nothing, if it is the clear lead of a longer film.", of_tracks.nothing_encrypted),
    Check("default-kid-unused", "CKC-36", _INFO, "A default KID is used by no sample.",
          "Nothing, if keys rotate; a license server need not hold it.", of_tracks.default_kid_unused),
    Check("samples-repeated", "CKA-02", _INFO, "Samples are copies of others, counter and cipher text.",
          "Nothing: the same content under the same key stream tells nobody anything.", of_counters.samples_repeated),
    Check("no-pssh", "CKC-06", _INFO, "Encrypted samples, and no pssh box.",
          "Nothing, if a manifest names the KIDs; else clearkey pssh insert.", of_file.no_pssh),
    Check("pssh-on-clear", "", _INFO, "pssh boxes in a file without an encrypted track.",
          "Take them out of clear files: players ask for a license when they see one.", of_file.pssh_on_clear),
    Check("pssh", "CKC-08", _INFO, "What a player of Clear Key lacks in the pssh boxes, or finds in other systems'.",
          "The finding says it.", of_file.pssh_notes),
)  # fmt: skip
"""In the order in which they are told."""


def judge(facts: ContentFacts) -> Iterator[tuple[Check, Judgement]]:
    """Ask every check; the answers with the check that each is of, those of no included."""
    for check in CHECKS:
        for judgement in check.ask(facts):
            yield check, judgement
