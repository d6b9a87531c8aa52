"""What `clearkey inspect --json` prints is what the published schema says, for every vector, field for field."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from player.verbs.inspect import SCHEMA_FILE, command

OWN = Path(__file__).parents[4] / "data" / "vectors"
PUBLISHED: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
MEDIA = {".mp4", ".m4s", ".webm", ".isma", ".ismv"}


def files_of(folder: Path, vector: dict[str, Any]) -> list[Path]:
    named = [file if isinstance(file, str) else file["path"] for file in vector["files"]]
    return [folder / name for name in named if Path(name).suffix in MEDIA]


def inspect(*words: object) -> Result:
    return CliRunner().invoke(command, ["--json", *map(str, words)])


def closed(schema: Any) -> Any:
    """The same without room for fields that it does not name: a new field must be described as well."""
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        closed(part)
    if isinstance(schema, dict) and "properties" in schema:
        schema["additionalProperties"] = False
    return schema


CLOSED = closed(copy.deepcopy(PUBLISHED))
REPORT = jsonschema.Draft202012Validator(CLOSED)
LINE = jsonschema.Draft202012Validator(
    {"anyOf": [{"$ref": "#/$defs/sample"}, {"$ref": "#/$defs/sampleError"}], "$defs": CLOSED["$defs"]}
)
VECTORS = [v for v in json.loads((OWN / "vectors.json").read_text())["vectors"] if files_of(OWN, v)]


def holds(validator: jsonschema.Draft202012Validator, value: Any) -> None:
    assert [f"{list(error.path)}: {error.message[:200]}" for error in validator.iter_errors(value)] == []


def test_the_schema_is_one_and_the_command_prints_it() -> None:
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)
    ran = CliRunner().invoke(command, ["--schema"])
    assert ran.exit_code == 0
    assert json.loads(ran.stdout) == PUBLISHED
    undescribed = [
        f"{name}.{field}"
        for name, part in PUBLISHED["$defs"].items()
        for field, what in part.get("properties", {}).items()
        if not what
    ]
    assert undescribed == []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_the_report_of_every_vector(vector: dict[str, Any]) -> None:
    ran = inspect(*files_of(OWN, vector))
    assert ran.exit_code == 0
    holds(REPORT, json.loads(ran.stdout))


@pytest.mark.parametrize("vector", VECTORS[::6], ids=lambda vector: vector["id"])
def test_the_lines_of_samples(vector: dict[str, Any]) -> None:
    ran = inspect("--samples", "--limit", 30, *files_of(OWN, vector))
    assert ran.exit_code == 0
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(lines) == sum(min(30, track["samples"]) for track in vector["tracks"])
    for line in lines:
        holds(LINE, line)


def test_the_reports_of_other_peoples_files(vectors_folder: Path) -> None:
    manifest = json.loads((vectors_folder / "vectors.json").read_text())
    checked = 0
    for vector in (*manifest["vectors"], *manifest["parse_only"]):
        if files := files_of(vectors_folder, vector):
            ran = inspect(*files)
            assert ran.exit_code == 0, f"{vector['id']}: {ran.exception}"
            holds(REPORT, json.loads(ran.stdout))
            checked += 1
    assert checked >= 70


def test_a_damaged_file_keeps_to_the_schema_too(tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((OWN / "generated" / "pk_cenc_iv8_a.mp4").read_bytes()[:-100])
    ran = inspect(cut)
    assert ran.exit_code != 0
    report = json.loads(ran.stdout)
    holds(REPORT, report)
    assert report["error"]["code"] == report["tracks"][0]["error"]["code"] == "E-MEDIA-TRUNCATED"
    ran = inspect("--samples", cut)
    assert ran.exit_code != 0
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    for line in lines:
        holds(LINE, line)
    assert "error" in lines[-1]
    assert all("number" in line for line in lines[:-1])


def test_the_tests_own_schema_is_closed() -> None:
    report = json.loads(inspect(OWN / "generated" / "pk_cenc_iv8_a.mp4").stdout)
    report["tracks"][0]["surprise"] = 1
    with pytest.raises(AssertionError, match="surprise"):
        holds(REPORT, report)
    jsonschema.Draft202012Validator(PUBLISHED).validate(report)  # readers of version 1 must bear new fields
