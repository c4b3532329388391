"""Serve the site together with a sandbox, under one origin, so that the console may call it."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import uvicorn
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from mosvpp_sandbox import Sandbox

GATEWAY = "/v1/api/gateway/"


def application(site: Path, vpp: Sandbox) -> ASGIApp:
    """The paths of the gateway go to the sandbox, all others to the site."""
    pages = StaticFiles(directory=site, html=True)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        chosen: ASGIApp = vpp.app if scope.get("path", "").startswith(GATEWAY) else pages
        await chosen(scope, receive, send)

    return answer


def forever(site: Path, port: int) -> None:
    """Until Ctrl-C."""
    with Sandbox() as vpp, socket.create_server(("127.0.0.1", port)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        print(f"{address}/  and the console: {address}/console/openapi.html\nCtrl-C ends it.", flush=True)
        config = uvicorn.Config(application(site, vpp), log_level="warning", lifespan="off")
        asyncio.run(uvicorn.Server(config).serve([listening]))
