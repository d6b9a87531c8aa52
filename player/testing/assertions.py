"""Assertions for tests of others: a file plays in the locked-down worker, or the test says in full why it does not.

Runs in the application. What fails is an AssertionError with the paragraph that the `clearkey` command would print.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from drm.app.rights.enabler import ContentProtectionManager
from drm.app.rights.license_forms import LicenseForm
from drm.app.rights.managers import LicenseManager, LocalKeysManager
from drm.errors import DRMError, InvalidArgumentError, KeyMissingError, KeyWrongError
from drm.keys import ContentKey, KeyId
from player.comparison import compare_frames, hashes_by_stream
from player.key_mistakes import explain
from player.options import component_trust, read_keys_file
from player.playback import Playback, PlaybackResult

__all__ = ["Keys", "Played", "PlaysError", "assert_plays", "content_keys", "rights_from"]

Keys: TypeAlias = Mapping[KeyId, ContentKey] | Mapping[str, str] | Path | str
"""KIDs and their keys, in any notation of the command; or a keys file."""

_PYTEST_HIDES: Final = True


@dataclass(frozen=True, slots=True)
class Played:
    """What came out of the worker. Streams are named by kind and place: `video 1`, `audio 1`."""

    frames: int  # of all streams together, as `clearkey play` counts them
    md5: dict[str, list[str]]  # of each decoded frame, by stream, in order, as `ffmpeg -f framemd5` has them
    license_path: str  # how the keys came: sealed, clear, local or none
    level: int  # isolation level of the worker
    notes: tuple[str, ...]


class PlaysError(AssertionError):
    """A file that does not play as it should. Its text is the whole paragraph; `error` has the parts of it."""

    def __init__(self, error: DRMError) -> None:
        super().__init__(error.render())
        self.error = error


def assert_plays(
    path: Path | str | Sequence[Path | str],
    *,
    keys: Keys | None = None,
    license_url: str | None = None,
    headers: Mapping[str, str] | None = None,
    cacert: Path | str | None = None,
    license_form: LicenseForm | str = LicenseForm.AUTO,
    frames: int | Mapping[str, int] | None = None,
    compare: Path | str | None = None,
    min_level: int = 1,
) -> Played:
    """Play a file (or an init segment and its media segments) to its end in a worker of its own; return what came out.

    Rights come from `keys` or from the server at `license_url`; the environment names the components' authority, as for
    `clearkey play`. `license_form` is what the server is asked for: "auto" (what it says that it takes), "sealed" or
    "plain". `frames` is how many frames must come out: of all streams together, or by stream,
    `{"video 1": 250}`. With `compare`, the clear original, every decoded frame must be equal, and both files must have
    the same streams.

    Raises:
        PlaysError: it does not play, or not so; an AssertionError.
    """
    __tracebackhide__ = _PYTEST_HIDES
    names = [os.fspath(path)] if isinstance(path, str | Path) else [os.fspath(each) for each in path]
    try:
        manager = rights_from(keys, license_url, headers, os.fspath(cacert) if cacert else None, license_form)
        wanted = _Wanted(frames, os.fspath(compare) if compare else None, min_level)
        return _played(names, wanted, keys, manager)
    except DRMError as error:
        raised = PlaysError(error)
    raise raised  # outside of `except`: the paragraph says it all, and no second traceback stands above it


def content_keys(keys: Keys) -> dict[KeyId, ContentKey]:
    """Return the keys, parsed. Raises InvalidArgumentError or KeysFileError, neither of which repeats a key."""
    if isinstance(keys, str | Path):
        return read_keys_file(os.fspath(keys))
    return {
        kid if isinstance(kid, KeyId) else KeyId.parse(kid): key
        if isinstance(key, ContentKey)
        else ContentKey.parse(key)
        for kid, key in keys.items()
    }


def rights_from(
    keys: Keys | None,
    license_url: str | None,
    headers: Mapping[str, str] | None = None,
    cacert: str | None = None,
    form: LicenseForm | str = LicenseForm.AUTO,
) -> ContentProtectionManager | None:
    """Return what obtains the rights. None: there are none, which does for clear content."""
    if form not in set(LicenseForm):
        raise InvalidArgumentError(
            f"{form!r} is no form of license", remedy=f"give license_form one of {', '.join(LicenseForm)}"
        )
    if keys is not None and license_url:
        raise InvalidArgumentError("keys come either from keys or from license_url", remedy="leave one of the two out")
    if license_url:
        return LicenseManager(license_url, headers=headers, cacert=cacert, form=LicenseForm(form))
    return LocalKeysManager(content_keys(keys)) if keys is not None else None


@dataclass(frozen=True, slots=True)
class _Wanted:
    frames: int | Mapping[str, int] | None
    clear: str | None
    min_level: int


def _played(names: list[str], wanted: _Wanted, keys: Keys | None, manager: ContentProtectionManager | None) -> Played:
    with contextlib.ExitStack() as stack:
        hashes = os.memfd_create("framemd5", os.MFD_CLOEXEC)
        stack.callback(os.close, hashes)
        try:
            result = Playback(
                names, manager=manager, framemd5=hashes, min_level=wanted.min_level, trust=component_trust()
            ).run()
        except (KeyMissingError, KeyWrongError) as error:
            raise _in_words_of_a_test(error, names, content_keys(keys) if keys is not None else {}) from None
        md5 = hashes_by_stream(hashes)
        _check_frames(names[0], wanted.frames, result, md5)
        if wanted.clear is not None:
            _check_equal(names[0], wanted.clear, hashes, result)
    return Played(
        result.frames, md5, result.license_path.value, result.report.level, tuple(dict.fromkeys(result.notes))
    )


def _in_words_of_a_test(
    error: KeyMissingError | KeyWrongError, names: list[str], keys: Mapping[KeyId, ContentKey]
) -> DRMError:
    """Name the likely mistake, and arguments instead of options."""
    explain(error, keys)
    kid = error.kids[0] if error.kids else "KID"
    if isinstance(error, KeyMissingError):
        error.remedy = f'keys={{"{kid}": KEY}}, or license_url= of a server that has this key'
    else:
        error.remedy = f"clearkey keys check {names[0]} --keys-file KEYS"
    return error


def _check_frames(
    name: str, wanted: int | Mapping[str, int] | None, result: PlaybackResult, md5: Mapping[str, Sequence[str]]
) -> None:
    if wanted is None:
        return
    counts = {stream: len(hashes) for stream, hashes in md5.items()}
    if isinstance(wanted, int):
        differ, asked = result.frames != wanted, str(wanted)
    else:
        differ, asked = any(counts.get(stream) != count for stream, count in wanted.items()), _listed(wanted)
    if differ:
        raise DRMError(
            f"it plays, and not as many frames come out as were expected: {asked}",
            where=name,
            seen=f"{result.frames} in all: {_listed(counts)}",
            maybe="; ".join(dict.fromkeys(result.notes)),
        )


def _check_equal(name: str, clear: str, hashes: int, result: PlaybackResult) -> None:
    different = [verdict for verdict in compare_frames(hashes, clear, result) if not verdict.is_equal]
    if different:
        raise DRMError(
            f"it plays, and not all frames are equal to those of {clear}",
            where=name,
            seen="; ".join(f"{verdict.name}: {verdict.said}" for verdict in different),
            maybe="the clear file is not the one that was encrypted, or the packager changed samples or edit lists",
            remedy=f"clearkey play {name} --compare {clear}",
        )


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{stream}: {count}" for stream, count in counts.items())
