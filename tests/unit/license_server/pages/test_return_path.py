"""Where a visitor is led back to: nowhere but to this site, whatever browsers make of an address."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest

from license_server.pages.return_path import return_path

HERE = "http://here.test/sign-in"
ELSEWHERE = [
    f"{first}{middle}{last}other.test/x"
    for first in ("/", "\\", "", " /", "\t/", "\x00/", "http:", "https:", "javascript:", "//")
    for middle in ("/", "\\", "\t/", "\n/", "\r\n/", "\t\\", "\x0b/", "\u2028/")
    for last in ("", "/", "\\", "\t", "me@", "\u200b")
    if not (first == "" and middle == "/" and last == "")
]


def as_browsers_read(text: str) -> str:
    """WHATWG URL 4.4: control characters and spaces at the ends go, tabs and line ends go, backslashes are slashes."""
    ends = "".join(map(chr, range(33)))
    return text.strip(ends).translate({9: None, 10: None, 13: None, ord("\\"): "/"})


def leaves(text: str) -> bool:
    whole = urlsplit(urljoin(HERE, as_browsers_read(text)))
    return (whole.scheme, whole.netloc) != ("http", "here.test")


def test_these_addresses_do_leave_the_site() -> None:
    assert sum(map(leaves, ELSEWHERE)) > 100


@pytest.mark.parametrize(
    "text",
    [
        *ELSEWHERE,
        "",
        "keys",
        "/keys\r\nA: b",
        "/\ud800",
        "/k\x7f",
        "/é",
        "/" * 3000,
        "/" + "k" * 3000,
        "/a b",
        "/a#b",
        '/"',
    ],
)
def test_what_is_no_path_of_this_site_is_none(text: str) -> None:
    assert return_path(text) is None or not leaves(text)
    if leaves(text) or any(char in text for char in "\r\n\t\\\x00") or not text.startswith("/"):
        assert return_path(text) is None


@pytest.mark.parametrize("text", ["/keys", "/", "/keys?q=a%20film&x=1", "/keys/00112233", "/%09/other.test", "/a//b"])
def test_a_path_of_this_site_stays_as_it_is(text: str) -> None:
    assert return_path(text) == text
    assert not leaves(text)
