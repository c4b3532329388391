"""The certification's page in a browser. Apart from the checks: a browser keeps an event loop of its own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from browsing import DESK, PHONE, TOO_WIDE, Watched, violations
from mosvpp_sandbox.certify.catalogue import CHECKS
from mosvpp_sandbox.certify.check import Call, Exchange, Result, Round, Run, Verdict
from mosvpp_sandbox.certify.page import to_html
from mosvpp_sandbox.certify.report import Report
from mosvpp_sandbox.certify.sender import Answer
from mosvpp_sandbox.certify.target import Target


@pytest.fixture
def report() -> Report:
    """One of everything that a page can show."""
    urls: Any = {"data_push": "http://127.0.0.1:8080/data-push"}
    target = Target(urls=urls, headers={"X-API-Key": "a secret"}, dispatcher_command=["dispatch"])
    results = []
    for number, check in enumerate(CHECKS):
        result = Result(check, list(Verdict)[number % 4])
        result.faults = ["<b>not this</b>"] if result.verdict is Verdict.FAILED else []
        result.notes = ["a note"]
        right = result.verdict is not Verdict.FAILED
        for answer in (Answer(200, 0.004 + number / 100), Answer(None, 5.0, "no answer within 5 s")):
            result.exchanges.append(Exchange("data_push", "an ordinary one", "200", answer, right, True, 343))
        results.append(result)
    calls = [Call("POST", "/v1/api/gateway/fecd0001c031e7e8/dr", status, 0.25) for status in (None, 200)]
    results[-1].runs = [Run("the answer was lost", 0, calls), Run("it said nothing", None, [])]
    results[-1].rounds = [Round(90, 60, 0), Round(80, 50, 3)]
    return Report(target, tuple(results), datetime(2026, 1, 15, 17, tzinfo=UTC), 12.5)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_and_asks_for_nothing(
    report: Report, chromium: Browser, scheme: Any, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text(to_html(report), "utf-8")
    context = chromium.new_context(viewport=DESK, color_scheme=scheme, offline=True)
    watched = Watched(context)
    watched.page.goto((tmp_path / "report.html").as_uri())
    watched.page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    for size in (DESK, PHONE):
        watched.page.set_viewport_size(size)
        assert violations(watched.page) == []
        assert watched.page.evaluate(TOO_WIDE) <= 0
    assert watched.complaints == []
    assert len(watched.requests) == 1
    context.close()
