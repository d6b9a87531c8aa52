"""`clearkey keys check`: whether keys decrypt a file. What decides it is imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Final

import click

from drm.keys import ContentKey, KeyId
from player.manifests.given import ManifestOptions, is_manifest, manifest_options
from player.options import key_options

__all__ = ["COMMANDS"]


@click.command("check")
@click.argument("file", type=click.Path())
@click.argument("segments", type=click.Path(), nargs=-1)
@key_options
@manifest_options
def _check(file: str, segments: tuple[str, ...], keys: dict[KeyId, ContentKey], manifest: ManifestOptions) -> object:
    """Decrypt and strictly decode the first encrypted samples of each KID of FILE or its URL (and its SEGMENTs).

    FILE may be an MPD or an HLS playlist: then each KID of every rendition of every period is looked at.
    """
    if is_manifest([file, *segments], manifest):
        return importlib.import_module("player.verbs.keys.check_manifest").run(file, manifest, keys)
    return importlib.import_module("player.verbs.keys.check_file").run(file, segments, keys)


COMMANDS: Final = {"check": _check}
