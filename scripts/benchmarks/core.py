"""The thin core: taking a delivery in, submitting a dispatch, importing; against libraries that one knows."""

from __future__ import annotations

import gc
import hmac
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from _setup import ROOT

from .measured import Goal, Measured

EXAMPLES = ROOT / "spec" / "examples"
SECRET = "whsec_" + b64encode(b"k" * 32).decode()
KEY = "a key of the partner"
SITE = "fecd0001c031e7e8"

GOALS: dict[str, Goal] = {
    "parse_hmac_vs_floor": Goal("at most", 2.5),
    "parse_headers_vs_floor": Goal("at most", 4.0),
    "svix_vs_parse_hmac": Goal("at least", 1.0),
    "standardwebhooks_vs_parse_hmac": Goal("at least", 1.0),
    "stripe_vs_parse_hmac": Goal("at least", 15.0),
    "submit_one_slot_vs_httpx": Goal("at most", 1.5),
    "submit_1000_slots_vs_json": Goal("at most", 4.0),
    "import_mosvpp_vs_httpx": Goal("at most", 0.6),
    "import_webhooks_vs_httpx": Goal("at most", 0.6),
}


def medians(rounds: int, **candidates: Callable[[], object]) -> dict[str, float]:
    """Seconds a call, for each candidate: the median over rounds in which they take turns."""
    loops = {}
    for name, function in candidates.items():
        function()
        start = time.perf_counter()
        function()
        loops[name] = max(1, int(0.003 / max(time.perf_counter() - start, 1e-7)))
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    gc.disable()
    try:
        for _ in range(rounds):
            for name, function in candidates.items():
                start = time.perf_counter()
                for _ in range(loops[name]):
                    function()
                seen[name].append((time.perf_counter() - start) / loops[name])
            gc.collect()
    finally:
        gc.enable()
    return {name: statistics.median(times) for name, times in seen.items()}


def bench_parse(rounds: int) -> dict[str, float]:
    """Taking in one data push, from bytes and headers to a typed event."""
    import msgspec
    import standardwebhooks
    import stripe
    import svix

    from mosvpp import webhooks
    from mosvpp.signatures import HmacSignature, SharedHeaders, sign
    from mosvpp_events import DataPushPayload

    body = (EXAMPLES / "receive_data_push.event.page_sample.json").read_bytes()
    now = datetime.now(UTC)
    signed = {
        "content-type": "application/json",
        **sign(body, secret=SECRET, message_id="msg_1", timestamp=now),
    }
    shared = {"content-type": "application/json", "x-api-key": KEY}
    hmac_verifier, header_verifier = HmacSignature([SECRET]), SharedHeaders({"X-API-Key": KEY})

    decoder = msgspec.json.Decoder(DataPushPayload)
    key, message = b"k" * 32, f"msg_1.{int(now.timestamp())}.".encode() + body
    expected = hmac.digest(key, message, "sha256")
    known = KEY.encode()

    def floor_hmac() -> object:
        assert hmac.compare_digest(hmac.digest(key, message, "sha256"), expected)
        return decoder.decode(body)

    def floor_headers() -> object:
        assert hmac.compare_digest(known, KEY.encode())
        return decoder.decode(body)

    svix_headers = {name.replace("webhook-", "svix-"): value for name, value in signed.items()}
    svix_verifier, standard = svix.Webhook(SECRET), standardwebhooks.Webhook(SECRET)
    stamp = int(time.time())
    stripe_secret = "whsec_stripe"  # noqa: S105  signs nothing but this
    digest = hmac.digest(stripe_secret.encode(), f"{stamp}.".encode() + body, "sha256").hex()
    stripe_header = f"t={stamp},v1={digest}"
    text = body.decode()

    times = medians(
        rounds,
        floor_hmac=floor_hmac,
        floor_headers=floor_headers,
        parse_hmac=lambda: webhooks.parse(body, signed, verifier=hmac_verifier, expect="data_push"),
        parse_headers=lambda: webhooks.parse(body, shared, verifier=header_verifier, expect="data_push"),
        svix=lambda: svix_verifier.verify(body, svix_headers),
        standardwebhooks=lambda: standard.verify(text, signed),
        stripe=lambda: stripe.Webhook.construct_event(text, stripe_header, stripe_secret, tolerance=10**9),
    )
    return times | {"push_bytes": float(len(body))}


def bench_submit(rounds: int) -> dict[str, float]:
    """Submitting a dispatch over a transport in memory, against httpx and json alone."""
    import httpx

    from mosvpp import Client, discharge, kW

    def answered(request: httpx.Request) -> httpx.Response:
        slots = [
            {"event_id": slot["event_id"], "status": "accepted"}
            for slot in json.loads(request.content)["event_slots"]
        ]
        return httpx.Response(200, json={"molecule_id": SITE, "status": "accepted", "event_slots": slots})

    start = datetime.now(UTC) + timedelta(hours=1)
    one = discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10)
    thousand = [discharge(5 * kW, start=start, duration=timedelta(hours=1), priority=10) for _ in range(1000)]
    body = wire(one)
    request_1000 = {
        "mode": "test",
        "event_slots": [body["event_slots"][0] | {"event_id": slot.event_id} for slot in thousand],
    }
    reply_1000 = answered(httpx.Request("POST", "http://localhost", json=request_1000)).read()

    url = f"http://localhost/v1/api/gateway/{SITE}/dr"
    transport = httpx.MockTransport(answered)
    canned = httpx.MockTransport(lambda _: httpx.Response(200, content=reply_1000))

    def over(transport: httpx.BaseTransport) -> Client:
        return Client(KEY, base_url="http://localhost", transport=transport)

    # One line: brackets around several contexts are too new for an old Python to read (see _setup.py).
    with httpx.Client(transport=transport) as plain, over(transport) as client, over(canned) as large:
        return medians(
            rounds,
            httpx_one=lambda: plain.post(url, json=body, headers={"X-API-Key": KEY}).json(),
            submit_one=lambda: client.submit_dispatch(SITE, one, mode="test"),
            json_1000=lambda: json.loads(json.dumps(request_1000)),
            submit_1000=lambda: large.submit_dispatch(SITE, thousand, mode="test"),
        )


def wire(slot: Any) -> dict[str, Any]:
    """The body in which a slot leaves, taken from a request that is sent."""
    import httpx

    from mosvpp import Client

    sent: list[bytes] = []

    def note(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        return httpx.Response(200)

    with Client(KEY, base_url="http://localhost", transport=httpx.MockTransport(note)) as client:
        client.submit_dispatch(SITE, slot, mode="test")
    body: dict[str, Any] = json.loads(sent[0])
    return body


def bench_import(rounds: int) -> dict[str, float]:
    """Importing, in a fresh interpreter each time, less the interpreter's own start."""
    timed = "import time; s = time.perf_counter(); import {}; print(time.perf_counter() - s)"
    modules = {"import_httpx": "httpx", "import_mosvpp": "mosvpp", "import_webhooks": "mosvpp.webhooks"}
    seen: dict[str, list[float]] = {name: [] for name in modules}
    with tempfile.TemporaryDirectory() as folder:
        # As installed: every module has its bytecode, which not every machine would let Python write.
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for turn in range(rounds + 1):
            for name, module in modules.items():
                command = [sys.executable, "-c", timed.format(module)]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                if turn:  # the first one compiles
                    seen[name].append(float(done.stdout))
    return {name: statistics.median(times) for name, times in seen.items()}


def measure(*, rounds: int | None = None, quick: bool = False) -> Measured:
    """The ratios, and the times behind them in seconds."""
    rounds = rounds or (11 if quick else 31)
    times = bench_parse(rounds) | bench_submit(rounds) | bench_import(max(5, rounds // 3))
    ratios = {
        "parse_hmac_vs_floor": times["parse_hmac"] / times["floor_hmac"],
        "parse_headers_vs_floor": times["parse_headers"] / times["floor_headers"],
        "svix_vs_parse_hmac": times["svix"] / times["parse_hmac"],
        "standardwebhooks_vs_parse_hmac": times["standardwebhooks"] / times["parse_hmac"],
        "stripe_vs_parse_hmac": times["stripe"] / times["parse_hmac"],
        "submit_one_slot_vs_httpx": times["submit_one"] / times["httpx_one"],
        "submit_1000_slots_vs_json": times["submit_1000"] / times["json_1000"],
        "import_mosvpp_vs_httpx": times["import_mosvpp"] / times["import_httpx"],
        "import_webhooks_vs_httpx": times["import_webhooks"] / times["import_httpx"],
    }
    micro = ", ".join(
        f"{name} {seconds * 1e6:,.1f}" for name, seconds in times.items() if name != "push_bytes"
    )
    return Measured(ratios, {"seconds": times}, [f"Medians in µs: {micro}"])
