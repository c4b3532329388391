"""What the command says about itself, and that it starts quickly and without its extra."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import typer

from mosvpp.cli.app import app
from mosvpp.cli.exits import MEANINGS, Exit

PROGRAM: Any = typer.main.get_command(app)
SENDING = ["cancel", "command", "devices", "dispatch", "doctor", "resend"]
GROUPS = {name: group.commands for name, group in PROGRAM.commands.items() if hasattr(group, "commands")}
COMMANDS = [name for name in PROGRAM.commands if name not in GROUPS]
COMMANDS += [f"{name} {inner}" for name, commands in GROUPS.items() for inner in commands]


def command_of(name: str) -> Any:
    group, _, inner = name.partition(" ")
    return GROUPS[group][inner] if inner else PROGRAM.commands[group]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_commands_are_these() -> None:
    assert {*SENDING, "verify", "inbox silent"} <= set(COMMANDS)
    assert set(GROUPS) >= {"inbox"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_argument_and_option_is_documented(name: str) -> None:
    command = command_of(name)
    assert command.help
    assert command.help.strip().splitlines()[0].endswith(".")
    assert command.params
    undocumented = [param.name for param in command.params if not (param.help or "").strip()]
    assert undocumented == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_json(name: str) -> None:
    assert "--json" in {option for param in command_of(name).params for option in param.opts}


@pytest.mark.parametrize("name", SENDING)
def test_every_command_that_connects_takes_the_same_options(name: str) -> None:
    options = {option for param in command_of(name).params for option in param.opts}
    assert {"--base-url", "--api-version", "--api-key", "--ca-file", "--timeout"} <= options


@pytest.mark.parametrize("command", [[], *([name] for name in GROUPS), *(name.split() for name in COMMANDS)])
def test_help_fits_and_tells_every_exit_code(run: Callable[..., Any], command: list[str]) -> None:
    ran = run(*command, "--help")
    assert ran.code == 0
    assert all(len(line) <= 80 for line in ran.out.splitlines())
    for code in Exit:
        assert re.search(rf"│ +{code.value}  {re.escape(MEANINGS[code][:20])}", ran.out)


def test_no_command_shows_the_help(run: Callable[..., Any]) -> None:
    ran = run()
    assert ran.code == Exit.NOT_SENT
    assert "Usage: mosvpp" in ran.out
    assert ran.err == ""


def test_a_misspelt_command_is_told_with_a_suggestion(run: Callable[..., Any]) -> None:
    ran = run("dispach")
    assert ran.code == Exit.NOT_SENT
    assert "Did you mean 'dispatch'?" in ran.err
    assert "mosvpp --help" in ran.err


def test_a_missing_option_points_to_the_help_of_its_command(run: Callable[..., Any], site: str) -> None:
    ran = run("dispatch", site)
    assert ran.code == Exit.NOT_SENT
    assert "mosvpp dispatch --help" in ran.err


def test_wrong_usage_is_one_object_with_json(run: Callable[..., Any]) -> None:
    ran = run("devices", "--json")
    assert ran.code == Exit.NOT_SENT
    assert ran.err == ""
    assert ran.json["ok"] is False
    assert ran.json["exit_code"] == Exit.NOT_SENT
    assert ran.json["error"]["kind"] == "UsageError"


def test_the_version_is_told_without_loading_what_is_slow() -> None:
    done = run_python(
        "import sys; sys.argv = ['mosvpp', '--version']\n"
        "from mosvpp.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "slow = {'httpx', 'rich.console', 'jsonschema_rs', 'attrs', 'mosvpp.client'} & sys.modules.keys()\n"
        "assert not slow, slow"
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"mosvpp \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_it_says_in_one_sentence_what_to_install(missing: str) -> None:
    done = run_python(
        f"import sys; sys.modules[{missing!r}] = None\nfrom mosvpp.__main__ import main\nmain()"
    )
    assert done.returncode == Exit.NOT_SENT
    assert done.stdout == ""
    assert done.stderr == "The mosvpp command needs the extra `cli`: pip install 'mosvpp[cli]'\n"


def test_a_key_pressed_while_it_starts_ends_it_quietly() -> None:
    done = run_python(
        "import sys\n"
        "class Pressed:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'mosvpp.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "from mosvpp.__main__ import main\nmain()"
    )
    assert done.returncode == Exit.INTERRUPTED
    assert done.stderr == ""


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mosvpp", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("mosvpp ")


def test_shells_can_complete_commands_and_options() -> None:
    def completed(words: str) -> list[str]:
        environment = {
            "_MOSVPP_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        code = f"import os; os.environ.update({environment!r}); from mosvpp.__main__ import main; main()"
        return run_python(code).stdout.split()

    assert completed("mosvpp dis") == ["dispatch"]
    assert completed("mosvpp dispatch --dur") == ["--duration"]


def test_a_fault_in_the_program_is_one_sentence(
    run: Callable[..., Any], site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No input is known to cause one, so the fault is made here."""
    from mosvpp.cli import connection

    monkeypatch.setattr(connection.Connection, "trust", lambda _: 1 / 0)
    ran = run("devices", site)
    assert ran.code == Exit.BUG
    assert "a fault in this program: ZeroDivisionError" in ran.words
    assert run("devices", site, "--json").json["error"]["kind"] == "Bug"


def test_a_fault_in_the_program_can_be_traced(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from mosvpp.cli import connection

    monkeypatch.setattr(connection.Connection, "trust", lambda _: 1 / 0)
    monkeypatch.setenv("MOSVPP_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        app(["devices", site], prog_name="mosvpp")
