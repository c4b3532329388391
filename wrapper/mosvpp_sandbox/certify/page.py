"""The report as one HTML file without scripts and without requests."""

from __future__ import annotations

import jinja2

from . import charts
from .check import Verdict
from .evidence import MARKS
from .play import KIND_NAMES
from .report import DISCLAIMER, WORDS, Report

__all__ = ["to_html"]


def to_html(report: Report) -> str:
    """The page; everything in it is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mosvpp_sandbox.certify", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        report=report,
        target=report.target,
        times=charts.times(report),
        bars=charts.bars(report),
        rounds=charts.rounds(report),
        failed=[result for result in report.results if result.verdict is Verdict.FAILED],
        marks=MARKS,
        kinds=KIND_NAMES,
        words=WORDS,
        signs={"passed": "✓", "failed": "✗", "blocked": "!", "skipped": "–"},
        disclaimer=DISCLAIMER,
    )
