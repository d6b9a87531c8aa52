"""Reads commands of `clearkey` out of advice, and asks the real command line whether it would take them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import click

from player.cli import _clearkey

_QUOTED = re.compile(r"`clearkey ([^`]*)`")
_BARE = re.compile(r"(?<![\w/.`-])clearkey ([a-z]+\b[^`,;:()…]*)")
_FORMAL = re.compile(
    r"-{1,2}[a-z-]+|[A-Z_0-9]+(:[A-Z]+)?(\.[a-z0-9]+)?|[\w]+\.(json|mp4)|'.*'|\{.*\}|[a-z]+=.*|-|\d+"
    r"|(/[\w.-]+)+|[a-z]+(,[a-z]+)+"
)
"""What a command can hold besides its verbs: options, PLACEHOLDERS, KID:KEY, file names, quoted words and holes."""


@dataclass(frozen=True)
class Mention:
    """A command as advice names it."""

    words: tuple[str, ...]
    quoted: bool  # in backticks: nothing of it is prose


def mentions(text: str) -> Iterator[Mention]:
    """Yield the commands that a text names; prose that follows one outside of backticks is cut off."""
    for words in _QUOTED.findall(text):
        if words == "--help":
            continue
        yield Mention(tuple(words.split()), quoted=True)
    for words in _BARE.findall(_QUOTED.sub("", text)):
        split = words.rstrip(".!").split()
        if split and split[0] in _clearkey_verbs():
            yield Mention(tuple(split), quoted=False)


def _clearkey_verbs() -> list[str]:
    assert isinstance(_clearkey, click.Group)
    return _clearkey.list_commands(click.Context(_clearkey))


def fault(mention: Mention) -> str:
    """Return why the command line would not take it, or nothing. A verb alone is a name, and lacks nothing."""
    command: click.Command = _clearkey
    rest = list(mention.words)
    context = click.Context(command)
    while rest and isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        if found is None:
            if rest[0] == "VERB" or (command is not _clearkey and not mention.quoted):
                break
            return f"there is no verb {rest[0]!r}"
        command = found
        context = click.Context(command)
        rest.pop(0)
    known = {name for each in command.get_params(context) for name in (*each.opts, *each.secondary_opts)}
    unknown = [each for each in rest if each.startswith("-") and each != "-" and each not in known]
    if unknown:
        return f"{' '.join(unknown)} is no option of {command.name}"
    if not mention.quoted:  # up to the first word of prose
        rest = rest[: next((at for at, each in enumerate(rest) if not _FORMAL.fullmatch(each)), len(rest))]
    if not rest or isinstance(command, click.Group) or "--help" in rest:
        return ""
    return _parsed(command, context, [_example(each) for each in rest])


def _example(word: str) -> str:
    return "7" if word.startswith("{") else word


def _parsed(command: click.Command, context: click.Context, words: list[str]) -> str:
    try:
        options, left, _ = command.make_parser(context).parse_args(words)
    except click.UsageError as error:
        return error.format_message()
    if left:
        return f"{' '.join(left)} is one too many"
    missing = [each.name or "" for each in command.get_params(context)
               if each.required and each.name and not options.get(each.name)]  # fmt: skip
    return f"{', '.join(missing)} is missing" if missing else ""
