"""Plays named checks against a partner's own receiver: what was expected, why, and what came back."""

from __future__ import annotations
