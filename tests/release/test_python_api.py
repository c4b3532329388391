"""What breaks callers is told from what does not; griffe's own search agrees on what it can see."""
# ruff: noqa: E501  tables of code and sentences

from __future__ import annotations

import json
from pathlib import Path

import griffe
import pytest

import python_api
from pages import reference
from python_api_changes import api_changes
from versions import Version

MODULE = '''
"""A package."""
from enum import Enum

from . import errors
from ._shell import Client
from .units import Power, kW

__all__ = ["Client", "Power", "State", "errors", "kW", "send"]


class State(Enum):
    ON = "on"
    OFF = "off"


def send(site: str, power: Power | None, *, mode: str, timeout: float = 30) -> Power | None: ...


def not_exported(anything: int) -> None: ...
'''
FILES = {
    "mosvpp/__init__.py": MODULE,
    "mosvpp/_shell.py": """
class _Shell:
    def close(self) -> None: ...


class Client(_Shell):
    base_url: str = "https://example.invalid"

    def __init__(self, key: str | None = None) -> None: ...

    def _private(self) -> None: ...
""",
    "mosvpp/units.py": "class Power:\n    value: float\n\n\nkW: Power = Power()\n",
    "mosvpp/errors.py": '__all__ = ["RuleError"]\n\n\nclass RuleError(ValueError): ...\n\n\nclass Hidden(Exception): ...\n',
    "mosvpp_sandbox/__init__.py": '__all__ = ["Sandbox"]\n\n\nclass Sandbox: ...\n',
}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / "wrapper" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    for package in ("mosvpp_api", "mosvpp_events"):
        (root / "generated" / package).mkdir(parents=True, exist_ok=True)
        (root / "generated" / package / "__init__.py").touch()
    return root


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("old"), FILES)


def test_what_is_public_is_what_all_names_with_what_it_inherits(old: Path) -> None:
    assert sorted(python_api.read_names(old)) == [
        "mosvpp", "mosvpp.Client", "mosvpp.Client.__init__", "mosvpp.Client.base_url", "mosvpp.Client.close",
        "mosvpp.Power", "mosvpp.Power.value", "mosvpp.State", "mosvpp.State.OFF", "mosvpp.State.ON",
        "mosvpp.errors", "mosvpp.errors.RuleError", "mosvpp.kW", "mosvpp.send",
        "mosvpp_sandbox", "mosvpp_sandbox.Sandbox",
    ]  # fmt: skip


# file, what was there, what is there instead, impact, sentence, whether griffe's own search finds it as well
CHANGES = [
    ("__init__", '"Client", ', "", "major", "`mosvpp.Client` was removed.", False),
    ("__init__", '"kW", "send"', '"kW", "not_exported", "send"', "minor", "`mosvpp.not_exported` is new.", False),
    ("__init__", "*, mode: str", "*, mode: str, site_id: str", "major", "`mosvpp.send` now needs `site_id`.", True),
    ("__init__", "*, mode: str", "*, mode: str, note: str = ''", "minor", "`mosvpp.send` now takes `note`.", False),
    ("__init__", "*, mode: str, ", "*, ", "major", "`mosvpp.send` no longer takes `mode`.", True),
    ("__init__", "site: str, power: Power | None, *", "power: Power | None, site: str, *", "major",
     "`mosvpp.send` takes its positional arguments in another order.", True),
    ("__init__", "power: Power | None, *,", "*, power: Power | None,", "major",
     "`power` of `mosvpp.send` is now keyword-only, was positional or keyword.", True),
    ("__init__", "timeout: float = 30", "timeout: float", "major", "`timeout` of `mosvpp.send` is now needed.", True),
    ("__init__", "timeout: float = 30", "timeout: float = 20", "major",
     "The default of `timeout` of `mosvpp.send` is now `20`, was `30`.", True),
    ("__init__", "mode: str", "mode: str = 'test'", "minor", "`mode` of `mosvpp.send` is no longer needed.", False),
    ("__init__", "site: str,", "site: str | int,", "minor",
     "`site` of `mosvpp.send` now takes `str | int`, was `str`.", False),
    ("__init__", "power: Power | None", "power: Power", "major",
     "`power` of `mosvpp.send` now takes `Power`, was `Power | None`.", False),
    ("__init__", "-> Power | None", "-> Power", "minor", "The result of `mosvpp.send` now is `Power`, was `Power | None`.",
     False),
    ("__init__", "-> Power | None", "-> str", "major", "The result of `mosvpp.send` now is `str`, was `Power | None`.",
     False),
    ("__init__", 'OFF = "off"', 'OFF = "OFF"', "major", "`mosvpp.State.OFF` is now 'OFF', was 'off'.", False),
    ("_shell", "def close(self)", "def shut(self)", "major", "`mosvpp.Client.close` was removed.", False),
    ("_shell", "key: str | None = None", "key: str", "major", "`key` of `mosvpp.Client.__init__` is now needed.", True),
    ("errors", "RuleError(ValueError)", "RuleError(Exception)", "major",
     "`mosvpp.errors.RuleError` no longer is a `ValueError`.", False),
    ("units", "value: float", "amount: float", "major", "`mosvpp.Power.value` was removed.", True),
    ("errors", "class Hidden(Exception): ...", "", "", "", False),
]  # fmt: skip


@pytest.mark.parametrize(("file", "before", "after", "impact", "sentence", "seen"), CHANGES)
def test_each_change_has_its_verdict(
    old: Path, tmp_path: Path, file: str, before: str, after: str, impact: str, sentence: str, seen: bool
) -> None:
    name = f"mosvpp/{file}.py"
    assert before in FILES[name]
    new = write(tmp_path / "new", {**FILES, name: FILES[name].replace(before, after, 1)})
    changes = api_changes(python_api.read_names(old), python_api.read_names(new))
    told = {change.sentence: change.impact.name.lower() for change in changes}
    assert told.get(sentence, "") == impact
    assert bool(told) == bool(sentence)

    if seen:
        sides = [griffe.load("mosvpp", search_paths=[root / "wrapper"]) for root in (old, new)]
        assert list(griffe.find_breaking_changes(*sides))
        assert impact == "major"


def test_a_breaking_change_fails_until_the_version_tells(
    old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = write(tmp_path / "new", {**FILES, "mosvpp/__init__.py": MODULE.replace("*, mode: str, ", "*, ")})
    (new / "spec/released").mkdir(parents=True)
    (new / "spec/released/python-api.json").write_text(python_api.record_of(old, Version(0, 3, 1)), "utf-8")
    pyproject = new / "pyproject.toml"
    pyproject.write_text('[project]\nversion = "0.3.1"\n', "utf-8")
    assert python_api.main(new) == 1
    said = capsys.readouterr().err
    assert "`mosvpp.send` no longer takes `mode`." in said
    assert 'write `version = "0.4.0"` in pyproject.toml' in said
    pyproject.write_text('[project]\nversion = "0.4.0"\n', "utf-8")
    assert python_api.main(new) == 0


def test_a_record_comes_back_as_it_was_written(old: Path) -> None:
    record = json.loads(python_api.record_of(old, Version(1, 2, 3)))
    assert record["version"] == "1.2.3"
    assert record["names"] == python_api.read_names(old)


def test_every_name_that_the_reference_shows_is_held() -> None:
    names = python_api.read_names(Path(python_api.__file__).parent.parent)
    shown = {*reference.public_names(), *(name for _, _, listed in reference.SDK.values() for name in listed)}
    assert shown - names.keys() == set()
    assert set(python_api.BESIDE) <= shown


def test_a_package_or_a_name_that_is_gone_is_told(old: Path, tmp_path: Path) -> None:
    fleet = '__all__ = ["Fleet"]\n\n\nclass Fleet: ...\n'
    clock = "class Clock: ...\n"
    more = {"mosvpp/fleet/__init__.py": fleet, "mosvpp/clock.py": clock}
    before = python_api.read_names(write(tmp_path / "before", FILES | more))
    told = [change.sentence for change in api_changes(before, python_api.read_names(old))]
    assert told == ["`mosvpp.clock.Clock` was removed.", "`mosvpp.fleet` was removed."]
