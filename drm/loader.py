"""Import a component from verified bytes, and from nothing else.

`ita.*` and `drm.components.*` belong to the finder of this file. It stands first among the import system's finders,
compiles a module out of the very bytes that its manifest vouches for, under their real relative path, and refuses
what no component lists: the copy on disk, if there is one, never runs. Works in both processes.

This is the integrity of what is loaded, not a wall: code that was verified and runs is trusted fully, and what holds
it then is the kernel's lock.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Final
from uuid import UUID

from drm.errors import (
    DuplicateFileError,
    RestartRequiredError,
    TrustError,
    UnknownComponentError,
    UnlistedFileError,
    error_from_record,
)
from drm.trust.archive import Component, unpack

__all__ = ["Loader", "seal"]

_FAMILY: Final = "drm.components"  # the package that holds components and is none: it is made here, empty


def _is_owned(fullname: str) -> bool:
    return fullname in ("ita", _FAMILY) or fullname.startswith(("ita.", f"{_FAMILY}."))


class _Source:
    """One verified module: the import system's loader of exactly these bytes."""

    def __init__(self, path: str, data: bytes, made: dict[str, ModuleType]) -> None:
        self._path = path
        self._data = data
        self._made = made  # notes the module that is filled, so that one from elsewhere is told apart

    def create_module(self, _spec: ModuleSpec) -> ModuleType | None:
        return None  # an ordinary module

    def exec_module(self, module: ModuleType) -> None:
        code: CodeType = compile(self._data, self._path, "exec", dont_inherit=True)
        self._made[module.__name__] = module
        try:
            exec(code, module.__dict__)  # noqa: S102 - running verified bytes is what a loader is for
        except BaseException:
            del self._made[module.__name__]
            raise

    def get_source(self, _fullname: str) -> str:
        """What linecache shows in a traceback, instead of reading the copy on disk."""
        return self._data.decode()


class _Finder:
    """The one owner of `ita.*` and `drm.components.*` in this process."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._components: dict[str, Component] = {}  # by package
        self._ours: dict[str, ModuleType] = {}  # modules that this finder made
        self._platform: frozenset[str] | None = None

    def adopt(self, components: Iterable[Component]) -> None:
        """Serve these components from now on. Raises RestartRequiredError or TrustError, and then adopts none."""
        with self._lock:
            wanted = {component.manifest.package: component for component in components}
            for package, component in wanted.items():
                known = self._components.get(package)
                if known and known.manifest.digest != component.manifest.digest and self._is_loaded(package):
                    raise RestartRequiredError(
                        f"{package} v{known.manifest.version} runs in this process, and other files of it are offered",
                        remedy="start a new process",
                    )
            self._components |= wanted
            self.stand_first()

    def stand_first(self) -> None:
        """Be asked before any other finder, and throw out what another way has imported of ours."""
        if not sys.meta_path or sys.meta_path[0] is not self:
            sys.meta_path[:] = [self, *(finder for finder in sys.meta_path if finder is not self)]
        for name in [name for name in sys.modules if _is_owned(name)]:
            if sys.modules[name] is not self._ours.get(name):
                del sys.modules[name]

    def load(self, component: Component) -> type:
        """Import the component's class. Raises TrustError."""
        self._check_requires(component)
        with self._lock:
            self.stand_first()
            module = importlib.import_module(component.manifest.module)
        found = getattr(module, component.manifest.class_name, None)
        if not isinstance(found, type):
            raise TrustError(f"{component.manifest.entry_point} is not a class of {component.manifest.name}")
        return found

    def restrict(self, platform: frozenset[str]) -> None:
        """From now on a component may require these modules only."""
        self._platform = platform

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Give what a component lists, None for what is not ours to give, and refuse the rest.

        Raises:
            UnlistedFileError: the name is one of ours, and no verified component lists it.
        """
        if not _is_owned(fullname):
            return None
        if fullname == _FAMILY:
            return self._spec(fullname, "drm/components/__init__.py", b"", is_package=True)
        component = next((c for p, c in self._components.items() if f"{fullname}.".startswith(f"{p}.")), None)
        if component is None:
            raise UnlistedFileError(f"no verified component owns {fullname}")
        stem = fullname.replace(".", "/")
        for path, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if path in component.files:
                return self._spec(fullname, path, component.files[path], is_package=is_package)
        raise UnlistedFileError(f"{component.manifest.name} v{component.manifest.version} lists no module {fullname}")

    def _spec(self, fullname: str, path: str, data: bytes, *, is_package: bool) -> ModuleSpec:
        source = _Source(path, data, self._ours)
        # `origin` without has_location: no __file__, no cached bytecode, nothing that would lead back to the disk.
        return ModuleSpec(fullname, source, origin=path, is_package=is_package)  # type: ignore[arg-type]  # no load_module

    def _is_loaded(self, package: str) -> bool:
        return any(f"{name}.".startswith(f"{package}.") for name in self._ours)

    def _check_requires(self, component: Component) -> None:
        if self._platform is None:
            return
        for name in component.manifest.requires:
            if name not in self._platform:
                raise TrustError(
                    f"{component.manifest.name} v{component.manifest.version} requires {name[:100]!r}, which is not "
                    "among what components may import in the worker"
                )


_finder = _Finder()


class Loader:
    """Makes instances of a set of verified components. Thread-safe; several loaders of one process share modules."""

    def __init__(self, components: Iterable[Component], refused: Mapping[UUID, TrustError] | None = None) -> None:
        """Take the components; the finder owns their names from here on. `refused`: why others must not run.

        Raises:
            DuplicateFileError: two have the same name or class id.
            RestartRequiredError: other files of one of them were loaded in this process before.
        """
        self._by_class: dict[UUID, Component] = {}
        self._by_name: dict[str, Component] = {}
        self._refused = dict(refused or {})
        for component in components:
            manifest = component.manifest
            if manifest.name in self._by_name or manifest.class_id in self._by_class:
                raise DuplicateFileError(f"two components are called {manifest.name} or {manifest.class_id}")
            self._by_name[manifest.name] = component
            self._by_class[manifest.class_id] = component
        _finder.adopt(self._by_name.values())

    @classmethod
    def from_bundle(cls, bundle: bytes) -> Loader:
        """Unpack and verify a bundle, and take its components. Raises TrustError."""
        return cls(unpack(bundle))

    def component_class(self, class_id: UUID) -> type:
        """Return the class registered under `class_id`, importing it the first time.

        Raises:
            UnknownComponentError: no component has this class id.
            TrustError: the component is not what its manifest says, or requires what the sealed process does not have.
        """
        component = self._by_class.get(class_id)
        if component is None:
            if class_id in self._refused:  # a new error each time: one that is kept would gather tracebacks
                raise error_from_record(self._refused[class_id].to_record())
            raise UnknownComponentError(f"no component has the class id {class_id}")
        return _finder.load(component)

    def class_id(self, name: str) -> UUID:
        """Return the class id of the component of this name. Raises UnknownComponentError."""
        component = self._by_name.get(name)
        if component is None:
            raise UnknownComponentError(f"no component is called {name[:100]!r}")
        return component.manifest.class_id

    def create(self, class_id: UUID) -> object:
        """Return a new instance of the class registered under `class_id`. Raises as `component_class`."""
        made: object = self.component_class(class_id)()
        return made

    def digests(self) -> dict[str, str]:
        """The sha256 of each component's manifest, by name."""
        return {name: component.manifest.digest for name, component in sorted(self._by_name.items())}


def seal(platform: Iterable[str]) -> None:
    """Let this process import nothing any more but verified components, which may require `platform` only.

    For the worker, before its lock: what is not loaded by now is refused, instead of being searched for in vain.
    """
    _finder.restrict(frozenset(platform))
    sys.path.clear()
    sys.path_hooks.clear()
    sys.path_importer_cache.clear()
    sys.meta_path.clear()
    _finder.stand_first()
