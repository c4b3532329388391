"""A settled event as one HTML file without scripts and without requests, for people and for the archive."""

from __future__ import annotations

from .page import to_html

__all__ = ["to_html"]
