"""Set up what is needed and run every check; exit status 1 if one fails.

python3 scripts/test.py                          everything, as CI does
python3 scripts/test.py ruff mypy                only these steps
python3 scripts/test.py tests -- -k retry -x     only these tests: what follows -- goes to pytest
python3 scripts/test.py --all                    everything, and the tests that take long
"""

import _setup

if __name__ == "__main__":
    _setup.ensure("dev")

import argparse
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

COLOR = re.compile(r"\x1b\[[\d;]*m")
PYTEST_CLOSING = re.compile(r"(=+ )?(no tests ran|\d+ [a-z]+)(, \d+ [a-z]+)* in \d[\d.]*s")


class Step(NamedTuple):
    """Commands that all have to succeed, and what has to exist so that they check anything."""

    commands: list[list[str]]
    needs: tuple[str, ...] = ()


class Result(NamedTuple):
    """How a step went; `output` is what to show of it."""

    name: str
    passed: bool
    seconds: float
    output: str = ""


def static_steps(pyright: list[str]) -> dict[str, Step]:
    """What reads the code without running it, by the names that the command line takes."""
    python = sys.executable
    public = ("mosvpp", "mosvpp_api", "mosvpp_events")
    return {
        "ruff": Step([[python, "-m", "ruff", "check", "--output-format=concise"]]),
        "format": Step([[python, "-m", "ruff", "format", "--check", "--output-format=concise"]]),
        "imports": Step([[str(Path(python).with_name("lint-imports")), "--no-logo"]]),
        "mypy": Step([[python, "-m", "mypy"]], needs=("wrapper", "generated", "tests/typing")),
        "pyright": Step([pyright], needs=("wrapper", "tests/typing")),
        "types": Step([[*pyright, "--ignoreexternal", "--verifytypes", package] for package in public]),
        "names": Step([[python, "scripts/python_api.py"]], needs=("wrapper/mosvpp",)),
        "workflows": Step(workflow_checks(Path(python).parent), needs=(".github/workflows/check.yml",)),
        "generated": Step([[python, "scripts/regenerate.py", "--check"]], needs=("spec/openapi.yaml",)),
        "docs": Step([[python, "scripts/docs.py", "--check"]], needs=("spec/docs",)),
    }


def workflow_checks(programs: Path) -> list[list[str]]:
    """What can be said of .github/ without the service that runs it: security, and the form of each file."""
    workflows = sorted(str(path) for path in (_setup.ROOT / ".github" / "workflows").iterdir())
    schema = [str(programs / "check-jsonschema"), "--builtin-schema"]
    return [
        [str(programs / "zizmor"), "--offline", "--pedantic", "--no-progress", ".github"],
        [*schema, "vendor.github-workflows", *workflows],
        [*schema, "vendor.dependabot", ".github/dependabot.yml"],
    ]


def run(name: str, step: Step) -> Result:
    """Run one step, silently: steps run side by side."""
    started = time.monotonic()
    missing = [path for path in step.needs if not (_setup.ROOT / path).exists()]
    if missing:
        return Result(
            name, passed=False, seconds=0, output=f"{missing[0]} is missing, so this checks nothing\n"
        )
    # As in an activated environment: pyright takes the first Python on the path.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    output = ""
    for command in step.commands:
        done = subprocess.run(
            command,
            cwd=_setup.ROOT,
            env={**os.environ, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            output += done.stdout or f"{command[0]} ended with {done.returncode} and said nothing\n"
    return Result(name, not output, time.monotonic() - started, output)


def run_tests(arguments: list[str]) -> tuple[Result, str]:
    """Run pytest, showing its lines as they come; the second value is its closing line."""
    started = time.monotonic()
    closing = ""
    python = [sys.executable, "-m"]
    color = ["--color=yes"] if sys.stdout.isatty() else []
    command = [*python, "pytest", *color, *arguments]
    report: list[list[str]] = []
    if not arguments:
        # Some of the tests cover some of the code: only the whole is measured. Files side by side, since a
        # file shares its servers and its browser among its tests; one more than cores, since many tests wait.
        side_by_side = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile"]
        command = [*python, "coverage", "run", *command[1:], *side_by_side]
        report = [[*python, "coverage", "combine", "--quiet"], [*python, "coverage", "report"]]
        subprocess.run([*python, "coverage", "erase"], cwd=_setup.ROOT, check=True)
    with subprocess.Popen(
        command,
        cwd=_setup.ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                print(line, end="", flush=True)
                closing = line.rstrip() if PYTEST_CLOSING.match(COLOR.sub("", line)) else closing
        except KeyboardInterrupt:
            process.communicate()  # it was interrupted, too: let it clean up
            raise
    said = [process.returncode, *(subprocess.call(step, cwd=_setup.ROOT) for step in report)]
    return Result("tests", not any(said), time.monotonic() - started), closing


def show(result: Result, *, lines: int) -> None:
    """One line, and under it as many lines of what a failing step said."""
    print(f"{result.name:10} {'ok' if result.passed else 'FAILED':8} {result.seconds:5.1f} s", flush=True)
    said = result.output.strip().splitlines()
    if said and lines:
        print("", *said[:lines], sep="\n")
    if len(said) > lines > 0:
        print(f"… and {len(said) - lines} lines more: python3 scripts/test.py {result.name}")
    if said and lines:
        print(flush=True)


def main() -> int:
    """Run the chosen steps and end with how each went."""
    names = [*static_steps([]), "tests"]
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(
        usage="test.py [--all] [STEP ...] [-- PYTEST ARGUMENTS]", description="Steps: " + ", ".join(names)
    )
    parser.add_argument("steps", nargs="*", help="run only these")
    parser.add_argument("--all", action="store_true", help="run the tests that take long, too")
    arguments = parser.parse_args(sys.argv[1:cut])
    unknown = set(arguments.steps).difference(names)
    if unknown:
        parser.error(f"there is no step {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    chosen = arguments.steps or names
    if arguments.all:
        os.environ["MOSVPP_ALL_TESTS"] = "1"

    pyright = _setup.node_tools().pyright if {"pyright", "types"}.intersection(chosen) else []
    static = {name: step for name, step in static_steps(pyright).items() if name in chosen}
    results = []
    with ThreadPoolExecutor(2) as pool:
        for result in pool.map(run, static, static.values()):
            show(result, lines=60 if len(chosen) > 1 else 10_000)
            results.append(result)
    closing = ""
    if "tests" in chosen:
        tests, closing = run_tests(sys.argv[cut + 1 :])
        results.append(tests)
        print()
        for result in results:  # once more: the tests' lines have pushed the others out of sight
            show(result, lines=0)
        print("\n" + (closing or "pytest gave no closing line"))
    return 0 if all(result.passed for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except _setup.SetupError as error:
        sys.stderr.write(f"\n{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)
