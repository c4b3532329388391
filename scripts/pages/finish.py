"""What comes after zensical: search from a disk, links to the evidence, no address, a page for dead ones."""

from __future__ import annotations

import posixpath
import re
from html import escape
from pathlib import Path
from typing import NamedTuple

from mosvpp import errors

from .contents import TEMPLATES
from .sources import Fact, Sources

# zensical's llmstxt wants the address of the site. Ours may be read from anywhere, so no page keeps one.
NO_ADDRESS = "https://site.invalid/"

PLAIN_TO_SEE = 2  # columns: what stands below the first needs no name
_TABLE = re.compile(r"<table>\s*<thead>(.*?)</thead>(.*?)</table>", re.DOTALL)
_TAG = re.compile(r"(<[^>]+>)")
_NAME = re.compile(r"(?<![\w.])(?:[a-z]+\.[a-z][a-z_0-9]+|[a-z]+_[a-z_]+|[A-Z][a-zA-Z]+Error)(?!\w|\.\w)")
_ENTRY = re.compile(r'(?<=<span class="md-ellipsis">)[^<]+')  # of the navigation; names are one long word
_NO_LINKS_IN = re.compile(r"<(a|pre|script|style|svg|h1|h2|h3|title|summary|nav|button)\b")


class Target(NamedTuple):
    """Where a name leads, from the root of the site."""

    address: str
    fact: Fact | None = None


def finish(site: Path, sources: Sources) -> None:
    """Mend the pages of a site in place."""
    names = targets(sources)
    for page in site.rglob("*.html"):
        root = "../" * len(page.relative_to(site).parent.parts)
        html = page.read_text("utf-8")
        html = re.sub(rf'\s*<link rel="canonical" href="{re.escape(NO_ADDRESS)}[^"]*">', "", html)
        # From a disk, a link to a folder shows its files.
        html = re.sub(r'href="(\./\.\.(?:/\.\.)*|\.)/?"', r'href="\1/index.html"', html)
        html = _ENTRY.sub(lambda entry: _breakable(entry[0]), html)
        start, article, rest = _article(html)
        page.write_text(start + label_cells(link_names(article, root, names)) + rest, "utf-8")
    # The links of the one of the theme begin with a slash, so they lead home at the root of a host only.
    (site / "404.html").write_bytes((TEMPLATES / "404.html").read_bytes())
    _rebase(site / "llms-full.txt", site)
    for name in ("sitemap.xml", "sitemap.xml.gz"):  # it would be full of addresses that lead nowhere
        (site / name).unlink(missing_ok=True)
    index = (site / "search.json").read_text("utf-8")
    # A page from a disk may not fetch, but may load a script; the theme looks for this one.
    (site / "search.js").write_text(f"var __index = {index};\n", "utf-8")


def label_cells(html: str) -> str:
    """Give tables from Markdown our style, and each cell its column, which a phone shows with it."""
    return _TABLE.sub(_labelled, html)


def _labelled(table: re.Match[str]) -> str:
    heads = [re.sub("<[^>]+>", "", cell).strip() for cell in re.findall("<th[^>]*>(.*?)</th>", table[1])]
    labels = [head if head.endswith("?") or not head else f"{head}:" for head in heads]
    if len(labels) == PLAIN_TO_SEE:
        labels[1] = ""
    rows = []
    for row in re.split("(?=<tr>)", table[2]):
        before, *cells = re.split(r"(?=<td\b)", row)
        named = zip(cells, labels, strict=False)  # none in what stands before the first row
        rows += [before, *(f'<td data-label="{label}"{cell.removeprefix("<td")}' for cell, label in named)]
    return f'<table class="plain"><thead>{table[1]}</thead>{"".join(rows)}</table>'


def _rebase(full: Path, site: Path) -> None:
    """All twins in one file, with links that lead on from there."""
    listed = re.findall(r"\]\(<([^>]+\.md)>\)", (site / "llms.txt").read_text("utf-8"))
    texts = []
    for name in listed:
        folder = posixpath.dirname(name)

        def moved(link: re.Match[str], folder: str = folder) -> str:
            address = link[1]
            local = not address.startswith("#") and "://" not in address
            return f"](<{posixpath.normpath(posixpath.join(folder, address)) if local else address}>)"

        texts.append(re.sub(r"\]\(<([^>]+)>\)", moved, (site / name).read_text("utf-8")))
    full.write_text("\n\n".join(text.strip() for text in texts) + "\n", "utf-8")


def _article(html: str) -> tuple[str, str, str]:
    start = html.find("<article")
    end = html.find("</article>")
    return (html[:start], html[start:end], html[end:]) if start >= 0 else (html, "", "")


def targets(sources: Sources) -> dict[str, Target]:
    """What is linked wherever its name stands: entries of the ledger, operations and errors."""
    found = {fact.id: Target(f"evidence.html#{fact.id}", fact) for fact in sources.facts.values()}
    found |= {call.id: Target(f"operations/{call.id}.html") for call in sources.calls}
    found |= {webhook.id: Target(f"webhooks/{webhook.id}.html") for webhook in sources.webhooks}
    return found | {name: Target(f"errors.html#{name}") for name in errors.__all__}


def link_names(html: str, root: str, names: dict[str, Target]) -> str:
    """Turn names in running text into links; those of the ledger say how sure they are."""
    pieces = _TAG.split(html)
    inside: list[str] = []
    for index, piece in enumerate(pieces):
        if piece.startswith("<"):
            opened = _NO_LINKS_IN.match(piece)
            if opened:
                inside.append(opened[1])
            elif inside and piece == f"</{inside[-1]}>":
                inside.pop()
        elif not inside:
            pieces[index] = _NAME.sub(lambda found: _link(found[0], root, names), piece)
    return "".join(pieces)


def _link(text: str, root: str, names: dict[str, Target]) -> str:
    target = names.get(text)
    if target is None:
        return text
    shown = _breakable(text)
    if target.fact is None:
        return f'<a href="{root}{target.address}">{shown}</a>'
    title = escape(f"{target.fact.status}: {target.fact.statement}", quote=True)
    return (
        f'<a class="fact fact-{target.fact.status}" href="{root}{target.address}" title="{title}">{shown}</a>'
    )


def _breakable(name: str) -> str:
    """A long name that ends a line at an underscore, not at the letter that happens to be the last."""
    return name.replace("_", "_<wbr>")
