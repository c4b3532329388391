"""The consoles: Scalar, vendored, with the documents inside the page so that nothing is fetched."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

import jinja2

from . import packed, samples
from .sources import Sources, statuses

_TEMPLATES = Path(__file__).parent / "templates"
PAGES = {"openapi": "Calls of the partner", "asyncapi": "Webhooks of Molecule"}
SANDBOX = "http://127.0.0.1:8600"


def write(folder: Path, sources: Sources) -> None:
    """One page for each document, and the script of the console beside them."""
    folder.mkdir()
    shutil.copyfile(
        packed.package("@scalar/api-reference") / "dist/browser/standalone.js", folder / "scalar.js"
    )
    template = jinja2.Environment(autoescape=True).from_string(
        (_TEMPLATES / "console.html.jinja").read_text("utf-8")
    )
    shutil.copyfile(Path(__file__).parent / "assets" / "console.js", folder / "console.js")
    for name, title in PAGES.items():
        document = deepcopy(getattr(sources, name))
        if name == "openapi":
            _for_trying(document, sources)
        _mark(document, sources)
        # A closing tag inside the JSON would end the script.
        text = json.dumps(document, ensure_ascii=False).replace("</", "<\\/")
        (folder / f"{name}.html").write_text(template.render(title=title, document=text, name=name), "utf-8")


def _mark(node: Any, sources: Sources) -> None:
    """Say behind each description how surely it is known; the console shows no keys of ours."""
    if isinstance(node, dict):
        ids = node.get("x-evidence", [])
        if ids and isinstance(node.get("description"), str):
            marks = ", ".join(statuses([sources.facts[fact] for fact in ids]))
            node["description"] += f" *({marks})*"
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            _mark(value, sources)


def _for_trying(document: dict[str, Any], sources: Sources) -> None:
    """Point at a local sandbox, never at Molecule; and put the SDK's samples first."""
    document["servers"] = [
        {"url": f"{SANDBOX}/v1/api/gateway", "description": "A sandbox on this machine. It plays Molecule."}
    ]
    for call in sources.calls:
        requests = sources.of(call.id, "request")
        example = requests[0] if requests else None
        document["paths"][call.path][call.method.lower()]["x-codeSamples"] = [
            {
                "lang": tab.language,
                "label": {"Python": "Python SDK"}.get(tab.title, tab.title),
                "source": tab.code,
            }
            for tab in samples.call_tabs(sources, call, example)
            if tab.language == "python"
        ]
