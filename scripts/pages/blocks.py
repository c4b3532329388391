"""The Python blocks of a page, for the test that runs them.

Each runs exactly as it is shown, against a sandbox that it brings itself. A block inside a tab is a program
of its own. The other blocks of a page run in order and share their names, as a reader would type them. Text
in a block right below one is what it prints.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(
    r"^(?P<indent> *)```python(?P<options>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$"
    r"(?:\n+(?P=indent)```text[^\n]*\n(?P<printed>.*?)^(?P=indent)```$)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One block; `line` is where it begins on its page."""

    page: str
    line: int
    code: str
    alone: bool
    printed: str | None

    @property
    def is_include(self) -> bool:
        """Whether it shows a file, which has a test of its own."""
        return self.code.startswith("--8<--")


def blocks(page: str, text: str) -> Iterator[Block]:
    """Every Python block of a page, in order."""
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        indent = len(found["indent"])
        alone = indent > 0 and _opens_tab(text[: found.start()].splitlines(), indent)
        printed = found["printed"] and textwrap.dedent(found["printed"])
        yield Block(page, line, textwrap.dedent(found["code"]), alone, printed)


def _opens_tab(above: list[str], indent: int) -> bool:
    for line in reversed(above):
        outside = len(line) - len(line.lstrip())
        if line.strip() and outside < indent:
            return line.lstrip().startswith("===")
    return False
