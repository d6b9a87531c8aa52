"""The choice of engine: by name, lazily, and with words for what cannot be had."""

from __future__ import annotations

import subprocess
import sys

import pytest

from drm.cenc.engines import ENGINE_NAMES, engine
from drm.errors import InvalidArgumentError


def loaded_after(code: str) -> set[str]:
    """Top-level modules of a fresh interpreter after `code`."""
    probe = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", probe], text=True, capture_output=True, check=True, timeout=30)
    return set(run.stdout.split())


@pytest.mark.parametrize("name", ENGINE_NAMES)
def test_an_engine_comes_by_its_name(name: str) -> None:
    assert engine(name).name == name


def test_without_a_name_it_is_the_fast_one() -> None:
    assert engine().name == "cryptography"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgumentError, match="no engine 'rot13'") as refused:
        engine("rot13")
    assert "cryptography, pycryptodome" in refused.value.remedy


def test_decrypting_loads_one_engine_and_nothing_heavy() -> None:
    code = """
from drm.cenc.decrypt import SampleDecrypter
from drm.cenc.encrypt import SampleEncrypter
from drm.keys import ContentKey
assert 'cryptography' not in sys.modules and 'Crypto' not in sys.modules
SampleDecrypter(ContentKey(bytes(16)))
"""
    loaded = loaded_after(code)
    assert "cryptography" in loaded
    assert loaded.isdisjoint({"Crypto", "av", "numpy", "subprocess", "socket", "asyncio", "pickle"})


def test_a_missing_library_means_the_fallback_and_is_named_when_asked_for() -> None:
    code = """
sys.modules['cryptography'] = None
from drm.cenc.engines import engine
from drm.errors import InvalidArgumentError
assert engine().name == 'pycryptodome'
try:
    engine('cryptography')
except InvalidArgumentError as error:
    assert 'cryptography is not installed' in str(error), error
else:
    raise SystemExit('not refused')
"""
    assert "Crypto" in loaded_after(code)
