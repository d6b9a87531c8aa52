"""schemathesis reads the OpenAPI document and asks whatever it allows, and whatever it does not, of a real server.

A short while for each kind of store; `CLEARKEY_SCHEMATHESIS_SECONDS` makes it longer, from another seed each time.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from license_server.admin.blueprint import BASE, ROUTES
from license_server.issuing.token_minting import make_signing_key
from tests.unit.license_server.admin.admin_server import ALICE, KEYS, start
from tests.unit.license_server.store_places import StorePlace

SECONDS = int(os.environ.get("CLEARKEY_SCHEMATHESIS_SECONDS", "0"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.timeout(120 + 2 * SECONDS)
def test_no_request_ends_in_a_failure_or_in_an_answer_that_the_document_does_not_know(
    store_place: StorePlace, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text(f"alice {ALICE}\n")
    make_signing_key(tmp_path / "signing.json")
    with store_place.opened() as store:
        store.keys.add(KEYS)
    process, url = start(
        tmp_path, *store_place.words, "--admin-token-file", tmp_path / "tokens", "--admin-signing-key",
        tmp_path / "signing.json",
    )  # fmt: skip
    seed = [] if SECONDS else ["--seed", "1"]
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{url}{BASE}/openapi.json", "-H",
             f"Authorization: Bearer {ALICE}", "--checks", CHECKS, "--max-time", str(SECONDS or 17), "--no-color",
             "--suppress-health-check", "all", "--continue-on-failure", "--output-truncate", "true", *seed],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=110 + 2 * SECONDS,
        )  # fmt: skip
    finally:
        process.terminate()
        process.communicate(timeout=10)
    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert f"Tested: {len(ROUTES)}" in ran.stdout, ran.stdout[-2000:]
    made = re.search(r"(\d+) generated", ran.stdout)
    assert made, ran.stdout[-2000:]
    assert int(made[1]) > 500
    assert "unexpected" not in (tmp_path / "log").read_text()
