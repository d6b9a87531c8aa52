"""`clearkey digest` of a manifest: the samples of each rendition of each period, decrypted and hashed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import click
import msgspec

from drm.cenc.dialect import Dialect
from drm.errors import KeyMissingError, NothingReachedError
from drm.keys import ContentKey, KeyId
from drm.streaming.selection import every_rendition
from player.digests import digest_presentation
from player.json_output import encode_json
from player.key_mistakes import explain
from player.manifests.given import ManifestOptions, open_manifest
from player.one_line import echo_line
from player.table import table_lines

__all__ = ["print_digests"]

_HEADINGS = ("period", "rendition", "type", "scheme", "samples", "encrypted", "sha256 of the decrypted samples")


class _RenditionDigest(msgspec.Struct, frozen=True):
    """One track of a rendition in one period. `sha256` is over all its samples, decrypted, in decode order."""

    period: str
    rendition: str
    type: str
    scheme: str  # as the segments spell it; empty: not encrypted
    samples: int
    samples_encrypted: int
    sha256: str


def print_digests(
    name: str,
    options: ManifestOptions,
    keys: Mapping[KeyId, ContentKey],
    dialects: frozenset[Dialect],
    *,
    as_json: bool,
) -> None:
    """Print a row for each, or one JSON object.

    Raises:
        KeyMissingError: a sample needs a key that is not in `keys`; names the KID, the period and the rendition.
        MediaError, MediaUnreachableError: it cannot be read, or does not come.
    """
    rows: list[_RenditionDigest] = []
    notes: dict[str, None] = {}
    with open_manifest(name, options) as opener:
        for period in opener.periods(every_rendition):
            for feed in period.feeds:  # one at a time: a manifest may have thousands
                presentation, ahead = opener.read(replace(period, feeds=(feed,)), everything=True)
                rendition = feed.chosen.rendition.name
                presentation.name = f"{presentation.name}, rendition {rendition}"
                try:
                    found, warnings = digest_presentation(presentation, presentation, keys, dialects)
                except KeyMissingError as error:
                    raise explain(error, keys) from None
                finally:
                    for stream in ahead:
                        stream.close()
                notes |= dict.fromkeys(warnings)
                rows += [
                    _RenditionDigest(
                        period.name,
                        rendition,
                        each.type,
                        each.scheme,
                        each.samples,
                        each.samples_encrypted,
                        each.sha256,
                    )
                    for each in found
                ]
        passed_over = opener.presentation().passed_over
    if not rows:
        raise NothingReachedError("the manifest has no rendition that can be read", where=name)
    if as_json:
        click.echo(encode_json({"renditions": rows, "passed_over": passed_over}))
        return
    for note in (*notes, *(f"passed over: {each}" for each in passed_over)):
        echo_line(f"note: {note}", err=True)
    cells = [
        (r.period, r.rendition, r.type, r.scheme or "clear", str(r.samples), str(r.samples_encrypted), r.sha256)
        for r in rows
    ]
    for line in table_lines([_HEADINGS, *cells]):
        echo_line(line)
