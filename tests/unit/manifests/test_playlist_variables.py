"""EXT-X-DEFINE: variables are put in where lines are read, and bounded."""

from __future__ import annotations

import pytest

from drm.errors import MalformedMediaError
from drm.manifests.playlist import Context, attributes, defined, parse_playlist, split_query


def read(*lines: str, context: Context | None = None) -> list[str]:
    return [line.read for line in defined(parse_playlist("\n".join(("#EXTM3U", *lines)).encode()), context)[0]][1:]


def test_a_variable_is_put_into_uris_and_attributes_behind_its_definition() -> None:
    lines = ('#EXT-X-DEFINE:NAME="a-b_1",VALUE="x"', '#EXT-X-MAP:URI="{$a-b_1}/i.mp4"', "{$a-b_1}.m4s?{$a-b_1}")
    assert read(*lines)[1:] == ['#EXT-X-MAP:URI="x/i.mp4"', "x.m4s?x"]
    playlist = parse_playlist("\n".join(("#EXTM3U", *lines)).encode())
    done, values = defined(playlist)
    assert "".join(line.text + line.end for line in done) == "".join(line.text + line.end for line in playlist)
    assert values == {"a-b_1": "x"}
    assert attributes(done[2]) == {"URI": "x/i.mp4"}


def test_values_from_elsewhere_are_put_in_where_they_are_known() -> None:
    lines = ('#EXT-X-DEFINE:IMPORT="host"', '#EXT-X-DEFINE:QUERYPARAM="t"', "{$host}/1.m4s?t={$t}")
    known = Context({"host": "h"}, "?s=1&t=a%20b#f")
    assert read(*lines, context=known)[-1] == "h/1.m4s?t=a%20b"
    assert read(*lines)[-1] == lines[-1], "nobody knows them"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{$a}.m4s"], "not defined"),
        (["{$a}.m4s", '#EXT-X-DEFINE:NAME="a",VALUE="1"'], "not defined before it is used"),
        (['#EXT-X-DEFINE:NAME="a",VALUE="1"', '#EXT-X-DEFINE:NAME="a",VALUE="2"'], "twice"),
        (['#EXT-X-DEFINE:NAME="a b",VALUE="1"'], "no"),
        (["#EXT-X-DEFINE:"], "defines nothing"),
        ([f'#EXT-X-DEFINE:NAME="a",VALUE="{"x" * 60_000}"', "{$a}{$a}"], "a line of"),
        ([f'#EXT-X-DEFINE:NAME="a",VALUE="{"x" * 60_000}"', *["{$a}"] * 300], "more than 16777216"),
    ],
)
def test_what_is_undefined_or_multiplies_is_refused(lines: list[str], said: str) -> None:
    with pytest.raises(MalformedMediaError, match=said):
        read(*lines)


def test_what_is_not_read_here_may_say_what_it_likes() -> None:
    assert read("# {$nothing}", '#EXT-X-DATERANGE:ID="{$x}"') == ["# {$nothing}", '#EXT-X-DATERANGE:ID="{$x}"']


def test_a_uri_is_split_at_its_query_or_fragment() -> None:
    assert split_query("a/b?c?d#e") == ("a/b", "?c?d#e")
    assert split_query("a#e?f") == ("a", "#e?f")
    assert split_query("a") == ("a", "")
