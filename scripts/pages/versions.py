"""The documents that can be downloaded: as they are now, and as they were released."""

from __future__ import annotations

import re
from pathlib import Path

from .sources import SPEC

DOCUMENTS = {
    "openapi": "openapi.yaml",
    "asyncapi": "asyncapi.yaml",
    "lifecycle": "lifecycle.arazzo.yaml",
    "evidence": "evidence.yaml",
}


def versions() -> list[tuple[str, Path]]:
    """`current`, then the releases, the newest first; each with its folder."""
    folder = SPEC / "released"
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.exists() else []
    newest_first = sorted(
        found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], reverse=True
    )
    return [("current", SPEC), *((path.name, path) for path in newest_first)]


def documents(folder: Path) -> list[tuple[str, Path]]:
    """Those of the documents that a folder has."""
    return [(name, folder / file) for name, file in DOCUMENTS.items() if (folder / file).exists()]
