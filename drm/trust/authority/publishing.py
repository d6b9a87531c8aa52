"""List signed archives, so that clients take them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from drm.errors import AuthorityError
from drm.trust.archive import Component
from drm.trust.authority.home import AuthorityHome
from drm.trust.authority.source_folder import archive_of
from drm.trust.component_archive import read_component
from drm.trust.entry import Entry, facts_of, target_path
from drm.trust.manifest import ComponentDescription
from drm.trust.verifier import COMPONENTS, VerifiedTrust
from drm.trust.versions import VersionKey, version_key

__all__ = ["publish", "publish_archives"]


def publish(home: AuthorityHome, sources: Sequence[Path] = ()) -> list[Entry]:
    """Publish components (folders or archives; none: all that wait) and return how they are listed.

    What is published already, byte for byte, is passed over: the command can be repeated.

    Raises:
        TrustError: an archive is unsound.
        AuthorityError: another content has that version, another component that name, or it is revoked.
        SigningKeyMissingError, PassphraseError: it cannot be signed.
    """
    paths = list(sources) or sorted(home.waiting.glob("*.zip"))
    if not paths:
        raise AuthorityError("nothing waits to be published", remedy="run `clearkey authority sign FOLDER` first")
    archives = [(str(path), archive_of(path)) for path in paths]
    command = _command(archives)
    with home.writing(command):
        entries = _publish(home, command, archives, replace=False)
        for path in home.waiting.glob("*.zip"):
            if path in paths:
                path.unlink()
        return entries


def publish_archives(home: AuthorityHome, datas: Collection[bytes]) -> list[Entry]:
    """Publish archives as a developer's own authority does: what is listed and stands in their way is listed no more.

    That is another content of the same version, and another component of the same name or class id. Raises as
    `publish`.
    """
    archives = [(f"archive {at}", data) for at, data in enumerate(datas, start=1)]
    command = _command(archives)
    with home.writing(command):
        return _publish(home, command, archives, replace=True)


def _command(archives: Sequence[tuple[str, bytes]]) -> tuple[str, ...]:
    return ("publish", *sorted(hashlib.sha256(data).hexdigest() for _, data in archives))


def _publish(
    home: AuthorityHome, command: tuple[str, ...], archives: Sequence[tuple[str, bytes]], *, replace: bool
) -> list[Entry]:
    """List the archives (where each is from, and its bytes) while the authority is locked."""
    trust = home.trust()
    read = [(read_component(data, where), data) for where, data in archives]
    for at, (component, data) in enumerate(read):
        _check_together(component, data, read[:at])
    news = [(component, data) for component, data in read if _is_new(trust, component, data, replace=replace)]
    if news:
        with home.change(command) as repository:
            with repository.edit_targets(COMPONENTS) as listed:
                for component, data in news:
                    manifest = component.manifest
                    for entry in trust.components:
                        if _same_version(component, entry) or _clash(manifest, entry.class_id, entry.name):
                            listed.targets.pop(target_path(entry.class_id, entry.version), None)
                    place = target_path(manifest.class_id, manifest.version)
                    facts = msgspec.to_builtins(facts_of(manifest))
                    repository.add_archive(place, data, facts, listed)
            repository.finish()
    hashes = {hashlib.sha256(data).hexdigest() for _, data in archives}
    return [entry for entry in home.trust().components if entry.sha256 in hashes]


def _check_together(component: Component, data: bytes, before: Sequence[tuple[Component, bytes]]) -> None:
    """Raise AuthorityError where one of the archives that are given is at odds with another."""
    manifest = component.manifest
    for other, content in before:
        _check_name(manifest, other.manifest.class_id, other.manifest.name)
        same = (other.manifest.class_id, _version(other)) == (manifest.class_id, _version(component))
        if same and content != data:
            raise AuthorityError(
                f"{manifest.name} v{manifest.version} is given twice",
                remedy="raise the version of one of them, or give it a name and a class id of its own",
            )


def _is_new(trust: VerifiedTrust, component: Component, data: bytes, *, replace: bool) -> bool:
    manifest = component.manifest
    called = f"{manifest.name} v{manifest.version}"
    version = _version(component)
    for entry in trust.components:
        if _same_version(component, entry):
            if entry.is_content(data):
                return False
            if not replace:
                raise AuthorityError(
                    f"another content of {called} is published", remedy="raise the version: one version is one content"
                )
        if not replace:
            _check_name(manifest, entry.class_id, entry.name)
    revocation = trust.revocations.find(
        manifest.class_id, version, hashlib.sha256(data).hexdigest(), trust.key_ids[COMPONENTS]
    )
    if revocation is not None:
        raise AuthorityError(
            f"{called} is revoked", seen=revocation.describe(), remedy="publish a higher version, or unrevoke this one"
        )
    return True


def _version(component: Component) -> VersionKey:
    try:
        return version_key(component.manifest.version)
    except ValueError as error:
        raise AuthorityError(str(error)) from None


def _same_version(component: Component, entry: Entry) -> bool:
    return (entry.class_id, entry.version_key) == (component.manifest.class_id, _version(component))


def _clash(manifest: ComponentDescription, class_id: UUID, name: str) -> bool:
    return (class_id == manifest.class_id) != (name == manifest.name)


def _check_name(manifest: ComponentDescription, class_id: UUID, name: str) -> None:
    if _clash(manifest, class_id, name):
        raise AuthorityError(
            f"{manifest.name} has the class id {manifest.class_id}, and {name} is published with {class_id}",
            remedy="a component keeps its name and its class id",
        )
