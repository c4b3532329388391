"""CHANGELOG.md: under each release *Contract*, written from the specification, and *SDK*, written by hand."""

import re

MARK = "<!-- scripts/regenerate.py writes this part from spec/: what is typed here is lost. -->"
NOTHING_YET = "- Nothing yet."
_UNRELEASED = re.compile(r"^## Unreleased\n(?P<body>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_CONTRACT = re.compile(r"^### Contract\n(?P<body>.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_SDK = re.compile(r"^### SDK\n(?P<body>.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)


class ChangelogError(Exception):
    """CHANGELOG.md has not the headings that it needs."""


def with_contract(text: str, notes: str) -> str:
    """The changelog with `notes` as what is unreleased of the contract."""
    start, end = _section(text, _CONTRACT)
    return f"{text[:start]}\n{MARK}\n\n{notes.strip()}\n\n{text[end:]}"


def sdk_notes(text: str) -> str:
    """What is unreleased of the SDK, empty if nobody wrote anything."""
    start, end = _section(text, _SDK)
    notes = text[start:end].strip()
    return "" if notes == NOTHING_YET else notes


def with_release(text: str, version: str, day: str, unreleased: str) -> str:
    """The changelog with what was unreleased as a release; `unreleased` is the new contract part."""
    found = _UNRELEASED.search(text)
    if not found:
        raise ChangelogError("CHANGELOG.md needs the heading '## Unreleased'.")
    body = found["body"].replace(f"{MARK}\n\n", "")
    fresh = f"## Unreleased\n\n### Contract\n\n{MARK}\n\n{unreleased.strip()}\n\n### SDK\n\n{NOTHING_YET}\n\n"
    return f"{text[: found.start()]}{fresh}## {version} ({day})\n{body}{text[found.end() :]}"


def _section(text: str, heading: re.Pattern[str]) -> tuple[int, int]:
    found = _UNRELEASED.search(text)
    part = heading.search(text, found.start("body"), found.end("body")) if found else None
    if not part:
        raise ChangelogError("CHANGELOG.md needs '### Contract' and '### SDK' under '## Unreleased'.")
    return part.start("body"), part.end("body")


def release_notes(text: str, version: str) -> str:
    """What the changelog says of a release.

    Raises:
        ChangelogError: it says nothing of this one.

    """
    found = re.search(rf"^## {re.escape(version)} \(.*\)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not found:
        raise ChangelogError(f"CHANGELOG.md has no heading '## {version} (…)'.")
    return found[1].strip() + "\n"
