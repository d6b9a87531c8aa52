"""XML that cannot hurt."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drm.bounded_xml import parse_xml
from drm.errors import MalformedMediaError

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><l>&j;</l>"
)


def test_elements_attributes_and_text() -> None:
    root = parse_xml('<m:a xmlns:m="u" m:x="1" y="&lt;">\n t &amp; <b/>tail<m:c>z</m:c></m:a>', "it")
    assert (root.name, root.attributes, root.text) == ("a", {"x": "1", "y": "<"}, "\n t & ")
    assert [(e.name, e.text, e.line) for e in root.walk()][1:] == [("b", "", 2), ("c", "z", 2)]
    assert [e.name for e in root.all("c")] == ["c"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (LAUGHS, "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        ("<a>&unknown;</a>", "is not XML"),
        ("<a" + ">" + "<b>" * 70, "nests them too deeply"),
        ("<a>" + "<b/>" * 200_001 + "</a>", "too many elements"),
        ("x" * 2_000_000, "more than 1000000"),
        (b"<?xml version='1.0' encoding='koi-nine'?><a/>", "text encoding"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "text encoding"),
        ("", "is not XML: no element found"),
        ("<a></b>", "line 1"),
    ],
)
def test_what_is_refused(data: str | bytes, words: str) -> None:
    with pytest.raises(MalformedMediaError) as raised:
        parse_xml(data, "it", limit=1_000_000)
    assert words in raised.value.render()


def test_text_that_was_decoded_already_may_still_name_its_encoding() -> None:
    assert parse_xml('<?xml version="1.0" encoding="utf-16"?><a>é</a>', "it").text == "é"


@given(st.text(alphabet="<>/ab='\"! [&;\0é\ud800", max_size=60))
def test_any_text_is_xml_or_an_error_of_ours(text: str) -> None:
    for data in (text, text.encode("utf-8", "surrogatepass")):
        with contextlib.suppress(MalformedMediaError):
            assert parse_xml(data, "it").name
