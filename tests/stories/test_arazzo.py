"""The workflow of the specification, run by Redocly against the sandbox: the runner is not our client."""

from __future__ import annotations

import os
import subprocess
from uuid import uuid4

import _setup
from mosvpp_sandbox import Sandbox

QUIET = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}


def run(vpp: Sandbox, api_key: str) -> tuple[int, str]:
    inputs = {
        "api_key": api_key,
        "molecule_id": vpp.molecule_id,
        "event_id": str(uuid4()),
        "start_time": "2124-01-05T00:00:00Z",
        "end_time": "2124-01-05T01:00:00Z",
        "scmd_id": str(uuid4()),
        "device_id": "20000",
    }
    command = [
        *_setup.node_tools().redocly,
        *("respect", "spec/lifecycle.arazzo.yaml", "--server", f"openapi={vpp.url}/v1/api/gateway"),
        *(part for name, value in inputs.items() for part in ("--input", f"{name}={value}")),
    ]
    done = subprocess.run(
        command,
        cwd=_setup.ROOT,
        env={**os.environ, **QUIET},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_workflow_of_the_specification_runs_against_the_sandbox() -> None:
    """Statuses, media types and bodies are judged by the specification."""
    with Sandbox() as vpp:
        status, said = run(vpp, vpp.api_key)
        assert status == 0, said
        assert [(one.method, one.status) for one in vpp.answered] == [
            ("GET", 200),
            ("POST", 200),
            ("POST", 200),
        ]


def test_the_runner_notices_when_a_step_is_refused() -> None:
    with Sandbox() as vpp:
        status, said = run(vpp, "wrong")
        assert status != 0, said
        assert [one.status for one in vpp.answered] == [401]
