"""What a partner installs: the wheel, in an environment that holds only what the wheel declares."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"mosvpp", "mosvpp_api", "mosvpp_events", "mosvpp_sandbox"}

Run = Callable[..., subprocess.CompletedProcess[str]]


def build(target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", folder]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", tmp_path_factory.mktemp("wheel"))


def declared(name: str, *extras: str) -> Iterator[importlib.metadata.Distribution]:
    """What installing `name[extras]` would bring along, from the environment in which the tests run."""
    for text in importlib.metadata.requires(name) or []:
        requirement = Requirement(text)
        wanted = [
            requirement.marker is None or requirement.marker.evaluate({"extra": e}) for e in ("", *extras)
        ]
        if any(wanted):
            yield importlib.metadata.distribution(requirement.name)
            yield from declared(requirement.name, *requirement.extras)


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Callable[..., Run]:
    """Install the wheel with the given extras into an empty environment, without asking a registry."""

    def install(*extras: str) -> Run:
        venv.create(tmp_path / "env", with_pip=False, symlinks=sys.platform != "win32")
        python = next((tmp_path / "env").glob("[bS]*/python*"))
        purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = Path(subprocess.check_output([python, "-c", purelib], text=True).strip())
        zipfile.ZipFile(wheel).extractall(site)
        for distribution in {each.name: each for each in declared("mosvpp", *extras)}.values():
            for file in distribution.files or []:
                link = site / file.parts[0]
                if file.parts[0] not in {"..", "__pycache__"} and not link.exists():
                    link.symlink_to(Path(str(distribution.locate_file(file.parts[0]))))

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [python, "-I", *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
            )

        return run

    return install


def test_the_wheel_holds_the_four_packages_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
    assert {"mosvpp_api/openapi.json", "mosvpp_events/asyncapi.json"} <= set(names)
    ours_only = [
        name for name in names if "test" in name.lower() or "regenerate" in name or name.endswith(".jinja")
    ]
    assert ours_only == ["mosvpp_sandbox/pytest_plugin.py"]  # for the tests of partners


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    sources = [*(ROOT / "generated").glob("mosvpp_*"), *(ROOT / "wrapper").iterdir()]
    files = {
        file.relative_to(package.parent).as_posix()
        for package in sources
        for file in package.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == files


def test_the_source_distribution_holds_what_is_needed_to_test_and_regenerate(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {name.split("/")[0] for name in names} == {
        *{"generated", "scripts", "spec", "tests", "wrapper"},
        *{"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "PKG-INFO", ".gitignore"},
    }
    assert not [name for name in names if "node_modules" in name or name.endswith(".pyc")]


def test_the_wheel_needs_no_more_than_it_declares(installed: Callable[..., Run]) -> None:
    modules = "mosvpp.client, mosvpp.webhooks, mosvpp_api.client, mosvpp_events"
    done = installed()(
        "-c", f"import {modules}, importlib.util as u; print(mosvpp.__file__, u.find_spec('typer'))"
    )
    assert done.returncode == 0, done.stderr
    assert "site-packages" in done.stdout
    assert done.stdout.endswith(" None\n")


COMMANDS = {
    "cli": ["-m", "mosvpp", "devices", "fecd0001c031e7e8"],
    "sandbox": ["-m", "mosvpp_sandbox", "--port", "0"],
}


@pytest.mark.parametrize("extra", COMMANDS)
def test_a_missing_extra_is_named_in_one_sentence(installed: Callable[..., Run], extra: str) -> None:
    done = installed()(*COMMANDS[extra])
    assert (done.returncode != 0, done.stdout) == (True, "")
    assert f"mosvpp[{extra}]" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("extra", COMMANDS)
def test_an_extra_brings_all_that_its_command_needs(installed: Callable[..., Run], extra: str) -> None:
    done = installed(extra)(*COMMANDS[extra][:2], "--help")
    assert done.returncode == 0, done.stderr


def test_the_first_program_in_the_readme_needs_the_wheel_and_the_sandbox_extra_only(
    installed: Callable[..., Run], tmp_path: Path
) -> None:
    program = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert program
    (tmp_path / "first.py").write_text(program[1], "utf-8")
    done = installed("sandbox")("first.py")
    assert done.returncode == 0, done.stderr
