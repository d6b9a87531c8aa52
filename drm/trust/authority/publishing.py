"""List signed archives, so that clients take them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from drm.trust.archive import Component
from drm.trust.authority.component_folder import archive_of
from drm.trust.authority.errors import AuthorityError
from drm.trust.authority.home import AuthorityHome
from drm.trust.component_archive import read_component
from drm.trust.entry import Entry, facts_of, target_path
from drm.trust.verifier import COMPONENTS, VerifiedTrust
from drm.trust.versions import version_key

__all__ = ["publish"]


def publish(home: AuthorityHome, sources: Sequence[Path] = (), *, replace: bool = False) -> list[Entry]:
    """Publish components (folders or archives; none: all that wait) and return how they are listed.

    What is published already, byte for byte, is passed over: the command can be repeated. `replace` lets another
    content take the place of a listed version, which only a developer's own authority has a use for.

    Raises:
        TrustError: an archive is unsound.
        AuthorityError: another content has that version, another component that name, or it is revoked.
        SigningKeyMissingError, PassphraseError: it cannot be signed.
    """
    paths = list(sources) or sorted(home.waiting.glob("*.zip"))
    if not paths:
        raise AuthorityError("nothing waits to be published", remedy="run `clearkey authority sign FOLDER` first")
    archives = [(path, archive_of(path)) for path in paths]
    command = ("publish", *sorted(hashlib.sha256(data).hexdigest() for _, data in archives))
    with home.writing(command):
        trust = home.trust()
        read = [(read_component(data, str(path)), data) for path, data in archives]
        news: list[tuple[Component, bytes]] = []
        for component, data in read:
            if _is_new(trust, component, data, [other for other, _ in news], replace=replace):
                news.append((component, data))
        if news:
            with home.change(command) as repository:
                with repository.edit_targets(COMPONENTS) as listed:
                    for component, data in news:
                        manifest = component.manifest
                        for entry in _replaced(trust, component):
                            del listed.targets[target_path(entry.class_id, entry.version)]
                        place = target_path(manifest.class_id, manifest.version)
                        facts = msgspec.to_builtins(facts_of(manifest))
                        repository.add_archive(place, data, facts, listed)
                repository.finish()
        for path in home.waiting.glob("*.zip"):
            if path in paths:
                path.unlink()
        hashes = {hashlib.sha256(data).hexdigest() for _, data in archives}
        return [entry for entry in home.trust().components if entry.sha256 in hashes]


def _replaced(trust: VerifiedTrust, component: Component) -> list[Entry]:
    same = (component.manifest.class_id, version_key(component.manifest.version))
    return [entry for entry in trust.components if (entry.class_id, entry.version_key) == same]


def _is_new(
    trust: VerifiedTrust, component: Component, data: bytes, news: Sequence[Component], *, replace: bool
) -> bool:
    manifest = component.manifest
    called = f"{manifest.name} v{manifest.version}"
    try:
        version = version_key(manifest.version)
    except ValueError as error:
        raise AuthorityError(str(error)) from None
    for entry in trust.components:
        if entry.class_id == manifest.class_id and entry.version_key == version:
            if entry.is_content(data):
                return False
            if replace:
                continue
            raise AuthorityError(
                f"another content of {called} is published", remedy="raise the version: one version is one content"
            )
    others = [(entry.class_id, entry.name) for entry in trust.components]
    others += [(other.manifest.class_id, other.manifest.name) for other in news]
    for class_id, name in others:
        if (class_id == manifest.class_id) != (name == manifest.name):
            raise AuthorityError(
                f"{manifest.name} has the class id {manifest.class_id}, and {name} is published with {class_id}",
                remedy="a component keeps its name and its class id",
            )
    if any((o.manifest.class_id, version_key(o.manifest.version)) == (manifest.class_id, version) for o in news):
        raise AuthorityError(f"{called} is given twice")
    revocation = trust.revocations.find(
        manifest.class_id, version, hashlib.sha256(data).hexdigest(), trust.key_ids[COMPONENTS]
    )
    if revocation is not None:
        raise AuthorityError(
            f"{called} is revoked", seen=revocation.describe(), remedy="publish a higher version, or unrevoke this one"
        )
    return True
