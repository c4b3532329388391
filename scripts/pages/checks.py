"""What must be true of the finished site. Each fault is a sentence that begins with the page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mosvpp import errors

from . import links, reference
from .contents import DOCS, PROGRAMS, RECEIVERS, Page
from .sources import STATUSES, Sources, load

LARGEST_PAGE = 500_000  # bytes; the console apart
CONSOLE = "console/"
# Read by people of the repository first, so their headings carry no ids; nothing deep-links into them.
FREE_HEADINGS = {"architecture.md", "decisions.md"}
_LOADS = {
    "script": "src",
    "img": "src",
    "source": "src",
    "iframe": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}


@dataclass
class Html:
    """What the checks need of one page."""

    ids: Counter[str] = field(default_factory=Counter)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.html = Html()
        self._code: list[str] | None = None
        self._in_block = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.html.ids[values["id"]] += 1
        if tag == "a" and "href" in values:
            self.html.links.append(values["href"])
        if tag == "link" and values.get("rel") not in ("prev", "next", "alternate", "describedby"):
            self.html.loads.append(values.get("href", ""))
        elif tag == "link":
            self.html.links.append(values.get("href", ""))
        if tag in _LOADS and _LOADS[tag] in values:
            self.html.loads.append(values[_LOADS[tag]])
        self.html.loads += _css_urls(values.get("style", ""))
        self._in_block |= tag == "pre"
        if tag == "code" and not self._in_block:
            self._code = []

    def handle_endtag(self, tag: str) -> None:
        self._in_block &= tag != "pre"
        if tag == "code" and self._code is not None:
            self.html.codes.append("".join(self._code))
            self._code = None

    def handle_data(self, data: str) -> None:
        if self._code is not None:
            self._code.append(data)


def faults(site: Path, contents: list[Page]) -> list[str]:
    """Everything that is wrong with a site."""
    sources = load()
    htmls = {
        path.relative_to(site).as_posix(): _read(path.read_text("utf-8"))
        for path in sorted(site.rglob("*.html"))
    }
    return [
        *_links(site, htmls),
        *_external(site, htmls),
        *_coverage(htmls, sources),
        *_evidence(site, htmls, sources),
        *_hand_written(contents),
        *_twins(site, contents),
        *_sizes(site),
    ]


def stale(site: Path, fresh: Path) -> list[str]:
    """Pages of an earlier build that would be different today; no earlier build is no fault."""
    if not site.exists():
        return []
    old, new = (
        {path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (site, fresh)
    )
    changed = {path for path in old & new if (site / path).read_bytes() != (fresh / path).read_bytes()}
    return [f"site/{path.as_posix()}: stale" for path in sorted(changed | (old ^ new))]


@lru_cache(maxsize=256)
def _read(text: str) -> Html:
    reader = _Reader()
    reader.feed(text)
    return reader.html


def _css_urls(text: str) -> list[str]:
    return [url.strip("'\" ") for url in re.findall(r"url\(([^)]*)\)", text)] + re.findall(
        r"@import\s+['\"]([^'\"]+)", text
    )


def _links(site: Path, htmls: dict[str, Html]) -> Iterator[str]:
    for page, html in htmls.items():
        for name, times in html.ids.items():
            if times > 1:
                yield f"{page}: the anchor {name} is there {times} times"
        for link in dict.fromkeys(html.links + html.loads):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (site / page).parent / unquote(parts.path) if parts.path else site / page
            if not target.is_file():
                yield f"{page}: dead link {link}"
            elif parts.fragment and target.suffix == ".html" and not page.startswith(CONSOLE):
                name = target.resolve().relative_to(site.resolve()).as_posix()
                if not name.startswith(CONSOLE) and unquote(parts.fragment) not in htmls[name].ids:
                    yield f"{page}: dead anchor {link}"


def _external(site: Path, htmls: dict[str, Html]) -> Iterator[str]:
    loaded = [(page, load_) for page, html in htmls.items() for load_ in html.loads]
    for sheet in sorted(site.rglob("*.css")):
        loaded += [(sheet.relative_to(site).as_posix(), url) for url in _css_urls(sheet.read_text("utf-8"))]
    for page, load_ in loaded:
        parts = urlsplit(load_)
        if parts.netloc or parts.scheme not in ("", "data"):
            yield f"{page}: loads {load_} from elsewhere"


def _coverage(htmls: dict[str, Html], sources: Sources) -> Iterator[str]:
    wanted = [
        *((f"operations/{call.id}.html", call.id, "operation") for call in sources.calls),
        *((f"webhooks/{webhook.id}.html", webhook.id, "event") for webhook in sources.webhooks),
        *(("lifecycle.html", step["name"], "step") for step in sources.steps),
        *(("types.html", name, "type") for name in sources.schemas),
        *(("evidence.html", fact, "entry of the ledger") for fact in sources.facts),
        *(("errors.html", name, "error class") for name in errors.__all__),
        *(("cli.html", name, "command") for name in reference.command_names()),
    ]
    for page, anchor, what in wanted:
        if page not in htmls or anchor not in htmls[page].ids:
            yield f"{page}: the {what} {anchor} has no place there"
    documented = {id_ for page, html in htmls.items() if page.startswith("sdk/") for id_ in html.ids}
    for name in reference.public_names():
        if name not in documented:
            yield f"sdk/: the public name {name} is on no page"


def _evidence(site: Path, htmls: dict[str, Html], sources: Sources) -> Iterator[str]:
    counts = Counter(fact.status for fact in sources.facts.values())
    text = re.sub(r"<[^>]+>", " ", (site / "evidence.html").read_text("utf-8"))
    for status in STATUSES:
        said = re.search(rf"{status}\s+[^|]*?\s(\d+)\s", text)
        if said is None or int(said[1]) != counts[status]:
            yield f"evidence.html: says {said and said[1]} {status}, the ledger has {counts[status]}"
    areas = {fact.split(".")[0] for fact in sources.facts}
    attributes = {name for path in reference.public_names() for name in dir(reference.public(path))}
    for page, html in htmls.items():
        for code in html.codes:
            area, _, name = code.partition(".")
            if (
                area in areas
                and re.fullmatch(r"[a-z_]+", name)
                and not {name, code} & {*attributes, *sources.facts}
            ):
                yield f"{page}: stale, since the ledger has no entry {code}"


def _hand_written(contents: list[Page]) -> Iterator[str]:
    shown = {f"receivers/{file}" for file in RECEIVERS.values()}
    known = {page.path for page in contents} | shown | set(PROGRAMS)
    for path in sorted(DOCS.rglob("*")):
        name = path.relative_to(DOCS).as_posix()
        if path.suffix not in (".md", ".py"):
            continue
        if name not in known:
            yield f"spec/docs/{name}: no page of the site; add it to scripts/pages/contents.py"
        if path.suffix == ".md":
            for target in links.dead(name, path.read_text("utf-8")):
                yield f"spec/docs/{name}: {target} is no file of the repository; see scripts/pages/links.py"
        if path.suffix == ".md" and name not in FREE_HEADINGS:
            text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
            for heading in re.findall(r"^#+ .*$", text, re.MULTILINE):
                if not re.search(r"\{ #[\w.-]+ \}$", heading):
                    yield f"spec/docs/{name}: no anchor for {heading!r}; add {{ #a-name }} behind it"


def _twins(site: Path, contents: list[Page]) -> Iterator[str]:
    listed = (site / "llms.txt").read_text("utf-8")
    full = (site / "llms-full.txt").read_text("utf-8")
    for page in contents:
        if not (site / page.path).is_file():
            yield f"{page.path}: no twin in Markdown"
        if f"({page.path})" not in listed.replace("<", "").replace(">", ""):
            yield f"{page.path}: not in llms.txt"
        heading = re.search(r"^# .+$", page.text, re.MULTILINE)
        if heading is None or heading[0].split(" {")[0] not in full:
            yield f"{page.path}: not in llms-full.txt"
    for file in sorted([*site.rglob("*.md"), site / "llms.txt", site / "llms-full.txt"]):
        for link in dict.fromkeys(re.findall(r"\]\(<([^>#]+)(?:#[^>]*)?>\)", file.read_text("utf-8"))):
            if "://" not in link and not (file.parent / link).is_file():
                yield f"{file.relative_to(site).as_posix()}: dead link {link}"


def _sizes(site: Path) -> Iterator[str]:
    for path in sorted(site.rglob("*.html")):
        name = path.relative_to(site).as_posix()
        if not name.startswith(CONSOLE) and path.stat().st_size > LARGEST_PAGE:
            yield f"{name}: {path.stat().st_size} bytes, more than {LARGEST_PAGE}"
