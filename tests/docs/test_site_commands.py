"""Every command that a page shows exists, and takes the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from mosvpp.cli.app import app
from mosvpp_sandbox import options as sandbox
from mosvpp_sandbox.certify import command as certify
from mosvpp_sandbox.scenarios import command as scenarios
from pages.contents import Page, pages
from pages.sources import ROOT, load

PAGES = [page for page in pages(load()) if page.path != "cli.md"]  # that one is written by the program
PROGRAMS = {"certify": certify.parser, "run": scenarios.parser}


OURS = re.compile(
    r"^ *(?:[A-Z_]+=\S+ )*((?:mosvpp|python -m mosvpp_sandbox|python3 scripts/).*)$", re.MULTILINE
)


def commands(page: Page) -> Iterator[list[str]]:
    """The words of each of our programs in the shell blocks, without the variables that are set for it."""
    for block in re.findall(r"^ *```(?:sh|bash)\n(.*?)^ *```$", page.text, re.MULTILINE | re.DOTALL):
        for line in OURS.findall(block.replace("\\\n", " ")):
            yield shlex.split(line, comments=True)


SHOWN = [(f"{page.path}-{count}", words) for page in PAGES for count, words in enumerate(commands(page), 1)]


def shown(*beginning: str) -> list[Any]:
    """What follows that beginning, wherever a page shows it."""
    count = len(beginning)
    return [pytest.param(words[count:], id=place) for place, words in SHOWN if words[:count] == [*beginning]]


@pytest.mark.parametrize("words", shown("mosvpp"))
def test_the_program_has_the_command_and_its_options(words: list[str]) -> None:
    command: Any = typer.main.get_command(app)
    rest = list(words)
    while hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    known = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known


@pytest.mark.parametrize("words", shown("python", "-m", "mosvpp_sandbox"))
def test_the_sandbox_takes_what_it_is_started_with(words: list[str]) -> None:
    if words and words[0] in PROGRAMS:
        PROGRAMS[words[0]]().parse_args(words[1:])  # ends the process where an option is not known
    else:
        sandbox.arguments(sandbox.parser().parse_args(words))


@pytest.mark.parametrize("words", shown("python3"))
def test_the_script_is_there_with_its_options(words: list[str]) -> None:
    script = (ROOT / words[0]).read_text("utf-8")
    assert [word for word in words[1:] if word not in script] == []


def test_the_guides_show_many() -> None:
    assert len(shown("mosvpp")) > 25
    assert len(shown("python", "-m", "mosvpp_sandbox")) > 4
    assert len(shown("python3")) > 0
