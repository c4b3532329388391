"""Pages, parts of pages and files, with the headers that keep a browser from running anything else."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from . import wording

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["STATIC", "file", "json", "page", "problem", "stream_headers"]

_HOME = "mosvpp_sandbox.console"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_FRESH = {**_ALWAYS, "Cache-Control": "no-store"}

STATIC = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "charts.js": "text/javascript",
    "language.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "vendor/htmx.min.js": "text/javascript",
    "vendor/uPlot.iife.min.js": "text/javascript",
    "vendor/uPlot.min.css": "text/css",
}
"""What a page may load, and as what."""


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page, or a part of one; everything in it is escaped."""
    text = _environment().get_template(f"{template}.html").render(**values)
    return Response(text, status, _FRESH, media_type="text/html")


def json(body: bytes) -> Response:
    """Numbers for a chart."""
    return Response(body, 200, _FRESH, media_type="application/json")


def problem(status: int, said: str) -> Response:
    """Why something was not done, for people."""
    return Response(said, status, _FRESH, media_type="text/plain")


def file(name: str) -> Response:
    """One of the files of `STATIC`; a browser asks whether it is still the same, since versions change."""
    if name not in STATIC:
        return problem(404, "There is no such file.")
    return Response(_bytes(name), 200, {**_ALWAYS, "Cache-Control": "no-cache"}, media_type=STATIC[name])


def stream_headers() -> dict[str, str]:
    """For server-sent events."""
    return dict(_FRESH)


@cache
def _bytes(name: str) -> bytes:
    return files(_HOME).joinpath("static", *name.split("/")).read_bytes()


@cache
def _environment() -> Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_HOME, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= wording.FILTERS
    return environment
