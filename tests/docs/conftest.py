"""The site, built once for all tests that look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pages import build
from pages.contents import Page


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Page]]:
    folder = tmp_path_factory.mktemp("docs") / "site"
    return folder, build.build(folder)


@pytest.fixture(scope="session")
def site(built: tuple[Path, list[Page]]) -> Path:
    return built[0]


@pytest.fixture(scope="session")
def contents(built: tuple[Path, list[Page]]) -> list[Page]:
    return built[1]
