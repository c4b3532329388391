"""What the site is built and looked at with: found where it is, refused where it is not what was reviewed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import _setup
from pages import browser, packed


def program(folder: Path, name: str, status: int) -> None:
    file = folder / name
    file.write_text(f"#!{sys.executable}\nraise SystemExit({status})\n", "utf-8")
    file.chmod(0o755)


def test_a_browser_that_does_not_start_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "_PLACES", ())
    assert browser.installed() is None
    program(tmp_path, "chromium", 1)
    assert browser.installed() is None
    program(tmp_path, "google-chrome", 0)
    found = browser.installed()
    assert found
    assert found.executable == str(tmp_path / "google-chrome")


def test_without_any_browser_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "installed", lambda: None)
    monkeypatch.setattr(sys, "platform", "plan9")
    with pytest.raises(_setup.SetupError, match="apt install chromium"):
        browser.find()


def test_every_package_is_pinned_by_version_and_hash() -> None:
    for name, entry in json.loads(packed.LIST.read_text("utf-8")).items():
        assert set(entry) == {"version", "integrity"}, name
        assert entry["integrity"].startswith("sha512-"), name


def test_a_package_that_was_fetched_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = packed.package("axe-core")
    monkeypatch.setenv("PATH", "")  # npm could not even be started
    assert packed.package("axe-core") == folder
    assert (folder / "axe.min.js").is_file()
