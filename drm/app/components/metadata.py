"""One refresh of metadata by python-tuf's client, in a folder that nobody else reads. Application only.

The client writes each file when it has verified it, and so keeps what was verified whatever becomes of the rest: a root
that took a stolen key from its thief is never forgotten (the TUF specification, 5.3.8). A kill can leave such a folder
in a state that no worker would take; so what the client left in the end is handed on as bytes, and verified again by
what the worker verifies with.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root

from drm.app.components.generation import FIXED_FILES, ROOTS, opened_folder, read_generation
from drm.trust.errors import MetadataError, RevocationListError
from drm.trust.revocations import MAX_LIST
from drm.trust.verifier import COMPONENTS, LIST_FILE, LIST_TARGET, root_file
from drm.whole_file import write_whole

if TYPE_CHECKING:
    from tuf.ngclient import FetcherInterface

__all__ = ["NO_LIST", "kept_metadata", "refresh_metadata"]

NO_LIST: Final = "the server's metadata names no revocation list"


def kept_metadata(folder: Path) -> dict[str, bytes]:
    """Return what earlier refreshes verified, as far as it lies there; whatever is no plain file is removed.

    Raises OSError.
    """
    for path in (*folder.iterdir(), *(folder / ROOTS).glob("*")):
        if path == folder / ROOTS and path.is_dir() and not path.is_symlink():
            continue
        if path.is_symlink() or not path.is_file():
            path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
    (folder / ROOTS).mkdir(exist_ok=True)
    with opened_folder(folder) as opened:
        return dict(read_generation(opened, 0).files)


def refresh_metadata(
    folder: Path, seed: Mapping[str, bytes], pinned_root: bytes, repository_url: str, fetcher: FetcherInterface
) -> dict[str, bytes]:
    """Return the server's present metadata and revocation list, by the names that `verify_trust` takes.

    `folder` is the client's own, from the last time, and remembers what is verified now. `seed` is what is stored: it
    saves requests, and what of it verifies keeps the server from going back; what of it does not is asked for anew.

    Raises:
        RepositoryError, ValueError, TypeError, KeyError: what the server gave is refused.
        MetadataError, RevocationListError: so it is, for a reason of ours.
        DownloadError: the server did not give it.
        OSError: the folder cannot be written to.
    """
    from tuf.ngclient import Updater  # noqa: PLC0415 - a tenth of a second, for those who update alone

    held = kept_metadata(folder)
    for name, data in seed.items():
        if held.get(name) != data:
            write_whole(folder / name, data, 0o600, only_writer=True)
    for name in FIXED_FILES:
        if name not in seed:
            (folder / name).unlink(missing_ok=True)
    base = repository_url.rstrip("/")
    try:
        updater = Updater(
            str(folder), f"{base}/metadata/", str(folder), f"{base}/targets/", fetcher, bootstrap=pinned_root
        )
    except RepositoryError as error:
        raise MetadataError(
            "the root that everything is verified from cannot be used",
            seen=str(error)[:300],
            remedy="take the root file that the publisher of the components exports",
        ) from None
    updater.refresh()
    target = updater.get_targetinfo(LIST_TARGET)
    if target is None:
        raise MetadataError(NO_LIST)
    if target.length > MAX_LIST:
        raise RevocationListError(f"the server's revocation list has {target.length} bytes, more than {MAX_LIST}")
    place = str(folder / LIST_FILE)
    if updater.find_cached_target(target, place) is None:
        updater.download_target(target, place)
    updater.get_targetinfo(f"{COMPONENTS}/-/-")  # no such archive: asking for it is what loads the role that would list
    return _left_in(folder)


def _left_in(folder: Path) -> dict[str, bytes]:
    newest = Metadata[Root].from_file(str(folder / "root.json")).signed.version  # the client's link to what it trusts
    names = [*FIXED_FILES, *(root_file(number) for number in range(1, newest + 1))]
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
