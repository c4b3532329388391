import logging
import os

from flask import Flask, request

from mosvpp import errors, webhooks
from mosvpp.events import Delivery
from mosvpp.signatures import SharedHeaders

log = logging.getLogger(__name__)
app = Flask(__name__)
verifier = SharedHeaders({"X-API-Key": [os.environ["WEBHOOK_SECRET"]]})


def store(delivery: Delivery) -> None:
    """Replace this: the delivery must survive a power cut, as with mosvpp.receiver it does."""
    with open("deliveries.jsonl", "ab") as file:
        file.write(delivery.to_json().replace("\n", " ").encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def receive(expect: str) -> tuple[str, int]:
    try:
        delivery = webhooks.parse(
            request.get_data(), list(request.headers.items()), verifier=verifier, expect=expect
        )
    except errors.WebhookError as error:
        log.warning("refused: %s", error)  # for you; who has proved nothing is told nothing
        return "", error.status_hint
    store(delivery)
    return "", 200


@app.post("/data-push")
def data_push() -> tuple[str, int]:
    return receive("data_push")


@app.post("/execution-response")
def execution_response() -> tuple[str, int]:
    return receive("execution_response")
