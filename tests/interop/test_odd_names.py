"""Files whose names are no UTF-8, which Linux allows: every verb takes them, and says readable words of them."""

import json
import os

import pytest

from tests.interop.command import write_keys

ODD = os.fsdecode(b"caf\xe9 \xff")
SHOWN = r"caf\xe9 \xff"
KID, KEY = "00112233445566778899aabbccddeeff", "112233445566778899aabbccddeeff00"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, clearkey, samples):
    """Clear and encrypted film, keys, manifest and store, all of such names."""
    made = tmp_path_factory.mktemp("odd")
    (made / f"{ODD}.mp4").write_bytes(samples["fragmented_clear"].path.read_bytes())
    write_keys(made / f"{ODD}.keys", [(KID, KEY)])
    say(clearkey, made, 0, "encrypt", f"{ODD}.mp4", "-o", f"e{ODD}.mp4", "--keys-file", f"{ODD}.keys", "-q")
    return made


def say(clearkey, folder, code: int, *words: str) -> tuple[str, str]:
    ran = clearkey(*words, cwd=folder, errors="surrogateescape")
    assert ran.code == code, ran.said
    assert "Traceback" not in ran.said
    assert "a fault in clearkey" not in ran.said
    return ran.out, ran.err


KEYS = ("--keys-file", f"{ODD}.keys")
WRITES = {
    "encrypt": ("encrypt", f"{ODD}.mp4", "-o", f"1{ODD}.mp4", *KEYS),
    "decrypt": ("decrypt", f"e{ODD}.mp4", "-o", f"2{ODD}.mp4", *KEYS),
    "decrypt-check": ("decrypt", f"e{ODD}.mp4", "-o", f"3{ODD}.mp4", *KEYS, "--check"),
    "package": ("package", f"{ODD}.mp4", "-o", f"4{ODD}", *KEYS, "--license-url", "http://127.0.0.1:1/license"),
    "svg": ("inspect", f"e{ODD}.mp4", "--svg", f"5{ODD}.svg"),
    "framemd5": ("play", f"e{ODD}.mp4", *KEYS, "--framemd5", f"6{ODD}"),
    "snapshot": ("play", f"e{ODD}.mp4", *KEYS, "--snapshot", f"7{ODD}.png"),
    "store": ("keys", "import", f"{ODD}.keys", "--store", f"8{ODD}.db"),
    "pssh": ("pssh", "insert", f"{ODD}.mp4", "--kid", KID, "-o", f"9{ODD}.mp4"),
}


@pytest.mark.parametrize("words", WRITES.values(), ids=WRITES)
def test_what_writes(clearkey, folder, words: tuple[str, ...]) -> None:
    say(clearkey, folder, 0, *words)
    name = next(word for word in words if word[0].isdigit() and ODD in word)
    assert (folder / name).exists()


READS = {
    "inspect": ("inspect", f"e{ODD}.mp4"),
    "samples": ("inspect", f"e{ODD}.mp4", "--samples", "--limit", "1"),
    "digest": ("digest", f"e{ODD}.mp4", *KEYS),
    "remote-source": ("play", f"e{ODD}.mp4", *KEYS, "--remote-source"),
    "trace": ("trace", f"e{ODD}.mp4", *KEYS, "--scenario", "license"),
    "keys-check": ("keys", "check", f"e{ODD}.mp4", *KEYS),
    "pssh-show": ("pssh", "show", f"e{ODD}.mp4"),
    "compare": ("play", f"e{ODD}.mp4", *KEYS, "--compare", f"{ODD}.mp4"),
}


@pytest.mark.parametrize("words", READS.values(), ids=READS)
def test_what_reads(clearkey, folder, words: tuple[str, ...]) -> None:
    say(clearkey, folder, 0, *words)


DOCUMENTS = {
    "inspect": ("inspect", f"e{ODD}.mp4", "--json"),
    "encrypt": ("encrypt", f"{ODD}.mp4", "-o", f"10{ODD}.mp4", *KEYS, "--json"),
    "package": ("package", f"{ODD}.mp4", "-o", f"11{ODD}", *KEYS, "--license-url", "http://127.0.0.1:1/l", "--json"),
    "pssh-show": ("pssh", "show", f"e{ODD}.mp4", "--json"),
    "trace": ("trace", f"e{ODD}.mp4", *KEYS, "--scenario", "license", "--json"),
}


@pytest.mark.parametrize("words", DOCUMENTS.values(), ids=DOCUMENTS)
def test_json_is_json_and_tells_the_name(clearkey, folder, words: tuple[str, ...]) -> None:
    out, _err = say(clearkey, folder, 0, *words)
    out.encode()  # RFC 8259, section 8.1: nothing but UTF-8
    assert SHOWN in json.dumps(json.loads(out), ensure_ascii=False).replace("\\\\", "\\")


FAILS = {
    "play": (2, "play", f"no{ODD}.mp4"),
    "inspect": (2, "inspect", f"no{ODD}.mp4"),
    "decrypt": (2, "decrypt", f"no{ODD}.mp4", "-o", "x.mp4", *KEYS),
    "encrypt": (2, "encrypt", f"no{ODD}.mp4", "-o", "x.mp4", *KEYS),
    "folder": (2, "decrypt", f"e{ODD}.mp4", "-o", f"no{ODD}/x.mp4", *KEYS),
    "no-key": (4, "play", f"e{ODD}.mp4"),
    "no-key-remote": (4, "play", f"e{ODD}.mp4", "--remote-source"),
    "digest": (4, "digest", f"e{ODD}.mp4"),
    "no-media": (3, "play", f"{ODD}.keys", "--remote-source"),
}


@pytest.mark.parametrize(("code", "words"), [(code, words) for code, *words in FAILS.values()], ids=FAILS)
def test_errors_tell_the_name(clearkey, folder, code: int, words: list[str]) -> None:
    _out, err = say(clearkey, folder, code, *words)
    assert SHOWN in err
