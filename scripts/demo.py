"""Run the six steps of the MosVPP lifecycle over real HTTP on this machine, and tell what happens.

python3 scripts/demo.py            for people
python3 scripts/demo.py --json     one object: {"steps": [{"name": …, "ok": …, …}, …]}

Molecule is played by the sandbox of this repository, and the partner's two endpoints by a small server below.
Both listen on free ports of loopback, and nothing else is ever called. Exit status 1 if a step fails.
"""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a quiet end, until main() has something to clear up

import _setup

if __name__ == "__main__":
    _setup.ensure("run")

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Literal, NoReturn, Self

from _demo_report import Details, Report, Step
from mosvpp import Client, EventStatus, commands, discharge, kW, webhooks
from mosvpp.errors import MosVPPError, WebhookError
from mosvpp.signatures import SharedHeaders
from mosvpp_sandbox import ManualClock, Sandbox

EXECUTION, DATA = "/execution-response", "/data-push"
LEAD, DURATION = timedelta(minutes=5), timedelta(hours=1)
KINDS: dict[str, Literal["data_push", "execution_response"]] = {
    EXECUTION: "execution_response",
    DATA: "data_push",
}
PUSH_EVERY = timedelta(minutes=15)
TELEMETRY_AFTER = timedelta(minutes=10)  # the fifth push, 75 minutes after the start
NOT_REACHED = {"error": "not reached"}


STEPS = [
    Step(
        "sync_devices",
        "Device synchronization",
        {"lifecycle.device_sync": "documented", "devices.reply": "documented"},
    ),
    Step(
        "submit_dispatch",
        "Dispatch request",
        {"lifecycle.dispatch_request": "documented", "dispatch.event_slots": "documented"},
    ),
    Step("receipt", "Receipt", {"lifecycle.receipt": "documented", "receipt.dispatch_shape": "inferred"}),
    Step(
        "receive_execution_response",
        "Execution response",
        {"lifecycle.execution_response": "documented", "execution.shape": "inferred"},
    ),
    Step(
        "receive_data_push",
        "Real-time data push",
        {"lifecycle.data_push": "documented", "push.body": "documented", "push.metrics": "sample"},
    ),
    Step(
        "submit_site_command",
        "Site command",
        {
            "lifecycle.site_commands": "documented",
            "command.scmd_devices": "documented",
            "receipt.command_shape": "inferred",
        },
    ),
]


class StepError(Exception):
    """A step did not go as it should; the message says how."""


class Partner:
    """The partner's two endpoints: each delivery is verified and read, then answered."""

    def __init__(self, secret: str) -> None:
        self.received: list[tuple[str, int, Any]] = []
        self._verifier = SharedHeaders({"X-API-Key": secret})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        self._server.partner = self  # type: ignore[attr-defined]  # where each Endpoint finds it
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def receive(self, path: str, headers: list[tuple[str, str]], body: bytes) -> int:
        """Take a delivery; returns the status to answer."""
        try:
            read: Any = webhooks.parse(body, headers, verifier=self._verifier, expect=KINDS.get(path))
            status = 200
        except WebhookError as error:
            read, status = error, error.status_hint
        self.received.append((path, status, read))
        return status

    def latest(self, path: str) -> tuple[int, Any]:
        """Status and content of the newest delivery to a path."""
        found = [(status, read) for where, status, read in self.received if where == path]
        if not found:
            raise StepError(f"nothing arrived at {path}")
        status, read = found[-1]
        if status != 200:
            raise StepError(f"a delivery to {path} was answered {status}: {read}")
        return status, read

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Endpoint(BaseHTTPRequestHandler):
    """One request to the partner's server."""

    def do_POST(self) -> None:
        """Hand the raw bytes to the partner, and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        partner: Partner = self.server.partner  # type: ignore[attr-defined]  # Partner puts it there
        self.send_response(partner.receive(self.path, self.headers.items(), body))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the report tells what arrived."""


class Lifecycle:
    """The six steps, by the names that they have in the specification."""

    def __init__(
        self, vpp: Sandbox, client: Client, partner: Partner, pass_time: Callable[[timedelta], None]
    ) -> None:
        self._vpp = vpp
        self._client = client
        self._partner = partner
        self._pass_time = pass_time
        self._site = vpp.molecule_id

    def take(self, name: str) -> Details:
        """Take one step and tell of it, or of the error that it ended with."""
        try:
            details: Details = getattr(self, name)()
        except (MosVPPError, StepError, TimeoutError) as error:
            return {"error": str(error) or type(error).__name__}
        return details

    def sync_devices(self) -> Details:
        """Learn what is installed at the site."""
        self._devices = self._client.sync_devices(self._site)
        listed = [
            {
                "device_id": device.device_id,
                "name": device.name,
                "device_type": device.device_type.name,
                "capabilities": list(device.capabilities or ()),
            }
            for device in self._devices
        ]
        return {**self._call(), "devices": listed}

    def submit_dispatch(self) -> Details:
        """Ask for 5 kW, for an hour."""
        self._slot = discharge(5 * kW, start=self._vpp.now() + LEAD, duration=DURATION, priority=10)
        self._receipt = self._client.submit_dispatch(self._site, self._slot, mode="live")
        return {
            **self._call(),
            "event_id": self._slot.event_id,
            "event_type": self._slot.event_type.value,
            "asked_kw": self._slot.power.kilowatts if self._slot.power else 0.0,
            "start": self._slot.start.isoformat(),
            "end": self._slot.end.isoformat(),
            "mode": self._receipt.mode.value,
        }

    def receipt(self) -> Details:
        """Look at the answer to that request."""
        if not self._receipt.is_accepted:
            raise StepError(f"the receipt says {self._receipt.outcome}")
        item = self._receipt.item(self._slot.event_id)
        return {
            "status": self._receipt.raw.status,
            "event_id": item.item_id,
            "outcome": item.outcome.value,
            "certainty": self._receipt.certainty.value,
            "message": item.message,
        }

    def receive_execution_response(self) -> Details:
        """Let the hour pass, and hear what became of it."""
        wait = LEAD + DURATION
        self._pass_time(wait)
        status, report = self._partner.latest(EXECUTION)
        result = report.result(self._slot.event_id)
        if result.status is not EventStatus.COMPLETED or result.executed_power is None:
            raise StepError(f"the event ended as {result.status}: {result.message}")
        return {
            "method": "POST",
            "path": EXECUTION,
            "status": status,
            "event_id": result.event_id,
            "event_status": result.status.value,
            "asked_kw": self._slot.power.kilowatts if self._slot.power else 0.0,
            "simulated_minutes": wait // timedelta(minutes=1),
            "delivered_kw": result.executed_power.kilowatts,
            "start": result.started_at.isoformat() if result.started_at else None,
            "end": result.ended_at.isoformat() if result.ended_at else None,
        }

    def receive_data_push(self) -> Details:
        """Look at the telemetry that came meanwhile."""
        status, push = self._partner.latest(DATA)
        count = sum(path == DATA for path, _, _ in self._partner.received)
        return {
            "method": "POST",
            "path": DATA,
            "status": status,
            "count": count,
            "timestamp": push.timestamp.isoformat(),
            "metrics": {device.device_id: device.metrics for device in push.devices},
        }

    def submit_site_command(self) -> Details:
        """Command two devices, and see by the telemetry that they obeyed."""
        relay = next(device for device in self._devices if device.can("off"))
        battery = next(device for device in self._devices if device.can("charge"))
        orders = [commands.turn_off(relay.device_id), commands.charge(battery.device_id, 2 * kW)]
        receipt = self._client.submit_site_command(self._site, orders, duration=PUSH_EVERY)
        if not receipt.is_accepted:
            raise StepError(f"the receipt says {receipt.outcome}")
        details = self._call()
        self._pass_time(TELEMETRY_AFTER)
        _, push = self._partner.latest(DATA)
        state = push.metric(relay.device_id, "relay_state")
        if state != "open":  # only telemetry can tell (unknown.command_confirmation)
            raise StepError(f"the relay was switched off, but tells that it is {state}")
        return {
            **details,
            "scmd_id": receipt.scmd_id,
            "outcome": receipt.outcome.value,
            "commands": [
                {
                    "device_id": order.device_id,
                    "action": order.action,
                    "power_kw": order.power.kilowatts if order.power else None,
                }
                for order in receipt.commands
            ],
            "duration_s": receipt.duration_s,
            "simulated_minutes": TELEMETRY_AFTER // timedelta(minutes=1),
            "telemetry": {
                "relay_state": state,
                "power_output": push.metric(battery.device_id, "power_output"),
            },
        }

    def _call(self) -> Details:
        """The latest call as the sandbox saw it."""
        seen = self._vpp.answered[-1]
        return {"method": seen.method, "path": seen.path, "status": seen.status}


def run(report: Report) -> list[Details]:
    """Go through the steps; after one that failed, none is reached any more."""
    secret = secrets.token_urlsafe(16)
    clock = ManualClock(datetime.now(UTC).replace(second=0, microsecond=0))
    with ExitStack() as stack:
        partner = stack.enter_context(Partner(secret))
        vpp = stack.enter_context(
            Sandbox(
                api_key=secrets.token_urlsafe(16),
                data_push_url=partner.url + DATA,
                execution_response_url=partner.url + EXECUTION,
                headers={"X-API-Key": secret},
                clock=clock,
                push_every=PUSH_EVERY,
            )
        )
        # Live dispatch and site commands need arming; this client can reach nothing but the sandbox above.
        client = stack.enter_context(Client(vpp.api_key, base_url=vpp.url, allow_live=True))
        report.begin(vpp.url, partner.url, vpp.molecule_id)

        def pass_time(by: timedelta) -> None:
            for part in report.passing(by):
                clock.advance(part)
                vpp.flush()

        lifecycle = Lifecycle(vpp, client, partner, pass_time)
        results: list[Details] = []
        for number, step in enumerate(STEPS, 1):
            details = lifecycle.take(step.name) if all(done["ok"] for done in results) else NOT_REACHED
            results.append(
                {"name": step.name, "ok": "error" not in details, "evidence": step.evidence, **details}
            )
            report.step(number, step, details)
    return results


def main() -> int:
    """Run and report; 0 when all six steps are done, else 1."""
    signal.signal(signal.SIGINT, interrupted)
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n", maxsplit=1)[0])
    parser.add_argument("--json", action="store_true", help="print one object and nothing else")
    report = Report(quiet=parser.parse_args().json)
    began = time.monotonic()
    results = run(report)
    done = all(step["ok"] for step in results)
    if report.quiet:
        print(json.dumps({"steps": results}), flush=True)
    else:
        report.end(done, time.monotonic() - began)
    return 0 if done else 1


def interrupted(*_: object) -> NoReturn:
    """Stop, and let a second Ctrl-C not disturb the clearing up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stderr.write("\nstopped\n")
        sys.exit(130)
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
