"""What a partner sees of the package: names, documentation, and what importing it costs."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

import mosvpp

HEAVY = ("httpx", "httpcore", "anyio", "jsonschema_rs", "asyncio", "ssl")

SHARED_INSIDE = {
    "mosvpp.client": {"Shell", "parse_url", "tls_and_proxy"},
    "mosvpp.errors": {"shown"},
    "mosvpp.signatures": {"aware"},
}


def run(code: str) -> str:
    """What a fresh interpreter prints; the machine's own settings do not matter."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def loaded_by(code: str) -> set[str]:
    return set(run(f"{code}\nimport sys\nprint(*sys.modules)").split())


# --- what importing costs


@pytest.mark.parametrize(
    ("code", "not_loaded"),
    [
        ("import mosvpp", (*HEAVY, "msgspec", "attrs", "mosvpp_api", "mosvpp_events")),
        ("import mosvpp; mosvpp.discharge, mosvpp.kW, mosvpp.slot_time", HEAVY),
        ("import mosvpp; mosvpp.commands.turn_off('1')", HEAVY),
        ("from mosvpp import DispatchReceipt, EventSlot, errors; errors.RuleError", HEAVY),
        ("import mosvpp.webhooks", HEAVY),
        ("import mosvpp.signatures", (*HEAVY, "attrs", "mosvpp_api")),
        ("import mosvpp; mosvpp.webhooks.parse", HEAVY),
        ("from mosvpp import Client", ("jsonschema_rs",)),
    ],
    ids=str,
)
def test_nothing_heavy_is_loaded_before_it_is_needed(code: str, not_loaded: tuple[str, ...]) -> None:
    assert loaded_by(code).isdisjoint(not_loaded)


def test_a_client_loads_httpx_and_the_rules_load_jsonschema() -> None:
    """The positive control."""
    assert {"httpx", "httpcore", "anyio"} <= loaded_by("from mosvpp import Client")
    use = "from mosvpp import rules; rules.faults('DispatchRequest', {})"
    assert "jsonschema_rs" in loaded_by(use)


# --- names


def test_the_list_of_names_is_sorted_complete_and_true() -> None:
    """Sorted as ruff sorts: constants, classes, then the rest."""
    names = list(mosvpp.__all__)
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert set(names) == set(mosvpp._HOMES) | set(mosvpp._MODULES)
    for name in names:
        assert getattr(mosvpp, name) is getattr(mosvpp, name)


@pytest.mark.parametrize("name", sorted(mosvpp._HOMES))
def test_each_name_is_one_of_its_home(name: str) -> None:
    home = importlib.import_module(f"mosvpp.{mosvpp._HOMES[name]}")
    assert getattr(mosvpp, name) is getattr(home, name)
    assert name in home.__all__


def test_the_names_for_type_checkers_are_the_same() -> None:
    """Those under TYPE_CHECKING, since they are written a second time there."""
    tree = ast.parse(Path(mosvpp.__file__).read_text("utf-8"))
    [guarded] = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    imported = {
        alias.name: statement.module
        for statement in guarded.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert {name: home for name, home in imported.items() if home} == mosvpp._HOMES
    assert {name for name, home in imported.items() if not home} == mosvpp._MODULES


def test_a_star_import_brings_all_names() -> None:
    printed = run("from mosvpp import *\nprint(*sorted(name for name in dir() if not name.startswith('_')))")
    assert set(printed.split()) == set(mosvpp.__all__)


def test_dir_shows_all_names_before_they_are_loaded() -> None:
    printed = run("import mosvpp\nprint(*dir(mosvpp))").split()
    assert set(mosvpp.__all__) <= set(printed)
    assert printed == sorted(printed)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        mosvpp.no_such_name  # noqa: B018  to read it is the test
    with pytest.raises(ImportError):
        from mosvpp import no_such_name  # noqa: F401  to import it is the test


# --- documentation


def modules() -> list[ModuleType]:
    """The public modules of the thin core; the packages beside it have tests of their own."""
    names = [info.name for info in pkgutil.iter_modules(mosvpp.__path__) if not info.ispkg]
    public = [name for name in names if not name.startswith("_")]
    homes = set(mosvpp._HOMES.values())
    return [importlib.import_module(f"mosvpp.{name}") for name in sorted({*public, *homes})]


def documented(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """The public functions, classes, methods and properties that a module defines."""
    for name in module.__all__:
        value = getattr(module, name)
        if not (inspect.isclass(value) or inspect.isfunction(value)) or value.__module__ != module.__name__:
            continue
        yield name, value
        for member, inner in vars(value).items() if inspect.isclass(value) else ():
            if member.startswith("_"):
                continue
            inner = getattr(inner, "__func__", inner)  # noqa: PLW2901  classmethod, staticmethod
            if inspect.isfunction(inner) or isinstance(inner, property):
                yield f"{name}.{member}", inner


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_everything_public_is_documented(module: ModuleType) -> None:
    assert module.__doc__
    assert [name for name, value in documented(module) if not inspect.getdoc(value)] == []


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_every_module_lists_what_it_defines(module: ModuleType) -> None:
    """What has no underscore and is defined there is public, and listed, but for what is shared inside."""
    defined = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, TypeVar)
        and getattr(value, "__module__", None) == module.__name__
    }
    assert defined - set(module.__all__) == SHARED_INSIDE.get(module.__name__, set())
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_the_tests_of_documentation_look_at_something() -> None:
    found = {name for module in modules() for name, _ in documented(module)}
    assert {"Client.submit_dispatch", "AsyncClient.resend", "EventSlot.replace", "RuleError"} <= found
    assert len(found) > 100


def test_both_clients_have_the_same_methods_and_arguments() -> None:
    blocking, awaiting = mosvpp.Client, mosvpp.AsyncClient
    for name in ("sync_devices", "submit_dispatch", "cancel_dispatch", "submit_site_command", "resend"):
        one, other = getattr(blocking, name), getattr(awaiting, name)
        assert inspect.signature(one) == inspect.signature(other)
        assert inspect.iscoroutinefunction(other)
        assert not inspect.iscoroutinefunction(one)
    ours, theirs = (inspect.signature(kind.__init__).parameters for kind in (blocking, awaiting))
    assert [*ours] == [*theirs]
    differing = [name for name in ours if str(ours[name]) != str(theirs[name])]
    assert differing == ["transport"]


def test_the_package_is_typed() -> None:
    for name in ("mosvpp", "mosvpp_api", "mosvpp_events"):
        package = importlib.import_module(name)
        assert package.__file__ is not None
        assert Path(package.__file__).with_name("py.typed").exists()
