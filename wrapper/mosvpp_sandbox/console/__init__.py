"""The console at `/`: pages on which people watch the sandbox, and change it.

HTML is rendered here and kept fresh by htmx, whenever the stream of ticks says that something on a page has
changed; charts are drawn by uPlot. Both lie in `static/vendor`; nothing is asked of another host.
"""

from __future__ import annotations

from .routes import console_routes
from .sign_in import sign_in_routes

__all__ = ["console_routes", "sign_in_routes"]
