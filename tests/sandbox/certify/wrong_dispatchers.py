"""A dispatcher as somebody might write it in an afternoon, and ways to get it wrong.

    python wrong_dispatchers.py VARIANT

It asks for one event, and ends with 0 when it was told that the event is accepted.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

VARIANT = sys.argv[1]
URL, SITE = os.environ["MOSVPP_BASE_URL"], os.environ["MOSVPP_MOLECULE_ID"]


def main() -> int:
    """The exit code."""
    event, url = asked(), f"{URL}/v1/api/gateway/{SITE}/dr"
    for _ in range(3):
        try:
            status, headers, body = post(url, event)
        except (OSError, http.client.HTTPException):
            if VARIANT != "asks_with_a_new_id":
                return 0 if VARIANT == "believes_any_answer" else 1
            event["event_id"] = str(uuid.uuid4())
            continue
        if status == 429:
            time.sleep(0 if VARIANT == "does_not_wait" else float(headers["Retry-After"]))
        elif status == 307 and VARIANT == "follows_with_its_key":
            url = headers["Location"]
        else:
            return 0 if is_accepted(status, body) else 1
    return 1


def asked() -> dict[str, object]:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    return {
        "event_id": str(uuid.uuid4()),
        "start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end_time": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        "event_type": "discharge",
        "event_quantity": 3.0,
        "event_unit": "mw" if VARIANT == "writes_nonsense" else "kW",
        "priority": 50,
        "mandatory": False,
        "cancelled": False,
    }


def post(url: str, event: dict[str, object]) -> tuple[int, http.client.HTTPMessage, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    headers = {"X-API-Key": os.environ["MOSVPP_API_KEY"], "Content-Type": "application/json"}
    connection.request("POST", parts.path, json.dumps({"mode": "test", "event_slots": [event]}), headers)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def is_accepted(status: int, body: bytes) -> bool:
    if VARIANT in ("believes_any_200", "believes_any_answer"):
        return status == 200
    try:
        return status == 200 and json.loads(body)["status"] == "accepted"
    except (ValueError, KeyError):
        return False


if __name__ == "__main__":
    sys.exit(main())
