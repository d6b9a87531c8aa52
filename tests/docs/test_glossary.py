"""Every name of ours that the glossary gives is there, in the file that it names; every event has its number."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from drm.session.events import MediaEventType

PAGE = Path(__file__).parents[2] / "docs" / "glossary.md"
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in PAGE.read_text(encoding="utf-8").partition("## Words of")[0].splitlines()
    if line.startswith("| ") and not line.startswith(("| Media Foundation |", "| ---"))
]
PLACES = [row for row in ROWS if not re.fullmatch(r"[\d, ]+", row[1])]
NUMBERS = [row for row in ROWS if row not in PLACES]

# Every name of Media Foundation that the path is made of. What is missing in the glossary is missing here.
NAMED = re.findall(
    r"\w+",
    """
    MFCreatePMPMediaSession MFCreateMediaSession MFCreatePMPServer MFRequireProtectedEnvironment
    MFPMPSESSION_CREATION_FLAGS IMFAttributes MF_SESSION_CONTENT_PROTECTION_MANAGER MF_SESSION_GLOBAL_TIME
    MF_SESSION_QUALITY_MANAGER MF_SESSION_REMOTE_SOURCE_MODE MF_SESSION_SERVER_CONTEXT MF_SESSION_TOPOLOADER
    MF_LOW_LATENCY IMFMediaSession IMFGetService IMFMediaEventGenerator IMFMediaEvent MF_TOPOSTATUS MFSESSIONCAP_
    IMFTopology IMFTopologyNode IMFTopoLoader IMFPMPHost IMFPMPHostApp IMFPMPClient IMFPMPClientApp IMFPMPServer
    IMFRemoteProxy IMFActivate IMFContentProtectionManager IMFContentEnabler MF_URL_TRUST_STATUS MFRR_COMPONENTS
    IMFTrustedInput IMFInputTrustAuthority MFPOLICYMANAGER_ACTION IMFTrustedOutput IMFOutputTrustAuthority
    IMFOutputPolicy IMFOutputSchema IMFSourceResolver IMFProtectedEnvironmentAccess IMFPresentationClock
    MF_PMP_SERVICE MF_PMP_SERVER_CONTEXT MF_REMOTE_PROXY MF_RATE_CONTROL_SERVICE
""",
)


@pytest.mark.parametrize("row", PLACES, ids=lambda row: row[0][:40])
def test_our_names_are_where_the_glossary_says(row: list[str]) -> None:
    modules = [_module(path) for path in re.findall(r"`([\w/.]+)`", row[2])]
    if not modules:
        return  # told in words
    names = [name for name in re.findall(r"`([A-Za-z_][\w.]*)`", row[1]) if name != "hresult"]
    assert names
    for name in names:
        assert any(_has(module, name) for module in modules), f"{name} is not in {row[2]}"


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row[0][:40])
def test_events_have_their_numbers(row: list[str]) -> None:
    numbers = [int(number) for number in row[1].split(",")]
    names = re.findall(r"`(\w+)`", row[2])
    assert [MediaEventType[name] for name in names] == numbers
    assert len(row[0].split(",")) == len(names)


@pytest.mark.parametrize("name", NAMED)
def test_the_path_s_names_are_in_the_glossary(name: str) -> None:
    assert any(re.search(rf"\b{name}(?:\b|\*)", row[0]) or name in row[0].replace("*", "") for row in ROWS)


def test_the_rows_were_found() -> None:
    assert len(PLACES) > 60
    assert len(NUMBERS) > 10


def _module(path: str) -> ModuleType:
    return importlib.import_module(path.removesuffix(".py").replace("/", "."))


def _has(module: ModuleType, name: str) -> bool:
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
            return False
        found = getattr(found, part, None)
    return True
