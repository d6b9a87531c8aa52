"""The rules of the house that no linter knows. `make check` runs this file alone; CONTRIBUTING.md says why each stands.

A rule is a function from a tree of files to its breaches. Each is run twice: over what git tracks, where it must find
nothing, and over a small tree with a breach planted in it, which it must find.
"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from drm.pmp.platform import COMPONENTS_MAY_IMPORT

ROOT = Path(__file__).parents[2]
PACKAGES = ("drm", "ita", "license_server", "player", "sample_content")
LONGEST = 350  # lines
LONGER: dict[str, str] = {
    "drm/errors.py": "one table: every class that has a code, in one place that both processes load",
    "tests/unit/lockdown/programs/locks.py": "one program, run by its path: each part of the lock-down is a function",
}
# Where classes with an error code stand. Both processes load both files, so that no code is unknown to one of them.
CODES = ("drm/errors.py", "drm/trust/errors.py")

# The files that may read a content key's bytes (ContentKey.secret). Add one only with a reason that a reviewer accepts.
SECRET_READERS: dict[str, str] = {
    "drm/keys.py": "defines it",
    "drm/license/clearkey.py": "writes the license that a server sends",
    "drm/keyfile/formats.py": "tells a swapped KID and key in a keys file",
    "drm/keyfile/check_value.py": "makes the value that names a key and does not give it away",
    "drm/keyfile/writing.py": "writes the keys file that was asked for",
    "drm/cenc/cryptography_engine.py": "decrypts",
    "drm/cenc/pycryptodome_engine.py": "decrypts",
    "drm/decrypting/file.py": "hands keys to the fast way of decryption, which knows no classes",
    "drm/encrypting/settings.py": "makes the IVs of samples from the key",
    "license_server/packagers/key_server.py": "hands a packager the keys that it encrypts with",
    "license_server/store/wrapping.py": "wraps keys at rest",
    "license_server/issuing/licenses.py": "writes the 16 bytes that an HLS player fetches",
    "player/verbs/keys/text.py": "writes keys in the notation that was asked for",
    "player/key_mistakes.py": "tells a swapped or reversed KID and key",
}
# What README, tutorial and how-to may import from: the public faces, and why each is one. What components may import in
# the worker (drm/pmp/platform.py) comes on top: that is the components' face.
FACES: dict[str, str] = {
    "drm.app": "programs: sessions, servers, rights, components",
    "drm.session.events": "programs: what a session says",
    "drm.session.topology": "programs: what a session plays",
    "drm.cenc.encrypt": "authors of media sources: samples as a packager makes them",
    "drm.manifests.rewrite": "programs that rewrite manifests: bytes in, bytes out",
    "drm.trust.authority.create": "publishers: an authority",
    "drm.trust.authority.home": "publishers: its folder",
    "drm.trust.authority.published": "publishers: the root that users pin",
    "drm.trust.authority.publishing": "publishers: components",
    "drm.trust.authority.revoking": "publishers: the revocation list",
    "drm.trust.revocations": "publishers: what stands on it",
    "license_server.process": "programs and tests that run a license server",
    "player.testing.assertions": "tests without pytest's fixtures",
}
USERS_PAGES = ("README.md", "docs/tutorial/", "docs/how-to/")


class Tree:
    """Files under a root, by their paths from it."""

    def __init__(self, root: Path, paths: list[str]) -> None:
        self.root, self.paths = root, sorted(paths)

    def text(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def python(self, *, packages: bool = False) -> Iterator[tuple[str, ast.Module]]:
        for path in self.paths:
            if path.endswith(".py") and (not packages or path.partition("/")[0] in PACKAGES):
                yield path, ast.parse(self.text(path), path)


def tracked() -> Tree:
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
    )
    paths = listing.stdout.decode().split("\0")
    return Tree(ROOT, [path for path in paths if path and (ROOT / path).is_file()])


# ------------------------------------------------------------------------------------------------ rules
def long_files(tree: Tree) -> Iterator[str]:
    for path in tree.paths:
        lines = len(tree.text(path).splitlines())
        if path.endswith(".py") and lines > LONGEST and path not in LONGER:
            yield f"{path} has {lines} lines: what is its second subject?"


def public_names(tree: Tree) -> Iterator[str]:
    for path, module in tree.python(packages=True):
        name = PurePosixPath(path)
        if name.stem.startswith("_") or not name.stem.isidentifier() or "migrations" in name.parts:
            continue
        exported = _all(module)
        if exported is None:
            yield f"{path} has no __all__"
        else:
            yield from (f"{path}: __all__ names {name}, which is not there" for name in exported - _defined(module))


def faces_of_shared_packages(tree: Tree) -> Iterator[str]:
    for path, module in tree.python(packages=True):
        if not path.endswith("/__init__.py") or path.startswith(("drm/app/", "license_server/", "player/", "sample_")):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__"):
                yield f"{path}:{node.lineno} imports: it runs in both processes, so it imports nothing"


def codes_elsewhere(tree: Tree) -> Iterator[str]:
    for path, module in tree.python(packages=True):
        if path not in CODES:
            for node in ast.walk(module):
                if isinstance(node, ast.ClassDef) and any(word.arg == "code" for word in node.keywords):
                    yield f"{path}:{node.lineno} gives {node.name} an error code: it belongs in drm/errors.py"


def imports_below_faces(tree: Tree) -> Iterator[str]:
    allowed = {*FACES, *COMPONENTS_MAY_IMPORT}
    for path in (path for path in tree.paths if path.endswith(".md") and path.startswith(USERS_PAGES)):
        for module, names in _imports_in(tree.text(path)):
            if module not in allowed and not {f"{module}.{name}" for name in names or ("",)} <= allowed:
                yield f"{path} imports from {module}, which is below the public faces"


def _imports_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Each import of ours that a page shows: the module, and what is taken of it."""
    ours = rf"((?:{'|'.join(PACKAGES)})(?:\.\w+)*)"
    for module, in_brackets, names in re.findall(rf"\bfrom {ours} import (?:\(([^)]*)\)|([\w, ]+))", text):
        yield module, re.findall(r"\w+", in_brackets or names)
    for module in re.findall(rf"^\s*import {ours}", text, re.MULTILINE):
        yield module, []


def private_keys(tree: Tree) -> Iterator[str]:
    names = re.compile(r"(?:\.(?:pem|key|p8|p12|pfx|jks)|(?:^|/)id_(?:rsa|ecdsa|ed25519)|_key\.json)$")
    armour = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
    jwk = re.compile(r'"kty"\s*:\s*"(?:OKP|EC|RSA)"[^{}]*"d"\s*:|"d"\s*:\s*"[^{}]*"kty"\s*:\s*"(?:OKP|EC|RSA)"')
    for path in tree.paths:
        text = tree.text(path)
        if names.search(path) or armour.search(text) or jwk.search(text):
            yield f"{path} looks like a private key; none belongs in the repository"


def foreign_words(tree: Tree) -> Iterator[str]:
    # Written in halves, so that this file does not find itself.
    words = ["shared/" + "reference", "shared/" + "design", "shared/" + "house", "shared/" + "style", "dos" + "sier"]
    for path in tree.paths:
        text = tree.text(path).lower()
        yield from (f"{path} mentions {word!r}: cite a public source" for word in words if word in text)


def secrets_read(tree: Tree) -> Iterator[str]:
    for path, module in tree.python(packages=True):
        reads = [node for node in ast.walk(module) if isinstance(node, ast.Attribute) and node.attr == "secret"]
        if reads and path not in SECRET_READERS:
            yield f"{path}:{reads[0].lineno} reads a content key's bytes and is not on the list of those that may"


def secrets_printed(tree: Tree) -> Iterator[str]:
    says = {"print", "echo", "secho", "debug", "info", "warning", "error", "exception", "critical", "log", "repr"}
    for path, module in tree.python(packages=True):
        for call in ast.walk(module):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in says or name.endswith("Error"):
                inside = (node for words in (*call.args, *call.keywords) for node in ast.walk(words))
                if any(isinstance(node, ast.Attribute) and node.attr == "secret" for node in inside):
                    yield f"{path}:{call.lineno} hands a key's bytes to {name}()"


def change_log(tree: Tree) -> Iterator[str]:
    if "CHANGELOG.md" not in tree.paths or not re.search(
        r"^## \[Unreleased\]", tree.text("CHANGELOG.md"), re.MULTILINE
    ):
        yield "CHANGELOG.md has no Unreleased section"


def broken_links(tree: Tree) -> Iterator[str]:
    for path in (path for path in tree.paths if path.endswith(".md")):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", tree.text(path)):
            if not re.match(r"[a-z]+:", target) and not ((tree.root / path).parent / target).exists():
                yield f"{path} links to {target}, which is not there"


def files_that_docs_name(tree: Tree) -> Iterator[str]:
    name = re.compile(rf"\b(?:{'|'.join(PACKAGES)}|tests|docs)/[\w/]+\.(?:py|md|txt|toml)\b")
    for path in (path for path in tree.paths if path.endswith(".md") and path != "CHANGELOG.md"):
        for named in sorted(set(name.findall(tree.text(path)))):
            if not (tree.root / named).exists():
                yield f"{path} names {named}, which is not there"


def unknown_verbs(tree: Tree) -> Iterator[str]:
    from player.cli import _VERBS

    for path in (path for path in tree.paths if path.endswith(".md")):
        code = re.findall(r"```.*?```|`[^`\n]+`", tree.text(path), re.DOTALL)
        for verb in sorted({verb for part in code for verb in re.findall(r"\bclearkey ([a-z][a-z-]+)", part)}):
            if verb not in _VERBS:
                yield f"{path} shows `clearkey {verb}`, and there is no such verb"


def ci_entry(tree: Tree) -> Iterator[str]:
    lines = tree.text(".ci/run").splitlines() if ".ci/run" in tree.paths else []
    yield from (f".ci/run does not call `{step}`" for step in ("make check", "make test") if step not in lines)


def what_make_check_runs(tree: Tree) -> Iterator[str]:
    text = tree.text("Makefile") if "Makefile" in tree.paths else ""
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    for tool in ("ruff check", "ruff format --quiet --check", "mypy", "lint-imports", "tests/unit/test_house.py"):
        # A recipe line that begins with "-", or ends in "|| true", would not stop the build.
        lines = recipe.group(1).splitlines() if recipe else []
        if not any(tool in line and not re.search(r"^\t-|\|\|", line) for line in lines):
            yield f"Makefile: `make check` does not run {tool}"


def _all(module: ast.Module) -> set[str] | None:
    for node in module.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return set(ast.literal_eval(node.value))  # type: ignore[union-attr, arg-type]  # both kinds have a value
    return None


def _defined(module: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in module.body:
        for part in ast.walk(node) if isinstance(node, ast.If | ast.Try) else [node]:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.add(part.name)
            elif isinstance(part, ast.Import | ast.ImportFrom):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in part.names}
            elif isinstance(part, ast.Assign | ast.AnnAssign):
                targets = part.targets if isinstance(part, ast.Assign) else [part.target]
                names |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return names


# ------------------------------------------------------------------------------------------------ the tests
Rule = Callable[[Tree], Iterator[str]]

CHECK = "check: .venv\n\truff check .\n\truff format --quiet --check .\n\tmypy\n{}\n\tpytest tests/unit/test_house.py\n"
# Each rule with a tree that breaks it once: path -> content.
PLANTED: list[tuple[Rule, str, str]] = [
    (long_files, "drm/a.py", "x = 1\n" * (LONGEST + 1)),
    (codes_elsewhere, "license_server/a.py", '__all__ = []\nclass AError(DRMError, code="E-A"):\n    pass\n'),
    (imports_below_faces, "docs/how-to/a.md", "```python\nfrom drm.app.server import create_pmp_server\n```\n"),
    (imports_below_faces, "docs/tutorial/a.md", "```python\nimport drm.app.server\n```\n"),
    (imports_below_faces, "README.md", "`from drm.license import (clearkey, sealing)`\n"),
    (public_names, "drm/a.py", "def f(): ...\n"),
    (public_names, "ita/a.py", "__all__ = ['f', 'gone']\ndef f(): ...\n"),
    (faces_of_shared_packages, "drm/wire/__init__.py", "from drm.wire import messages\n"),
    (faces_of_shared_packages, "ita/__init__.py", "def f():\n    import os\n"),
    (private_keys, "tests/data/device.pem", "anything\n"),
    (private_keys, "docs/a.md", "-----BEGIN " + "PRIVATE KEY-----\n"),
    (private_keys, "tests/data/a.json", '{"kty": "OK' + 'P", "crv": "X25519", "d": "AAAA"}\n'),
    (foreign_words, "docs/a.md", "see the dos" + "sier\n"),
    (secrets_read, "player/a.py", "__all__ = []\ndef f(key):\n    return key.secret\n"),
    (secrets_printed, "player/a.py", "def f(key, logger):\n    logger.info('%s', key.secret.hex())\n"),
    (secrets_printed, "player/a.py", "def f(key):\n    raise ValueError(f'bad {key.secret}')\n"),
    (change_log, "CHANGELOG.md", "# Changelog\n## [0.1.0]\n"),
    (broken_links, "README.md", "[a](docs/gone.md)\n"),
    (files_that_docs_name, "docs/a.md", "see drm/app/gone.py\n"),
    (unknown_verbs, "README.md", "`clearkey frobnicate FILE`\n"),
    (ci_entry, ".ci/run", "make check\nmake test || true\n"),
    (what_make_check_runs, "Makefile", CHECK.format("\t-lint-imports")),
    (what_make_check_runs, "Makefile", CHECK.format("\ttrue") + "\nother:\n\tlint-imports\n"),
]
SOUND = {
    "drm/sound.py": "from os import path\n__all__ = ['f', 'path']\ndef f(): ...\n",
    "drm/wire/__init__.py": '"""Imports nothing."""\nfrom __future__ import annotations\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n",
    "README.md": "[a](CHANGELOG.md) `clearkey play FILE` drm/sound.py [b](https://example.org/)\n",
    "drm/errors.py": '__all__ = []\nclass AError(DRMError, code="E-A"):\n    pass\n' + "#\n" * LONGEST,
    "docs/how-to/sound.md": "```python\nfrom drm.app import open_source\nfrom drm.license import clearkey\n```\n",
    "docs/inside.md": "```python\nfrom drm.app.server import create_pmp_server\n```\n",
    "tests/data/keys.json": '{"keys": [{"kty": "oct", "k": "AAAA", "kid": "BBBB"}]}\n',
    ".ci/run": "make check\nmake test\n",
    "Makefile": CHECK.format("\tlint-imports"),
}
RULES = list(dict.fromkeys(rule for rule, _, _ in PLANTED))


def planted_tree(root: Path, files: dict[str, str]) -> Tree:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return Tree(root, list(files))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule: Rule) -> None:
    assert list(rule(tracked())) == []


@pytest.mark.parametrize(("rule", "path", "content"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_the_rule_finds_a_planted_breach(tmp_path: Path, rule: Rule, path: str, content: str) -> None:
    assert list(rule(planted_tree(tmp_path / "sound", SOUND))) == []
    breaches = list(rule(planted_tree(tmp_path / "broken", {**SOUND, path: content})))
    assert len(breaches) == 1
    assert path in breaches[0]


def test_warnings_are_errors_without_exception() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert settings["filterwarnings"] == ["error"]


def test_who_reads_keys_is_still_there() -> None:
    """A name on the list that no longer reads a key's bytes would be an open door."""
    readers = {path for path, module in tracked().python(packages=True) if "secret" in _attributes(module)}
    assert set(SECRET_READERS) - {"drm/keys.py"} <= readers


def test_no_exception_outlives_its_reason() -> None:
    """A file that is no longer long, and a face that no page shows, would be open doors too."""
    tree = tracked()
    assert [path for path in LONGER if len(tree.text(path).splitlines()) <= LONGEST] == []
    pages = (tree.text(path) for path in tree.paths if path.endswith(".md") and path.startswith(USERS_PAGES))
    shown = {module for page in pages for module, _ in _imports_in(page)}
    assert set(FACES) <= shown


def _attributes(module: ast.Module) -> set[str]:
    return {node.attr for node in ast.walk(module) if isinstance(node, ast.Attribute)}
