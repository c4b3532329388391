"""Build the site: pages to Markdown, Markdown to HTML by zensical, and what comes after."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jinja2

from reading import read_yaml

from . import console, finish
from .contents import DOCS, TEMPLATES, Page, pages
from .sources import ROOT, load
from .versions import documents, versions

ASSETS = Path(__file__).parent / "assets"


class BuildError(Exception):
    """The site could not be built; the text is for the person at the terminal."""


def build(target: Path) -> list[Page]:
    """Write the whole site to `target`, replacing what is there.

    Raises:
        BuildError: zensical failed, or found something wrong.

    """
    sources = load()
    contents = pages(sources)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        docs = work / "docs"
        for page in contents:
            file = docs / page.path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(page.text, "utf-8")
        shutil.copytree(ASSETS, docs / "assets", ignore=shutil.ignore_patterns("console.*"))
        downloads(docs / "downloads")
        (work / "zensical.toml").write_text(config(contents), "utf-8")
        _zensical(work)
        site = work / "site"
        finish.finish(site, sources)
        console.write(site / "console", sources)
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(site, target)
    return contents


def _zensical(work: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--strict",
        "--config-file",
        str(work / "zensical.toml"),
    ]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        words = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
        raise BuildError(f"zensical failed:\n\n{words.split('Traceback')[0].strip() or words}")


def config(contents: list[Page]) -> str:
    """The configuration for zensical."""
    sections: dict[str, list[Page]] = {}
    for page in contents:
        sections.setdefault(page.section, []).append(page)
    nav: list[Any] = []
    for section, members in sections.items():
        entries = [{page.title: page.path} for page in members]
        nav += [{section: entries}] if section else entries
    text: str = jinja2.Template((TEMPLATES / "zensical.toml.jinja").read_text("utf-8")).render(
        nav=_toml(nav),
        site_url=finish.NO_ADDRESS,
        snippets=DOCS.as_posix(),
        paths=_toml([(ROOT / "wrapper").as_posix(), (ROOT / "generated").as_posix()]),
        sections={
            json.dumps(name or "Start"): _toml([page.path for page in members])
            for name, members in sections.items()
        },
    )
    return text


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def downloads(target: Path) -> None:
    """The documents as YAML and JSON: as they are now, and of each released version."""
    for version, folder in versions():
        (target / version).mkdir(parents=True)
        for name, file in documents(folder):
            shutil.copyfile(file, target / version / f"{name}.yaml")
            content = read_yaml(file)
            text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
            (target / version / f"{name}.json").write_text(text + "\n", "utf-8")
