"""Everything that the sandbox writes, in the words of the wire; no other module knows a field that goes out.

The list of devices and the data push follow the pages. The shapes of receipts, execution responses and errors
are inferred: `EVIDENCE` says so for each, and every message carries it in `X-MosVPP-Sandbox-Evidence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any

from mosvpp.errors import RuleError
from mosvpp.times import to_wire
from mosvpp.units import Power

from .events import Event, Verdict
from .physics.device import Device, Metrics

__all__ = [
    "EVIDENCE",
    "EVIDENCE_HEADER",
    "command_receipt",
    "data_push",
    "device_list",
    "dispatch_receipt",
    "execution_response",
    "problem",
    "validation_problem",
]

EVIDENCE_HEADER = "X-MosVPP-Sandbox-Evidence"

# How sure it is that MosVPP's own message looks like ours, and the entry of spec/evidence.yaml that says why.
EVIDENCE = {
    "device_list": "documented (devices.reply)",
    "dispatch_receipt": "inferred (receipt.dispatch_shape)",
    "command_receipt": "inferred (receipt.command_shape)",
    "data_push": "documented (push.body), sample (push.metrics)",
    "execution_response": "inferred (execution.shape)",
    400: "inferred (errors.bad_request)",
    401: "inferred (errors.unauthorized)",
    404: "inferred (errors.not_found)",
    409: "inferred (errors.conflict)",
    500: "inferred (errors.server_error)",
    "problem": "inferred (errors.problem_json)",
}


def device_list(molecule_id: str, devices: Iterable[Device]) -> dict[str, Any]:
    """The answer to device synchronization."""
    listed = []
    for device in devices:
        told: dict[str, Any] = {"device_id": device.device_id, "device_type": device.device_type}
        if device.name is not None:
            told["name"] = device.name
        if device.capabilities is not None:
            told["capabilities"] = list(device.capabilities)
        listed.append(told)
    return {"molecule_id": molecule_id, "devices": listed}


def dispatch_receipt(
    molecule_id: str, request: Mapping[str, Any], verdicts: Sequence[Verdict], now: datetime
) -> dict[str, Any]:
    """The receipt of a dispatch request."""
    return {
        "molecule_id": molecule_id,
        "mode": request["mode"],
        "timestamp": to_wire(now),
        **_together(verdicts, "event"),
        "event_slots": [
            {"event_id": slot["event_id"], "status": verdict.status, "message": verdict.message}
            for slot, verdict in zip(request["event_slots"], verdicts, strict=True)
        ],
    }


def command_receipt(
    molecule_id: str, request: Mapping[str, Any], verdicts: Sequence[Verdict], now: datetime
) -> dict[str, Any]:
    """The receipt of a site command."""
    return {
        "molecule_id": molecule_id,
        "scmd_id": request["scmd_id"],
        "timestamp": to_wire(now),
        **_together(verdicts, "command"),
        "scmd_devices": [
            {"device_id": item["device_id"], "status": verdict.status, "message": verdict.message}
            for item, verdict in zip(request["scmd_devices"], verdicts, strict=True)
        ],
    }


def _together(verdicts: Sequence[Verdict], what: str) -> dict[str, str]:
    taken = sum(verdict.status != "rejected" for verdict in verdicts)
    status = "accepted" if taken == len(verdicts) else "partial" if taken else "rejected"
    of = f"{len(verdicts)} {what}{'' if len(verdicts) == 1 else 's'}"
    return {"status": status, "message": f"{taken} of {of} accepted."}


def data_push(molecule_id: str, at: datetime, metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    """A snapshot of what the devices tell."""
    devices = [{"device_id": device_id, "metrics": dict(told)} for device_id, told in metrics.items()]
    return {"timestamp": to_wire(at), "molecule_id": molecule_id, "devices": devices}


def execution_response(molecule_id: str, mode: str, event: Event, at: datetime) -> dict[str, Any]:
    """What became of one event: the average power that was delivered, in the unit that was asked in."""
    slot: dict[str, Any] = {"event_id": event.event_id, "status": event.state.value, "message": event.message}
    if event.began_at is not None and event.ended_at is not None:
        average = event.average_kw()
        slot |= {
            "start_time": to_wire(event.began_at),
            "end_time": to_wire(event.ended_at),
            "executed_quantity": _in_unit(sum(average.values()), event.unit),
            "event_unit": event.unit,
            "devices": [
                {
                    "device_id": name,
                    "executed_quantity": _in_unit(power, event.unit),
                    "event_unit": event.unit,
                }
                for name, power in average.items()
            ],
        }
    return {
        "molecule_id": molecule_id,
        "mode": mode,
        "timestamp": to_wire(at),
        "status": event.state.value,
        "message": event.message,
        "event_slots": [slot],
    }


def _in_unit(power_kw: float, unit: str) -> float:
    """To a millionth of a watt, which hides the rounding of binary numbers and nothing else."""
    return round(power_kw * 1000 / Power(1, unit).watts, {"w": 6, "kW": 9, "MW": 12}[unit])


def problem(status: int, detail: str, *, path: str, trace_id: str) -> dict[str, Any]:
    """Problem details for an error."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
        "traceId": trace_id,
    }


def validation_problem(faults: Sequence[RuleError], *, path: str, trace_id: str) -> dict[str, Any]:
    """Problem details for a request that breaks rules; `faults` (rule and evidence of each) is ours."""
    errors: dict[str, list[str]] = {}
    for fault in faults:
        errors.setdefault(fault.path, []).append(str(fault.args[0]))
    return {
        **problem(400, "The request does not follow the specification.", path=path, trace_id=trace_id),
        "title": "One or more validation errors occurred.",
        "errors": errors,
        "faults": [
            {"path": fault.path, "rule": fault.rule, "evidence": list(fault.evidence)} for fault in faults
        ],
    }
