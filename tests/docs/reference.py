"""Makes docs/reference out of docstrings, signatures, and the comments beside members.

`python -m tests.docs` writes the pages; a test holds them equal to the code.
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Final, get_origin

import drm.app
from drm import hresult
from drm.content_checks.checks import CHECKS
from drm.content_checks.judgement import Level
from drm.errors import DRMError, error_classes
from player.verbs.explain import entries
from tests.docs.format_tables import formats
from tests.docs.http_tables import with_tables
from tests.docs.streaming_tables import with_limits
from tests.docs.system_calls import system_calls

__all__ = ["FOLDER", "PAGES", "pages"]

FOLDER: Final = Path(__file__).parents[2] / "docs" / "reference"
PAGES: Final = {
    "session": ("The Media Session", (
        "drm.app.session_configuration", "drm.app.session_proxy", "drm.app.local_session", "drm.session.media_session",
        "drm.session.services", "drm.session.clock", "drm.session.quality",
        "drm.bounded_calls",
    )),
    "topology": ("Topologies", ("drm.session.topology", "drm.wire.specs", "drm.session.full_topology")),
    "events": ("Events", ("drm.session.events", "drm.session.event_queue")),
    "errors": ("Errors and HRESULTs", ()),
    "findings": ("What `clearkey inspect` finds", ()),
    "components": ("The components' protocols", ("drm.component", "drm.media")),
    "pmp": ("PMP host and server", ("drm.app.server", "drm.app.host_proxy", "drm.protection", "drm.class_ids")),
    "rights": ("Rights and policies", (
        "drm.app.rights.content_enabler", "drm.app.rights.enabler",
        "drm.rights.enablers", "drm.rights.policy", "drm.rights.output_policy",
        "drm.rights.output_schema", "drm.rights.output_trust",
        "drm.app.rights.managers",
    )),
    "trust": ("Trusted components", (
        "drm.app.components.trust", "drm.app.components.supply", "drm.trust.errors", "drm.trust.renewal",
        "drm.trust.state", "drm.app.components.updater",
    )),
    "system-calls": ("System calls of a locked worker", ()),
    "formats": ("MP4: what is read, refused and passed over", ()),
    "streaming": ("DASH and HLS: what is read, refused and passed over", ()),
    "http": ("The license server over HTTP", ()),
    "remote-source": ("Sources in the worker", ("drm.app.source_resolver", "drm.app.remote_mode.source")),
}  # fmt: skip
"""File name: title and modules. One that is not there (yet) is left out; `streaming` and `http` are written by hand."""

_MADE: Final = "*Made from the code by `python -m tests.docs`; a test holds it equal to the code.*"


def pages() -> dict[str, str]:
    """The text of each page, by file name; without an entry for a page that has nothing to tell."""
    made = {}
    for name, (title, modules) in PAGES.items():
        made_up = {"errors": _errors, "findings": _findings, "formats": formats, "system-calls": system_calls}.get(name)
        body = list(made_up()) if made_up else [line for each in modules for line in _module(each)]
        if body:
            made[f"{name}.md"] = _joined([f"# {title}", "", _MADE, "", *body])
    made["streaming.md"] = with_limits((FOLDER / "streaming.md").read_text(encoding="utf-8"))
    made["http.md"] = with_tables((FOLDER / "http.md").read_text(encoding="utf-8"))
    index = [f"- [{title}]({name}.md)" for name, (title, _) in PAGES.items() if f"{name}.md" in made]
    made["index.md"] = _joined(["# Reference", "", _MADE, "", *index])
    return made


def _joined(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


# ------------------------------------------------------------------------------------------------ modules
def _module(name: str) -> Iterator[str]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        return
    yield f"## `{name}`"
    yield ""
    yield from _text(module)
    yield ""
    if shown := [each for each, place in drm.app._PLACES.items() if f"drm.app.{place}" == name]:
        yield f"Import from `drm.app`: {', '.join(f'`{each}`' for each in shown)}."
        yield ""
    own = [(each, getattr(module, each)) for each in module.__all__]
    for each, found in sorted(own, key=lambda pair: _line(module, pair[0])):
        home = getattr(found, "__module__", name)
        if not inspect.isclass(found) and not inspect.isfunction(found):
            yield from _constant(module, each, found)
        elif home != name:
            continue  # it is told of where it is defined
        elif inspect.isclass(found):
            yield from _class(each, found)
        else:
            yield f"### `{each}{_signature(found)}`"
            yield ""
            yield from _text(found)
            yield ""


def _line(module: ModuleType, name: str) -> int:
    """Where a name is bound, so that a page keeps the order of its module."""
    for number, line in enumerate(inspect.getsource(module).splitlines()):
        if re.match(rf"(?:class |def |async def )?{re.escape(name)}\b", line):
            return number
    return 0


def _constant(module: ModuleType, name: str, found: object) -> Iterator[str]:
    said = ""
    body = ast.parse(inspect.getsource(module)).body
    for node, behind in zip(body, [*body[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(each, ast.Name) and each.id == name for each in targets):
            if isinstance(behind, ast.Expr) and isinstance(behind.value, ast.Constant):
                said = inspect.cleandoc(str(behind.value.value))
            if inspect.isclass(found) or get_origin(found) is not None:
                said = said or "Another name for a type."
    yield f"### `{name}`"
    yield ""
    yield said or f"`{_default(found)}`"
    yield ""


def _class(name: str, cls: type) -> Iterator[str]:
    bases = [base.__name__ for base in cls.__bases__ if base is not object and base.__name__ != "Generic"]
    yield f"### class `{name}({', '.join(bases)})`" if bases else f"### class `{name}`"
    yield ""
    yield from _text(cls)
    yield ""
    if "__init__" in cls.__dict__ and inspect.isfunction(cls.__init__) and not _is_data(cls):
        yield f"`{name}{_signature(cls.__init__)}`"
        yield ""
        yield from _text(cls.__init__)
        yield ""
    fields = list(_fields(cls))
    if fields:
        yield from fields
        yield ""
    for member, found in vars(cls).items():
        if member.startswith("_"):
            continue
        inner = getattr(found, "__func__", found)
        if isinstance(found, property):
            yield f"**`{member}`** (property)"
        elif inspect.isfunction(inner):
            yield f"**`{member}{_signature(inner)}`**"
        else:
            continue
        yield ""
        yield from _text(found.fget if isinstance(found, property) else inner)
        yield ""


def _is_data(cls: type) -> bool:
    return hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__struct_fields__") or issubclass(cls, enum.Enum)


def _fields(cls: type) -> Iterator[str]:
    """Fields and members with the comments that stand beside them."""
    if not _is_data(cls):
        return
    source = textwrap.dedent(inspect.getsource(cls))
    lines = source.splitlines()
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.ClassDef)
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(target, ast.Name):
            continue
        if target.id.startswith("_"):
            continue
        told = re.search(r"  # (?!noqa|type:)(.*)$", lines[(node.end_lineno or node.lineno) - 1])
        kind = f": {ast.unparse(node.annotation)}" if isinstance(node, ast.AnnAssign) else ""
        value = f" = {ast.unparse(node.value)}" if node.value is not None else ""
        yield f"- `{target.id}{kind}{value}`{f': {told[1]}' if told else ''}"


def _signature(function: object) -> str:
    assert callable(function)
    found = inspect.signature(function)
    kept = [each for name, each in found.parameters.items() if name not in {"self", "cls"}]
    text = str(found.replace(parameters=kept)).replace("'", "")
    text = re.sub(r"<function .*? at 0x[0-9a-f]+>", "...", text)
    return re.sub(r"<(?:class )?([\w.|]+)(?:: [^>]*)?>", r"\1", text).removesuffix(" -> None")


def _default(value: object) -> str:
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


def _text(found: object) -> Iterator[str]:
    """A docstring; what Raises and Args list becomes a list."""
    doc = inspect.getdoc(found) if not isinstance(found, type) else inspect.cleandoc(found.__doc__ or "")
    section = False
    for line in (doc or "").splitlines():
        if re.fullmatch(r"(Raises|Args|Returns|Yields):", line):
            yield f"{line[:-1]}:"
            yield ""
            section = True
        elif section and re.match(r"    \S", line):
            name, colon, rest = line.strip().partition(":")
            yield f"- `{name}`:{rest}" if colon else f"- {line.strip()}"
        elif section and line.startswith("     "):
            yield f"  {line.strip()}"
        else:
            section = section and not line
            yield line


# ------------------------------------------------------------------------------------------------ errors
def _errors() -> Iterator[str]:
    """The tree of errors, then what each code means and what to do, then every HRESULT."""
    yield "A failed call raises one of these; a failed event carries it, and `raise_for_status()` raises it. Code,"
    yield "HRESULT and exit code are the class's, unless the place that raises knows better. `clearkey explain CODE`"
    yield "prints an entry of this page."
    yield ""
    yield "| class | code | HRESULT | exit code |"
    yield "| --- | --- | --- | --- |"
    yield from _tree(DRMError, 0)
    yield ""
    yield "## Codes"
    yield ""
    for each in entries():
        yield f"### {each.code}"
        yield ""
        yield f"{each.meaning}"
        yield ""
        yield f"**What to do:** {each.advice}"
        yield ""
        yield f"`{each.class_name}`, {_hresult(each.hresult)}, exit code {each.exit_code} ({each.exit_name})"
        yield ""
    yield "## HRESULTs"
    yield ""
    yield "| name | value |"
    yield "| --- | --- |"
    for each_hresult in sorted(hresult.HResult, key=int):
        yield f"| `{each_hresult.name}` | `0x{int(each_hresult):08X}` |"


def _tree(cls: type[DRMError], depth: int) -> Iterator[str]:
    if error_classes().get(cls.code) is not cls:
        return  # without a code of its own: a class of one module
    name = f"{'&nbsp;&nbsp;' * depth}`{cls.__name__}`"
    code = f"[{cls.code}](#{cls.code.lower()})"
    yield f"| {name} | {code} | {hresult.name_of(int(cls.default_hresult))} | {int(cls.exit_code)} |"
    for each in sorted(cls.__subclasses__(), key=lambda found: found.__name__):
        yield from _tree(each, depth + 1)


def _hresult(number: int) -> str:
    value = f"0x{number:08X}"
    name = hresult.name_of(number)
    return f"`{value}`" if name == value else f"`{name}` (`{value}`)"


# ------------------------------------------------------------------------------------------------ findings
_LEVELS: Final = {
    Level.FAULT: ("Faults", "These weaken the protection, or keep players from decoding."),
    Level.ODD: ("Odd", "Against the standard, or a known source of trouble on devices."),
    Level.INFO: ("Worth a look", "In order in many files, and the reason of trouble in some."),
}


_FINDINGS: Final = """\
Each finding has a code that stays the same when its words change, and names the places and values that were seen
(`evidence` in `--json`). Behind many stands a requirement of conformance; its id is in the second column. What cannot
be told is listed as *not judged* (`unjudged`), with the reason: neither sound nor a finding. One more finding,
`iv-check-partial`, says that a file has more separate IVs than are remembered.

Files that Shaka Packager, FFmpeg and `clearkey` itself write in all their modes come through without a fault, but for
those that are true: FFmpeg up to 8.1 has `senc-surplus` in fragments with sound, and `headers-encrypted` with HEVC;
FFmpeg 5 writes fragments that are `damaged`."""


def _findings() -> Iterator[str]:
    """Every check of content: its code, what a finding means, what to do."""
    yield from _FINDINGS.splitlines()
    for level, (title, said) in _LEVELS.items():
        yield from ("", f"## {title}", "", said, "", "| code | requirement | what it means | what to do |")
        yield "| --- | --- | --- | --- |"
        for check in CHECKS:
            if check.level is level:
                yield f"| `{check.code}` | {check.requirement} | {check.means} | {check.remedy} |"
