"""The lines of docs/reference/formats.md: what the MP4 readers read, refuse and pass over, from their own tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator

from drm.isobmff.box import MEDIA_DATA
from drm.isobmff.container import KNOWN_BY_NAME
from drm.isobmff.protection import Tenc
from drm.isobmff.sample_aux import Saio, Saiz
from drm.isobmff.sample_entry import FIELDS_OF_TEXT, FOREIGN_SCHEMES
from drm.isobmff.sample_group import HARMLESS_GROUPS, Csgp, Sbgp, Sgpd
from drm.isobmff.samples import SURVEYED
from drm.media import Scheme

__all__ = ["formats"]

_VERSIONED = (Tenc, Saiz, Saio, Sgpd, Sbgp, Csgp)
_REFUSED = (
    ("a second `moov` that is not the first one again", "14496-12, 8.2.1: what follows it has other tracks and keys"),
    ("`senc`, `sgpd` or `sbgp`/`csgp` of `seig` twice in one place", "23001-7, 7.2: nothing says which one holds"),
    ("more entries in `senc` than samples, where neither `saiz` with `saio` nor the samples tell which are theirs", ""),
    ("samples that lie outside every media data box", "an offset from another file; the key is not to blame"),
    ("fragments that leave sizes, durations or the description to a `trex` that is not there", "14496-12, 8.8.3"),
)


def formats() -> Iterator[str]:
    """The page behind its title."""
    yield "How the readers of MP4 (ISO/IEC 14496-12 and 23001-7) take what stands in a file. Nothing that changes what"
    yield "samples mean is passed over: it is read, or refused by name with exit code 3."
    yield ""
    yield from _section("Read")
    yield f"- schemes: {_names(Scheme)}, and PIFF 1.1 (`piff`)"
    yield f"- key ids before playback: of `moov` and of the first {SURVEYED} fragments, later ones as they come"
    yield f"- samples lie in: {_names(sorted(MEDIA_DATA))}"
    yield "- fragments without `mvex`, where they say everything themselves"
    yield ""
    yield from _table(("box", "versions read"), ((f"`{box.TYPE}`", _versions(box)) for box in _VERSIONED))
    yield "A later version of these is refused by name."
    yield ""
    yield "Encrypted text and metadata (`enct`, `encs`, `encm`), by the format that `frma` names:"
    yield ""
    rows = ((f"`{name}`", _fields(*told)) for name, told in sorted(FIELDS_OF_TEXT.items()))
    yield from _table(("format", "fields before its boxes"), rows)
    yield "Another format is read where its boxes fit. A track of text or metadata that cannot be read is left out by"
    yield "itself, with a note; `decrypt` leaves it encrypted and marked so."
    yield ""
    yield from _section("Refused by name")
    yield from _table(("what", "why"), _REFUSED)
    yield from _table(("`schm`, or a box in `schi`", "protection"), ((f"`{k}`", v) for k, v in FOREIGN_SCHEMES.items()))
    yield "Files that are something else: a still image (HEIF), an MPEG transport stream with encrypted samples or"
    others = ", ".join(name for name in KNOWN_BY_NAME if "WebM" not in name)
    yield f"without, {others}. WebM and Matroska have a reader of their own."
    yield ""
    yield from _section("Passed over as harmless")
    yield "- an identical repeat of `moov`"
    yield "- auxiliary information (`saiz`, `saio`) whose type is no scheme of those above"
    yield f"- sample groups of the types {_names(sorted(HARMLESS_GROUPS))}; one of another type is named in a note"


def _section(title: str) -> Iterator[str]:
    yield f"## {title}"
    yield ""


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name.strip()}`" for name in names)


def _table(heads: tuple[str, str], rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "| --- | --- |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _versions(box: type) -> str:
    """As the reader's own call says. Raises TypeError when it says nothing."""
    newest = int(re.search(r"known_full_box\((\d+)\)", inspect.getsource(box))[1])  # type: ignore[index]
    return " and ".join(map(str, range(newest + 1))) if newest < 2 else f"0 to {newest}"


def _fields(size: int, strings: int) -> str:
    return f"{strings} strings" if strings else f"{size} bytes" if size else "none"
