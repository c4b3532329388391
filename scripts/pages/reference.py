"""What the site says about the code: the pages of the SDK (by mkdocstrings) and of the command line."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer.main

import python_api
from mosvpp.cli.app import app
from mosvpp.cli.exits import MEANINGS
from mosvpp_sandbox import options as sandbox
from mosvpp_sandbox.certify import command as certify
from mosvpp_sandbox.scenarios import command as scenarios

# Page: title, introduction, and what stands on it. Public names that are not listed come last on the page of
# their module, so that none is missing.
SDK: dict[str, tuple[str, str, list[str]]] = {
    "client": (
        "Client",
        "Calling Molecule: the two clients, and how long they wait and when they try again.",
        [
            *(
                "mosvpp.Client",
                "mosvpp.AsyncClient",
                "mosvpp.Request",
                "mosvpp.RetryPolicy",
                "mosvpp.Timeout",
            ),
            *("mosvpp.clock.Clock", "mosvpp.clock.SystemClock", "mosvpp.CONTRACT_VERSION"),
        ],
    ),
    "dispatch": (
        "Events and power",
        "What to dispatch, as frozen values: events, power with its unit, and instants.",
        [
            *("mosvpp.charge", "mosvpp.discharge", "mosvpp.shed", "mosvpp.restore", "mosvpp.EventSlot"),
            *("mosvpp.Power", "mosvpp.w", "mosvpp.kW", "mosvpp.MW", "mosvpp.slot_time"),
        ],
    ),
    "commands": (
        "Site commands",
        "Commands to single devices. They act at once; no test mode is documented.",
        [
            *("mosvpp.DeviceCommand", "mosvpp.commands.charge", "mosvpp.commands.discharge"),
            *("mosvpp.commands.shed", "mosvpp.commands.restore", "mosvpp.commands.turn_on"),
            *("mosvpp.commands.turn_off", "mosvpp.commands.Action"),
        ],
    ),
    "answers": (
        "Devices and receipts",
        "What Molecule answers, as the client gives it back.",
        [
            *("mosvpp.DeviceList", "mosvpp.Device", "mosvpp.DeviceType", "mosvpp.DispatchReceipt"),
            *("mosvpp.CommandReceipt", "mosvpp.ReceiptItem", "mosvpp.Outcome", "mosvpp.Certainty"),
            *("mosvpp.EventStatus",),
        ],
    ),
    "webhooks": (
        "Webhooks",
        "Reading what Molecule sends, and finding out who sent it.",
        [
            *(
                "mosvpp.webhooks.parse",
                "mosvpp.webhooks.MAX_BYTES",
                "mosvpp.DataPush",
                "mosvpp.ExecutionReport",
            ),
            *("mosvpp.ExecutionResult", "mosvpp.events.DeviceResult", "mosvpp.events.DeviceReading"),
            *("mosvpp.UnknownDelivery", "mosvpp.events.Delivery", "mosvpp.signatures.SharedHeaders"),
            *("mosvpp.signatures.HmacSignature", "mosvpp.signatures.sign", "mosvpp.signatures.Verifier"),
            *("mosvpp.signatures.Headers", "mosvpp.signatures.HeadersLike", "mosvpp.signatures.Secrets"),
        ],
    ),
    "errors": (
        "Errors and surprises",
        "Every error that the SDK raises; causes and remedies are in the [error catalogue](../errors.md).",
        [
            *("mosvpp.errors.MosVPPError", "mosvpp.errors.RuleError", "mosvpp.errors.UnreachableError"),
            *("mosvpp.errors.OutcomeUnknownError", "mosvpp.errors.RejectedError"),
            *(
                "mosvpp.errors.UnexpectedResponseError",
                "mosvpp.errors.StoreError",
                "mosvpp.errors.WebhookError",
            ),
            *("mosvpp.errors.AuthenticationError", "mosvpp.errors.PayloadError", "mosvpp.Drift"),
            *("mosvpp.drift.DriftKind", "mosvpp.drift.OnDrift"),
        ],
    ),
    "receiver": (
        "Receiver",
        "Webhooks stored durably, then handed out. See the [guide](../guides/receiver.md#mount).",
        [
            *("mosvpp.receiver.asgi", "mosvpp.receiver.wsgi", "mosvpp.receiver.lambda_handler"),
            *("mosvpp.receiver.Options", "mosvpp.receiver.PATHS", "mosvpp.receiver.secrets_from_file"),
            *("mosvpp.receiver.Inbox", "mosvpp.receiver.SqlInbox", "mosvpp.receiver.MemoryInbox"),
            *("mosvpp.receiver.HandOut", "mosvpp.receiver.StoredDelivery", "mosvpp.receiver.Filter"),
            *("mosvpp.receiver.deliveries.NewDelivery", "mosvpp.receiver.Backlog", "mosvpp.receiver.Site"),
            *("mosvpp.receiver.Quarantined", "mosvpp.receiver.export_file", "mosvpp.receiver.export_lines"),
            *("mosvpp.receiver.import_lines", "mosvpp.receiver.write_fixtures"),
            *("mosvpp.receiver.forwarding.forward", "mosvpp.receiver.forwarding.Forwarding"),
            *("mosvpp.receiver.forwarding.Forwarded", "mosvpp.receiver.forwarding.progress"),
            "mosvpp.receiver.forwarding.forget",
        ],
    ),
    "fleet": (
        "Fleet",
        "Many sites: plan, send, know, stop, settle. See the [guide](../guides/fleet.md).",
        [
            *("mosvpp.fleet.plan_dispatch", "mosvpp.fleet.Plan", "mosvpp.fleet.Finding"),
            *("mosvpp.fleet.Fleet", "mosvpp.fleet.AsyncFleet", "mosvpp.fleet.Execution"),
            *("mosvpp.fleet.SiteOutcome", "mosvpp.fleet.Stopping", "mosvpp.fleet.Journal"),
            *("mosvpp.fleet.Dispatch", "mosvpp.fleet.State", "mosvpp.fleet.follow", "mosvpp.fleet.Followed"),
            *("mosvpp.fleet.DeviceRegistry", "mosvpp.fleet.SyncReport", "mosvpp.fleet.DeviceChange"),
            *("mosvpp.fleet.SiteRegistry", "mosvpp.fleet.SiteFacts", "mosvpp.fleet.Telemetry"),
            *("mosvpp.fleet.Reading", "mosvpp.fleet.Metrics", "mosvpp.fleet.Metric"),
            *("mosvpp.fleet.settle_event", "mosvpp.fleet.SettledEvent", "mosvpp.fleet.Settlement"),
            "mosvpp.fleet.to_html",
        ],
    ),
    "sandbox": (
        "Sandbox",
        "Plays Molecule on your machine; no official simulator. See the [guide](../guides/sandbox.md).",
        [
            *(
                "mosvpp_sandbox.Sandbox",
                "mosvpp_sandbox.Site",
                "mosvpp_sandbox.Delivery",
                "mosvpp_sandbox.Sent",
            ),
            *("mosvpp_sandbox.SandboxClock", "mosvpp_sandbox.RunningClock", "mosvpp_sandbox.ManualClock"),
            *("mosvpp_sandbox.SiteSpec", "mosvpp_sandbox.Choices", "mosvpp_sandbox.Fault"),
            *("mosvpp_sandbox.Retries", "mosvpp_sandbox.Control", "mosvpp_sandbox.Answered"),
            *("mosvpp_sandbox.Webhook", "mosvpp_sandbox.WebhookBuilder"),
        ],
    ),
}

# The programs of the sandbox by their anchors: what each may be given.
_SANDBOX = {
    "sandbox": sandbox.parser,
    "sandbox-run": scenarios.parser,
    "sandbox-certify": certify.parser,
}
_LAST = {
    "mosvpp": "client",
    "mosvpp.commands": "commands",
    "mosvpp.errors": "errors",
    "mosvpp.fleet": "fleet",
    "mosvpp.receiver": "receiver",
    "mosvpp.signatures": "webhooks",
    "mosvpp.webhooks": "webhooks",
    "mosvpp_sandbox": "sandbox",
}


def public_names() -> list[str]:
    """Every name that a partner may import, by the path that the documentation uses."""
    names = []
    for package in python_api.PACKAGES:
        for name in import_module(package).__all__:
            value = getattr(import_module(package), name)
            if inspect.ismodule(value):
                names += [f"{package}.{name}.{inner}" for inner in value.__all__]
            else:
                names.append(f"{package}.{name}")
    return [
        name for name in names if name != "mosvpp.commands.DeviceCommand"
    ]  # on its page as mosvpp.DeviceCommand


def public(path: str) -> Any:
    """What a public name stands for."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def sdk_pages() -> list[tuple[str, str, str]]:
    """Name, title and Markdown of each page; mkdocstrings fills it in."""
    listed = {item for _, _, items in SDK.values() for item in items}
    others: dict[str, list[str]] = {}
    for path in public_names():
        if path not in listed:
            others.setdefault(_LAST.get(path.rpartition(".")[0], "client"), []).append(path)
    pages = []
    for name, (title, text, items) in SDK.items():
        directives = [f"::: {item}\n" for item in [*items, *others.get(name, [])]]
        pages.append((name, title, "\n".join([f"# {title} {{ #sdk-{name} }}", "", text, "", *directives])))
    return pages


def cli_page() -> str:
    """The commands with their arguments and options, as the program itself has them."""
    program: Any = typer.main.get_command(app)
    lines = [
        "# Command line { #cli }",
        "",
        "`mosvpp` (or `python -m mosvpp`) comes with the extra `cli`: `pip install 'mosvpp[cli]'`.",
        "Every command takes `--help`, and `--json` for scripts.",
        "Commands that move real devices need `--live` and a confirmation.",
        "The [sandbox](#sandbox) has programs of its own.",
        "",
        "## Exit codes { #exit-codes }",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{int(code)}` | {meaning} |" for code, meaning in MEANINGS.items()),
        "",
    ]
    for name, command in _commands(program):
        lines += _command(name, command)
    for name, parser in _SANDBOX.items():
        lines += _sandbox_program(name, parser())
    return "\n".join(lines) + "\n"


def command_names() -> list[str]:
    """The commands of the program."""
    program: Any = typer.main.get_command(app)
    return [name.replace(" ", "-") for name, _ in _commands(program)] + list(_SANDBOX)


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its name, those of a group as `inbox list`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> list[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    usage = " ".join(["mosvpp", name, *(_placeholder(argument) for argument in arguments), "[OPTIONS]"])
    lines = [
        f"## `mosvpp {name}` {{ #{name.replace(' ', '-')} }}",
        "",
        inspect.cleandoc(command.help or ""),
        "",
        "```sh",
        usage,
        "```",
        "",
    ]
    lines += ["| argument or option | meaning |", "|---|---|"]
    for argument in arguments:
        lines.append(f"| `{_placeholder(argument)}`{_anchor(name, argument)} | {_help(argument)} |")
    for option in options:
        spelled = ", ".join(f"`{spelling}`" for spelling in [*option.opts, *option.secondary_opts])
        metavar = "" if option.is_flag else f" `{_placeholder(option)}`"
        lines.append(f"| {spelled}{metavar}{_anchor(name, option)} | {_help(option)} |")
    return [*lines, ""]


def _sandbox_program(name: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = [f"## `{parser.prog}` {{ #{name} }}", "", parser.description or "", ""]
    lines += ["| argument or option | meaning |", "|---|---|"]
    for action in parser._actions:  # noqa: SLF001  argparse tells its options no other way
        if action.dest == "help":
            continue
        value = f"`{action.metavar or action.dest.upper()}`" if action.nargs != 0 else ""
        spelled = ", ".join(f"`{option}`" for option in action.option_strings)
        words = (action.help or "") % {**vars(action), "prog": parser.prog}
        anchor = f'<span id="{name}.{action.dest}"></span>'
        lines.append(f"| {spelled} {value}{anchor} | {_in_a_cell(words)} |")
    return [*lines, ""]


def _placeholder(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _anchor(command: str, parameter: Any) -> str:
    return f'<span id="{command.replace(" ", "-")}.{parameter.name}"></span>'


def _help(parameter: Any) -> str:
    words = _in_a_cell(getattr(parameter, "help", None) or "")
    variable = getattr(parameter, "envvar", None)
    return words + (f" Environment: `{variable}`." if variable else "")


def _in_a_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
