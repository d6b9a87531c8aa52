"""Reads what a manifest names, below its own folder and nowhere else: media playlists and initialization segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import unquote, urlsplit

from drm.encrypting.source_file import SourceFile
from drm.errors import InvalidArgumentError, KeyWrongError, MediaError
from drm.manifests.initialization import ANY, Initialization, Kids, read_initialization
from drm.manifests.judging.players import lacks_pssh
from drm.manifests.judging.verdicts import Verdict
from drm.manifests.playlist import split_query

__all__ = ["Beside", "is_beside", "read_manifest"]

_MAX_MANIFEST: Final = 16 << 20  # bytes


class Beside:
    """The files beside one manifest, each read once."""

    def __init__(self, folder: Path, given: Initialization | None) -> None:
        """`given` is what the user says of media that cannot be read."""
        self.notes: list[str] = []
        self._folder = folder
        self._given = given
        self._read: dict[str, Initialization | None] = {}  # by path from the folder; None: it could not be

    def path(self, uri: str) -> Path:
        """The file that a relative URI names; its query is for servers."""
        return self._folder / unquote(split_query(uri)[0])

    def kids(self, uris: Sequence[str], folder: str = "") -> Kids:
        """What the initialization segments say, by URI, and under `ANY` what is given for those that were not read."""
        found: dict[str, Initialization] = {} if self._given is None else {ANY: self._given}
        paths = Counter(split_query(uri)[0] for uri in uris)
        for uri in uris:
            if paths[split_query(uri)[0]] > 1:
                self.notes.append(f"{uri} was not read: others differ by their query alone, and a file has none")
                continue
            joined = str(PurePosixPath(folder) / uri) if folder not in {"", "."} else uri
            if not is_beside(joined):
                self.notes.append(f"{uri} does not lie beside the manifest, so it was not read")
                continue
            said = self._initialization(joined, uri)
            if said is not None:
                found[uri] = said
        return found

    def _initialization(self, joined: str, uri: str) -> Initialization | None:
        path = split_query(joined)[0]
        if path not in self._read:
            self._read[path] = None
            try:
                with SourceFile(self.path(joined)) as source:
                    self._read[path] = read_initialization(source)
            except MediaError as error:
                self.notes.append(f"{uri} was not read: {error.what}")
        return self._read[path]

    def require_given(self) -> None:
        """Refuse a key id that was given and that all media contradicts. Raises KeyWrongError."""
        read = [said for said in self._read.values() if said is not None and said.key_ids]
        if self._given is None or not read or any(said is None for said in self._read.values()):
            return
        used = {kid for said in read for kid in said.key_ids}
        given = self._given.key_ids[0]
        if given not in used:
            swapped = "the given one is in the byte order of a Windows GUID"
            raise KeyWrongError(
                f"no media here is under the KID that was given, {given}",
                where=str(self._folder),
                seen=f"KID {', '.join(map(str, sorted(used)))}",
                maybe=swapped if given.byte_reversed in used else "it is another film's",
                remedy="leave --kid out: the initialization segments tell the KID",
            )

    def lacks(self) -> Verdict | None:
        """hls.js makes one request for all playlists of one license URL, from whichever initialization comes first."""
        read = [said for said in self._read.values() if said is not None and said.key_ids and said.named is not None]
        wanted = {kid for said in read for kid in said.key_ids}
        if all(wanted <= set(said.named or ()) for said in read):
            return None
        return lacks_pssh("the keys of all tracks")


def is_beside(uri: str) -> bool:
    """Whether a URI is relative, and stays in the folder."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    path = PurePosixPath(unquote(parts.path))
    return not (parts.scheme or parts.netloc or path.is_absolute() or ".." in path.parts or "\0" in unquote(parts.path))


def read_manifest(path: Path) -> bytes:
    """The bytes of a manifest.

    Raises:
        InvalidArgumentError: it cannot be read.
        MediaError: it is larger than any.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_MANIFEST + 1)
    except OSError as error:
        raise InvalidArgumentError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > _MAX_MANIFEST:
        raise MediaError(f"a manifest of more than {_MAX_MANIFEST} bytes is not read", where=str(path))
    return data
