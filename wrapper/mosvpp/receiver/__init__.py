"""A durable endpoint for what Molecule sends: stored, answered with 200, then handled (extra `receiver`).

    inbox = SqlInbox("sqlite:///inbox.db")                     # or postgresql://…
    app = FastAPI(lifespan=inbox.lifespan)
    app.mount("/mosvpp", receiver.asgi(inbox, verifier=SharedHeaders({"X-API-Key": read_keys})))

    @inbox.handler(ExecutionReport)
    async def settle(report, delivery): ...

Molecule documents no redelivery, so what is acknowledged and lost is gone. Here nothing is acknowledged
before it is on disk, and what is stored is handed out until it is done: at least once, with a key that
stays the same.

    inbox, sql_inbox, policies     where deliveries are, and the rules by which they are handed out
    deliveries                     what is stored
    asgi, wsgi, lambda_handler     ways to mount it; what they decide is in _handle, without input or output
    rotation, addresses            secrets that change, and whom proxies speak for
    metrics, tracing, logs         what operators see; redaction keeps secrets out of it
    fixtures                       shapes that we do not know, as examples without what is private
"""

from __future__ import annotations

from ._asgi import AsgiReceiver, asgi
from ._handle import PATHS, Options
from ._inspection import Backlog, Silence, Site
from ._interchange import export_file, export_lines, import_lines
from ._lambda import LambdaHandler, lambda_handler
from ._quarantine import Quarantined
from ._wsgi import WsgiReceiver, wsgi
from .deliveries import Filter, StoredDelivery
from .fixtures import write_fixtures
from .inbox import Inbox
from .policies import HandOut
from .rotation import secrets_from_file
from .sql_inbox import MemoryInbox, SqlInbox

__all__ = [
    "PATHS",
    "AsgiReceiver",
    "Backlog",
    "Filter",
    "HandOut",
    "Inbox",
    "LambdaHandler",
    "MemoryInbox",
    "Options",
    "Quarantined",
    "Silence",
    "Site",
    "SqlInbox",
    "StoredDelivery",
    "WsgiReceiver",
    "asgi",
    "export_file",
    "export_lines",
    "import_lines",
    "lambda_handler",
    "secrets_from_file",
    "write_fixtures",
    "wsgi",
]
