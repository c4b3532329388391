import base64
import logging
import os
from typing import Any

from mosvpp import errors, webhooks
from mosvpp.events import Delivery
from mosvpp.signatures import SharedHeaders

log = logging.getLogger(__name__)
verifier = SharedHeaders({"X-API-Key": [os.environ["WEBHOOK_SECRET"]]})
KINDS = {"/data-push": "data_push", "/execution-response": "execution_response"}


def store(delivery: Delivery) -> None:
    """Replace this: mosvpp.receiver.lambda_handler stores to PostgreSQL. A file must outlive the function."""
    with open(os.environ["DELIVERIES"], "ab") as file:
        file.write(delivery.to_json().replace("\n", " ").encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """For an HTTP API of API Gateway, or a function URL (payload format 2.0)."""
    kind = KINDS.get(event["rawPath"])
    if kind is None:
        return {"statusCode": 404}
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    try:
        delivery = webhooks.parse(raw, event["headers"], verifier=verifier, expect=kind)
    except errors.WebhookError as error:
        log.warning("refused: %s", error)  # for you; who has proved nothing is told nothing
        return {"statusCode": error.status_hint}
    store(delivery)
    return {"statusCode": 200}
