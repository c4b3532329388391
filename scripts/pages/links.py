"""Links of hand-written pages: in the repository they lead to its files, on the site to pages made of them.

../openapi.yaml#submit_dispatch           operations/submit_dispatch.md
../openapi.yaml#submit_dispatch.errors    operations/submit_dispatch.md#errors
../openapi.yaml                           console/openapi.html
../evidence.yaml#push.timestamp           evidence.md#push.timestamp
../../wrapper/mosvpp/signatures.py#mosvpp.signatures.Verifier    sdk/webhooks.md#mosvpp.signatures.Verifier
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from . import reference
from .sources import ROOT

_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)(?:#([^)\s]*))?\)")
_FENCE = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)
_HOME = "spec/docs"
_PAGES = {
    "spec/evidence.yaml": "evidence.md",
    "spec/lifecycle.arazzo.yaml": "lifecycle.md",
    "CHANGELOG.md": "changelog.md",
    "wrapper/mosvpp/cli/app.py": "cli.md",
}
_OPERATIONS = {"spec/openapi.yaml": "operations", "spec/asyncapi.yaml": "webhooks"}


def dead(path: str, text: str) -> Iterator[str]:
    """The links of a page, by its path below spec/docs/, that lead to no file of the repository."""
    for link in _LINK.finditer(_FENCE.sub("", text)):
        if not (ROOT / _in_repository(path, link[1])).exists():
            yield link[1]


def on_site(path: str, text: str) -> str:
    """The text of a page with the links that it has on the site."""
    folder = posixpath.dirname(path)

    def moved(link: re.Match[str]) -> str:
        address = _address(_in_repository(path, link[1]), link[2] or "")
        return f"]({posixpath.relpath(address, folder or '.')})" if address else link[0]

    return _LINK.sub(moved, text)


def _in_repository(path: str, target: str) -> str:
    return posixpath.normpath(posixpath.join(_HOME, posixpath.dirname(path), target))


def _address(file: str, fragment: str) -> str | None:
    """Where a file of the repository is on the site; None where it has no page, or is one itself."""
    if file in _OPERATIONS:
        operation, _, anchor = fragment.partition(".")
        if not operation:
            return f"console/{Path(file).stem}.html"
        return f"{_OPERATIONS[file]}/{operation}.md" + f"#{anchor}" * bool(anchor)
    page = _PAGES.get(file)
    if page is None and file.startswith("wrapper/"):
        names = (name for name, (_, _, items) in reference.SDK.items() if fragment in items)
        page = next((f"sdk/{name}.md" for name in names), None)
    return page and page + f"#{fragment}" * bool(fragment)
