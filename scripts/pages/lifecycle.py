"""The six steps as a sequence drawing, in SVG.

Drawn 400 units wide, so that its text is still readable on a phone; colours come from the style sheet, so
that it is dark on a dark page. Each step is a link, and the description says the same in words.
"""

from __future__ import annotations

from html import escape

from .sources import Sources

_WIDTH, _TOP, _STEP = 400, 76, 84
_LANES = {"partner": 62, "molecule": 338}
_ROLE = 'role="group" aria-labelledby="lifecycle-title lifecycle-text" xmlns="http://www.w3.org/2000/svg"'
_HEAD = 'marker-end="url(#arrow)"'
_ARROW = 'viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"'
_NAMES = {"partner": ("Partner", "your code"), "molecule": ("Molecule", "MosVPP")}


def target(step: dict[str, str]) -> str:
    """The page of a step, from the root of the site."""
    if "x-webhook" in step:
        return f"webhooks/{step['x-webhook']}.html"
    if "receipt_of" in step:
        return f"operations/{step['receipt_of']}.html#reply"
    return f"operations/{step['step']}.html"


def drawing(sources: Sources) -> str:
    """The SVG element, on lines without blank ones between them."""
    steps = sources.steps
    height = _TOP + _STEP * len(steps) + 16
    lines = [
        f'<svg class="lifecycle" viewBox="0 0 {_WIDTH} {height}" {_ROLE}>',
        '<title id="lifecycle-title">The six steps between partner and Molecule</title>',
        f'<desc id="lifecycle-text">{escape(_in_words(steps))}</desc>',
        f'<defs><marker id="arrow" {_ARROW}><path class="head" d="M0 0 8 4 0 8z"/></marker></defs>',
    ]
    for lane, x in _LANES.items():
        name, detail = _NAMES[lane]
        lines += [
            f'<line class="lane" x1="{x}" y1="54" x2="{x}" y2="{height - 6}"/>',
            f'<rect class="actor" x="{x - 56}" y="6" width="112" height="48" rx="6"/>',
            f'<text class="name" x="{x}" y="27">{name}</text>',
            f'<text class="detail" x="{x}" y="44">{detail}</text>',
        ]
    for number, step in enumerate(steps, 1):
        lines += _step(number, step, sources)
    return "\n".join([*lines, "</svg>"])


def _step(number: int, step: dict[str, str], sources: Sources) -> list[str]:
    y = _TOP + _STEP * (number - 1) + 38
    start, end = _LANES[step["from"]], _LANES[step["to"]]
    inward = 8 if end > start else -8
    name = step.get("step") or step.get("x-webhook") or "the answer to the same call"
    style = "words" if "receipt_of" in step else "code"
    guessed = any(sources.facts[fact].status == "inferred" for fact in step["x-evidence"])
    kind = "answer" if "receipt_of" in step else "call"
    middle = _WIDTH // 2
    lines = [
        f'<a href="{target(step)}">',
        f'<rect class="hit" x="74" y="{y - 34}" width="252" height="74" rx="6"/>',
        f'<text class="title" x="{middle}" y="{y - 12}">{number}  {escape(step["title"])}</text>',
        f'<line class="{kind}" x1="{start + inward}" x2="{end - inward}" y1="{y}" y2="{y}" {_HEAD}/>',
        f'<text class="{style}" x="{middle}" y="{y + 18}">{escape(name)}</text>',
        "</a>",
    ]
    if guessed:
        lines.insert(-1, f'<text class="guessed" x="{middle}" y="{y + 35}">its shape is inferred</text>')
    return lines


def _in_words(steps: list[dict[str, str]]) -> str:
    return " ".join(
        f"{number}. From {step['from']} to {step['to']}: {step['title']}."
        for number, step in enumerate(steps, 1)
    )
