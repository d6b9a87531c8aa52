"""Makes the samples of a folder: each encrypted file beside its clear original, with `keys.json` for all of them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from drm.encrypting.file import encrypt_file
from drm.errors import InvalidArgumentError
from drm.keys import ContentKey, KeyId
from drm.license.clearkey import encode_jwk_set
from drm.media import Scheme
from drm.whole_file import write_whole
from sample_content.clip import make_clip
from sample_content.recipes import RECIPES, Recipe

__all__ = ["KEYS_FILE", "SampleFile", "make_samples"]

KEYS_FILE = "keys.json"
"""The JWK Set with the keys of every sample, in each folder of samples."""

_LEDGER = "recipes.json"  # which recipe made which bytes


class SampleFile(msgspec.Struct, frozen=True):
    """A sample that lies in the folder."""

    name: str
    path: Path
    clear: Path  # its clear original; for a clear sample the file itself
    scheme: Scheme | None
    keys: dict[KeyId, ContentKey]
    keys_file: Path
    was_made: bool  # False: it was there already, of the same recipe


class _Made(msgspec.Struct, frozen=True):
    recipe: str
    sha256: str


def make_samples(folder: Path, only: Iterable[str] = ()) -> list[SampleFile]:
    """Make what is not there yet in `folder`: all samples, or those named and their clear originals.

    A file that is there with the hash that its recipe gave is left alone. Every file is whole at any moment.

    Raises:
        InvalidArgumentError: there is no sample of a name.
        OSError: the folder cannot be written.
    """
    recipes = _with_originals(list(only) or list(RECIPES))
    folder.mkdir(parents=True, exist_ok=True)
    keys = {kid: key for recipe in RECIPES.values() for kid, key in recipe.content_keys.items()}
    write_whole(folder / KEYS_FILE, encode_jwk_set(keys))
    ledger = _read_ledger(folder / _LEDGER)
    made = []
    for recipe in recipes:
        path, clear = folder / recipe.file_name, folder / _original(recipe).file_name
        is_new = not _is_there(path, recipe, ledger)
        if is_new:
            _make(recipe, path, clear)
            ledger[recipe.name] = _Made(recipe.digest, _hash(path))
            write_whole(folder / _LEDGER, msgspec.json.format(msgspec.json.encode(ledger)))
        made.append(
            SampleFile(recipe.name, path, clear, recipe.scheme, recipe.content_keys, folder / KEYS_FILE, is_new)
        )
    return made


def _with_originals(names: list[str]) -> list[Recipe]:
    """The recipes of these names and of their clear originals, each once, originals first."""
    for name in names:
        if name not in RECIPES:
            raise InvalidArgumentError(f"there is no sample {name!r}", remedy=f"one of: {', '.join(RECIPES)}")
    wanted = set(names) | {_original(RECIPES[name]).name for name in names}
    return [recipe for recipe in RECIPES.values() if recipe.name in wanted]


def _original(recipe: Recipe) -> Recipe:
    """The clear sample of the same clip."""
    return next(other for other in RECIPES.values() if other.scheme is None and other.clip == recipe.clip)


def _make(recipe: Recipe, path: Path, clear: Path) -> None:
    if recipe.scheme is None:
        make_clip(path, recipe.clip)
    else:
        encrypt_file(clear, path, scheme=recipe.scheme, tracks=recipe.track_encryptions())


def _is_there(path: Path, recipe: Recipe, ledger: dict[str, _Made]) -> bool:
    known = ledger.get(recipe.name)
    return known is not None and known.recipe == recipe.digest and path.is_file() and _hash(path) == known.sha256


def _read_ledger(path: Path) -> dict[str, _Made]:
    # Whatever is wrong with it, making the samples again sets it right.
    with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, _Made])
    return {}


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
