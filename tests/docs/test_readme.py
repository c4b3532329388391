"""What the README shows runs as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from pages.contents import GUIDES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = ROOT / "spec" / "examples"


def block(heading: str) -> str:
    """The Python block under a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found, heading
    return found[1]


def test_the_first_program_runs_and_ends_with_a_cancelled_dispatch(tmp_path: Path) -> None:
    program = tmp_path / "first.py"
    program.write_text(block("First dispatch"), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("20000 BATTERY_INVERTER")
    assert [line.split()[0] for line in lines[-2:]] == ["accepted", "accepted"]


def receiver() -> Any:
    """The FastAPI application that the README shows."""
    names: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(block("Receive webhooks"), "README.md", "exec", dont_inherit=True), names)
    return names["app"]


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        ("the current secret", None, 200),
        ("the previous one", None, 200),
        ("another one", None, 401),
        ("the current secret", b"{", 400),
    ],
)
def test_the_receiver_answers_as_it_should(
    key: str, body: bytes | None, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sent = (
        (EXAMPLES / "receive_execution_response.event.envelope.json").read_bytes() if body is None else body
    )

    async def post() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(receiver()), base_url="http://localhost"
        ) as client:
            return await client.post("/execution-response", content=sent, headers={"X-API-Key": key})

    assert anyio.run(post).status_code == status
    assert ("ExecutionReport" in capsys.readouterr().out) == (status == 200)


def test_every_operation_stands_in_the_table() -> None:
    table = README.split("\n## Four APIs, five operations\n", 1)[1].split("\n## ", 1)[0]
    assert set(re.findall(r"`(\w+_\w+)`", table)) >= {
        "sync_devices",
        "submit_dispatch",
        "submit_site_command",
        "receive_execution_response",
        "receive_data_push",
    }


def test_every_guide_can_be_found() -> None:
    guides = {f"spec/docs/guides/{name}.md" for name in GUIDES}
    linked = set(re.findall(r"\]\(([^)#]+)\)", README))
    assert guides <= linked


def test_every_link_leads_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
