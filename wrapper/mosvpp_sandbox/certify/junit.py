"""The report as JUnit XML, which CI systems show."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from .check import Result, Verdict
from .evidence import marked
from .report import DISCLAIMER, Report

__all__ = ["to_junit"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(report: Report) -> bytes:
    """One test suite for each group of checks."""
    root = ET.Element("testsuites", name="mosvpp certify", time=f"{report.seconds:.3f}")
    for group, results in report.groups:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=group,
            tests=str(len(results)),
            failures=str(sum(result.verdict is Verdict.FAILED for result in results)),
            errors=str(sum(result.verdict is Verdict.BLOCKED for result in results)),
            skipped=str(sum(result.verdict is Verdict.SKIPPED for result in results)),
            time=f"{sum(result.seconds for result in results):.3f}",
            timestamp=report.began_at.isoformat(timespec="seconds"),
        )
        for result in results:
            _add_case(suite, result)
    _add_text(ET.SubElement(root, "system-out"), DISCLAIMER)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _add_case(suite: ET.Element, result: Result) -> None:
    check = result.check
    case = ET.SubElement(
        suite,
        "testcase",
        classname=f"certify.{check.group.lower().replace(' ', '_').replace(',', '')}",
        name=check.name,
        time=f"{result.seconds:.3f}",
    )
    properties = ET.SubElement(case, "properties")
    for name, value in (("basis", check.basis), ("evidence", marked(check.evidence))):
        ET.SubElement(properties, "property", name=name, value=value)
    if result.verdict is Verdict.FAILED:
        failure = ET.SubElement(case, "failure", message=_xml(result.faults[0]), type=check.basis)
        lines = [*result.faults, "", f"expected: {check.expected}", f"why: {check.why}"]
        _add_text(failure, "\n".join([*lines, f"evidence: {marked(check.evidence)}"]))
    elif result.verdict is Verdict.BLOCKED:
        ET.SubElement(case, "error", message=_xml(" ".join(result.notes)), type="blocked")
    elif result.verdict is Verdict.SKIPPED:
        ET.SubElement(case, "skipped", message=_xml(" ".join(result.notes)))


def _add_text(element: ET.Element, text: str) -> None:
    element.text = _xml(text)


def _xml(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
