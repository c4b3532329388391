"""`mosvpp doctor`: what keeps this machine from MosVPP, told apart step by step, with a remedy for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mosvpp.errors import RuleError
from mosvpp.retry import RetryPolicy

from . import options
from .arguments import COMMAND_LINE, Secret
from .checks import Check, State, failed, ok, skipped, warning
from .exits import Exit
from .terminal import Terminal, plain

if TYPE_CHECKING:
    from .connection import Connection
    from .network_checks import Target

__all__ = ["doctor"]

_NO_KEY = Secret("none", "nowhere")  # to check the other options before the key


def doctor(
    site: options.Site,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 10.0,
    as_json: options.Json = False,
) -> None:
    """Find out what keeps you from MosVPP: configuration, DNS, TCP, TLS, allowlist, key, site, clock.

    Asks once for the devices of the site, which changes nothing. --timeout holds for each step.
    """
    from .connection import Connection

    terminal = Terminal(as_json=as_json)
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    terminal.show(f"Can {plain(site)} be reached at {plain(connection.base_url)}?")
    checks = []
    for check in _checks(connection, site):
        checks.append(check)
        if check.state is not State.SKIPPED:
            terminal.show(check.as_row())
    for why, names in _skipped(checks).items():
        terminal.show(skipped(names, why).as_row())
    bad = [check.name for check in checks if check.state is State.FAILED]
    terminal.show("")
    if bad:
        terminal.show(f"No: {', '.join(bad)}.", style="bold red")
    else:
        terminal.show("Yes.", style="bold green")
    terminal.finish(
        Exit.NO if bad else Exit.OK,
        molecule_id=site,
        base_url=connection.base_url,
        checks=[check.as_object() for check in checks],
    )


def _skipped(checks: list[Check]) -> dict[str, str]:
    """Why something was not looked at, and the names of all that were not for this reason."""
    names: dict[str, list[str]] = {}
    for check in checks:
        if check.state is State.SKIPPED:
            names.setdefault(check.found, []).append(check.name)
    return {why: ", ".join(together) for why, together in names.items()}


def _checks(connection: Connection, site: str) -> Iterator[Check]:
    from . import answer_checks, network_checks

    configuration, target = _configuration(connection, site)
    yield configuration
    if target is None:
        yield from _rest("the options come first", "dns", "tcp", "tls", *answer_checks.NAMES)
        return
    check, addresses = network_checks.check_dns(target)
    yield check
    if not addresses:
        yield from _rest("there is no address", "tcp", "tls", *answer_checks.NAMES)
        return
    check, address = network_checks.check_tcp(target, addresses)
    yield check
    if address is None:
        yield from _rest("there is no connection", "tls", *answer_checks.NAMES)
        return
    check = (
        network_checks.check_tls(target, address, connection.trust())
        if connection.base_url.lower().startswith("https:")
        else skipped("tls", "not used with http://")
    )
    yield check
    if check.state is State.FAILED:
        yield from _rest("no key is sent without TLS", *answer_checks.NAMES)
    elif configuration.state is State.FAILED:
        yield from _rest("the configuration comes first", *answer_checks.NAMES)
    else:
        with connection.client(retry=RetryPolicy(attempts=1)) as client:
            leaving = network_checks.leaving_from(address)
            yield from answer_checks.check_answer(
                client, site, leaving=leaving, api_version=connection.api_version
            )


def _rest(why: str, *names: str) -> Iterator[Check]:
    return (skipped(name, why) for name in names)


def _configuration(connection: Connection, site: str) -> tuple[Check, Target | None]:
    """Whether the options make sense, and the host that they name, if they do."""
    try:
        with connection.client(key=_NO_KEY) as client:
            client.check_site(site)
    except RuleError as error:
        check = failed("configuration", error.args[0], f"mend {error.path}", evidence=error.evidence)
        is_site = error.path == "SITE"
        return check, _target(connection) if is_site else None
    try:
        key = connection.key()
    except RuleError as error:
        return failed("configuration", error.args[0], evidence=error.evidence), _target(connection)
    found = f"key from the {key.source}, version {connection.api_version}"
    if connection.base_url.lower().startswith("https:") and (proxy := _proxy_variable()):
        found += f"; {proxy} is set, but the SDK uses a proxy only when told to in code"
    if key.source == COMMAND_LINE:
        remedy = (
            "others on this machine can read it there: use --api-key @FILE or the variable MOSVPP_API_KEY"
        )
        return warning("configuration", found, remedy), _target(connection)
    return ok("configuration", found), _target(connection)


def _target(connection: Connection) -> Target:
    from .network_checks import Target

    url = urlsplit(connection.base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    return Target(host=url.hostname or "", port=port, timeout=connection.timeout)


def _proxy_variable() -> str | None:
    names = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    return next((name for name in names if os.environ.get(name)), None)
