"""The control interface over HTTP, who may use it, and the stream of changes."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

import corpus
from mosvpp_sandbox import ManualClock, Sandbox
from mosvpp_sandbox.control_routes import change_stream
from receiving import Receiver, wait_until

from .conftest import due

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
EVENT = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"
DISPATCH = json.loads(corpus.EXAMPLES["submit_dispatch.request.page_sample"].raw)
DISPATCH["event_slots"][0] |= {"start_time": "2024-01-05T12:00:00Z", "end_time": "2024-01-05T13:00:00Z"}
LIVE = {**DISPATCH, "mode": "live"}
COMMAND = json.loads(corpus.EXAMPLES["submit_site_command.request.battery_and_relay"].raw)


class Desk:
    """A sandbox that is not started, and somebody at its control interface."""

    def __init__(self, **options: Any) -> None:
        self.clock = ManualClock(NOON)
        self.vpp = Sandbox(clock=self.clock, **options)
        self.site = self.vpp.molecule_id

    def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        async def answer() -> httpx.Response:
            inside = self.vpp.async_transport()
            async with httpx.AsyncClient(transport=inside, base_url="http://127.0.0.1") as client:
                return await client.request(method, path, **request)

        return asyncio.run(answer())

    def get(self, path: str = "", **request: Any) -> Any:
        answer = self.ask("GET", f"/sandbox/{path}", **request)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def change(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(method, f"/sandbox/{path}", json={} if body is None else body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def partner(self, path: str, body: Any, key: str = "sandbox-key") -> httpx.Response:
        return self.ask("POST", f"/v1/api/gateway/{self.site}/{path}", json=body, headers={"X-API-Key": key})


@pytest.fixture
def desk() -> Desk:
    return Desk(sites=3)


# Seeing


def test_the_overview_says_what_there_is(desk: Desk) -> None:
    seen = desk.get()
    assert seen["clock"] == {
        "now": "2024-01-05T12:00:00Z",
        "speed": 0.0,
        "runs_by_itself": False,
        "behind_s": 0,
    }
    assert (seen["sites"], seen["first_site"], seen["profile"]) == (3, desk.site, "inferred")
    assert seen["choices"]["test_mode"] == "rehearse"
    assert seen["faults"] == []


def test_the_options_say_what_can_be_chosen(desk: Desk) -> None:
    options = desk.get("options")
    assert {one["name"] for one in options["profiles"]} >= {"inferred", "flat"}
    assert {one["name"] for one in options["faults"]["calls"]} >= {"drop", "hang"}
    assert next(one for one in options["choices"] if one["name"] == "ids")["variants"]["text"]


def test_sites_come_in_pages_and_can_be_searched(desk: Desk) -> None:
    ids = list(desk.vpp.sites)
    first, second = desk.get("sites?limit=2"), desk.get("sites?limit=2&page=2")
    assert [row["molecule_id"] for row in first["sites"] + second["sites"]] == ids
    assert (first["found"], first["page"], second["page"]) == (3, 1, 2)
    found = desk.get(f"sites?search={ids[1].upper()}")
    assert [row["molecule_id"] for row in found["sites"]] == [ids[1]]


def test_a_site_shows_its_devices_as_they_are_now(desk: Desk) -> None:
    desk.partner("dr", LIVE)
    desk.clock.advance(minutes=30)
    seen = desk.get(f"sites/{desk.site}")
    battery = seen["devices"][0]
    assert battery["metrics"]["power_output"] == 5.0
    assert battery["kind"] == "battery"
    assert seen["running"] == {
        "event_id": EVENT,
        "event_type": "discharge",
        "power_kw": 5.0,
        "delivered_kw": 5.0,
    }
    assert "20000.state_of_charge" in seen["columns"]


def test_an_event_is_shown_with_every_step_of_its_life(desk: Desk) -> None:
    desk.partner("dr", LIVE)
    desk.clock.advance(hours=1)
    for path in (f"sites/{desk.site}/events", "events"):
        (event,) = desk.get(path)
        assert [step["state"] for step in event["history"]] == ["accepted", "in_progress", "completed"]
        assert (event["molecule_id"], event["delivered_kw"], event["executions"]) == (desk.site, 5.0, 1)
    assert desk.get(f"sites/{desk.site}/executions/{EVENT.lower()}")["executions"] == 1


def test_a_command_is_shown_with_what_each_device_made_of_it(desk: Desk) -> None:
    desk.partner("sitecmd", COMMAND)
    (command,) = desk.get("commands")
    assert (command["state"], command["executions"]) == ("running", 1)
    assert [one["state"] for one in command["devices"]] == ["running", "running"]
    desk.clock.advance(seconds=COMMAND["scmd_secs"])
    (command,) = desk.get(f"sites/{desk.site}/commands")
    assert command["state"] == "done"


def test_telemetry_shows_what_was_requested_and_delivered(desk: Desk) -> None:
    desk.partner("dr", LIVE)
    desk.clock.advance(hours=2)
    seen = desk.get(f"sites/{desk.site}/telemetry?points=60")
    assert len(seen["at"]) == 60
    assert seen["requested_kw"][:30] == seen["delivered_kw"][:30] == [5.0] * 30
    assert seen["requested_kw"][30:] == [0.0] * 30
    charge = desk.get(f"sites/{desk.site}/telemetry?column=20000.state_of_charge")["20000.state_of_charge"]
    assert charge[0] > charge[-1]
    assert len(charge) == 120
    answer = desk.ask("GET", f"/sandbox/sites/{desk.site}/telemetry?column=colour")
    assert (answer.status_code, answer.json()) == (404, {"error": "nothing called 'colour' is recorded"})


# The log


def test_the_log_shows_requests_and_pushes_and_no_secret() -> None:
    desk = Desk(api_key="key-canary")
    desk.partner("dr", LIVE, key="key-canary")
    desk.partner("dr", {"mode": "live"}, key="key-canary")
    newest, older = desk.get("exchanges")
    assert (newest["status"], older["status"], older["verdict"]) == (400, 200, "accepted")
    assert "required" in newest["verdict"]
    shown = desk.get(f"exchanges/{older['number']}")
    assert json.loads(shown["body"]) == LIVE
    assert json.loads(shown["answer"])["status"] == "accepted"
    assert ["x-api-key", "••••"] in shown["headers"]
    assert "canary" not in json.dumps(shown)
    assert [row["number"] for row in desk.get(f"exchanges?before={newest['number']}")] == [older["number"]]
    assert desk.get("exchanges?direction=sent") == desk.get("exchanges?operation=sync_devices") == []


def test_pushes_are_logged_with_what_the_partner_answered() -> None:
    clock = ManualClock(NOON)
    headers = {"X-API-Key": "key-canary"}
    with (
        Receiver(lambda _: (503, {"X-Reason": "no"})) as receiver,
        Sandbox(clock=clock, data_push_url=receiver.url + "/data", headers=headers) as vpp,
        httpx.Client(base_url=vpp.url) as client,
    ):
        clock.advance(minutes=1)
        vpp.flush()
        (row,) = client.get("/sandbox/exchanges").json()
        assert (row["state"], row["status"], row["attempts"]) == ("waiting", 503, 1)
        assert row["verdict"] == "not answered 200; again after 1 s"
        shown = client.get(f"/sandbox/exchanges/{row['number']}").json()
        assert ["x-reason", "no"] in shown["answer_headers"]
        assert "canary" not in json.dumps(shown)
        clock.advance(seconds=200)
        vpp.flush()
        clock.advance(seconds=200)
        vpp.flush()


def test_a_call_is_sent_again() -> None:
    desk = Desk()
    desk.partner("dr", LIVE)
    number = desk.get("exchanges")[0]["number"]
    again = desk.change("POST", f"exchanges/{number}/resend")["number"]
    row = desk.get("exchanges")[0]
    assert (row["number"], row["repeats"], row["verdict"]) == (again, number, "accepted")
    (event,) = desk.get("events")
    assert event["message"] == "The running event was updated."


def test_a_push_is_sent_again_with_the_same_bytes() -> None:
    clock = ManualClock(NOON)
    with (
        Receiver() as receiver,
        Sandbox(clock=clock, data_push_url=receiver.url + "/data") as vpp,
        httpx.Client(base_url=vpp.url) as client,
    ):
        clock.advance(minutes=1)
        vpp.flush()
        number = client.get("/sandbox/exchanges").json()[0]["number"]
        again = client.post(f"/sandbox/exchanges/{number}/resend", json={}).json()["number"]
        vpp.flush()
        first, second = receiver.received
        assert first.body == second.body
        row = client.get("/sandbox/exchanges").json()[0]
    assert (row["number"], row["repeats"], row["state"]) == (again, number, "done")


# Changing


def test_the_clock_is_moved(desk: Desk) -> None:
    assert desk.change("POST", "clock", {"advance_s": 3600})["now"] == "2024-01-05T13:00:00Z"
    answer = desk.ask("POST", "/sandbox/clock", json={"speed": 2})
    assert (answer.status_code, answer.json()) == (
        400,
        {"error": "this clock is moved by hand: it has no speed"},
    )
    assert desk.ask("POST", "/sandbox/clock", json={"advance_s": -1}).status_code == 400
    assert desk.ask("POST", "/sandbox/clock", json={"advance_s": 1e15}).status_code == 400


def test_after_a_leap_nobody_waits_until_all_have_caught_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not there yet is shown as it was, and it is said how far that is behind."""
    monkeypatch.setattr("mosvpp_sandbox.control._PATIENCE_S", -1)  # no time at all
    before = desk.get("sites")
    behind = desk.change("POST", "clock", {"advance_s": 36_000})["behind_s"]
    assert 36_000 - 60 <= behind < 36_000
    assert desk.get("sites") == before
    monkeypatch.setattr("mosvpp_sandbox.control._PATIENCE_S", 60)
    assert desk.get("sites") != before
    assert desk.get("clock")["behind_s"] == 0


def test_a_running_clock_is_held_sped_up_and_resumed() -> None:
    with Sandbox() as vpp, httpx.Client(base_url=vpp.url) as client:
        held = client.post("/sandbox/clock", json={"hold": True}).json()
        assert held["speed"] == 0
        assert vpp.now() == vpp.now()
        assert client.post("/sandbox/clock", json={"speed": 60}).json()["speed"] == 60
        assert client.post("/sandbox/clock", json={"hold": False}).json()["runs_by_itself"]
        assert client.post("/sandbox/clock", json={"speed": 0}).status_code == 400


def test_choices_and_profile_are_changed(desk: Desk) -> None:
    seen = desk.change("PATCH", "choices", {"profile": "flat", "ids": "text"})
    assert (seen["profile"], seen["choices"]["ids"]) == ("flat", "text")
    answer = desk.ask("PATCH", "/sandbox/choices", json={"profile": "nested", "ids": "numbers"})
    assert answer.status_code == 400
    assert desk.vpp.profile == "flat", "nothing of a request that makes no sense takes effect"


def test_faults_are_switched_on_and_off(desk: Desk) -> None:
    (fault,) = desk.change("POST", "faults", {"name": "error_json", "times": 5, "value": 502})
    assert (fault["name"], fault["times"], fault["struck"]) == ("error_json", 5, 0)
    assert desk.partner("dr", LIVE).status_code == 502
    assert desk.get("faults")[0]["struck"] == 1
    assert desk.change("DELETE", f"faults/{fault['number']}") == []
    assert desk.partner("dr", LIVE).status_code == 200
    desk.change("POST", "faults", {"name": "drop"})
    assert desk.change("DELETE", "faults") == []
    for body in ({"name": "explode"}, {"name": "drop", "often": 1}, {"name": "drop", "times": "x"}, {}):
        assert desk.ask("POST", "/sandbox/faults", json=body).status_code == 400
    assert desk.ask("DELETE", "/sandbox/faults/99").status_code == 404


def test_a_site_is_added_and_pushes(desk: Desk) -> None:
    spec = {"molecule_id": "new", "devices": [{"kind": "meter", "device_id": "1"}]}
    assert desk.change("POST", "sites", spec)["molecule_id"] == "new"
    assert desk.ask("POST", "/sandbox/sites", json=spec).status_code == 400
    assert desk.ask("POST", "/sandbox/sites", json={"molecule_id": "a/b"}).status_code == 400
    desk.clock.advance(minutes=1)
    assert "new" in {one.molecule_id for one in due(desk.vpp)}


def test_a_device_goes_offline_and_comes_back(desk: Desk) -> None:
    path = f"sites/{desk.site}/devices/20000"
    desk.change("PATCH", path, {"online": False})
    assert "20000" not in desk.vpp.metrics()
    body = {**LIVE, "event_slots": [{**LIVE["event_slots"][0]}]}
    desk.partner("dr", body)
    command = {**COMMAND, "scmd_devices": [{**COMMAND["scmd_devices"][0], "device_id": "20000"}]}
    verdict = desk.partner("sitecmd", command).json()["scmd_devices"][0]
    assert (verdict["status"], verdict["message"]) == ("rejected", "Battery Inverter 1 is offline.")
    desk.clock.advance(hours=1)
    assert desk.get("events")[0]["state"] == "failed"
    desk.change("PATCH", path, {"online": True, "stored_kwh": 3})
    assert desk.vpp.metrics()["20000"]["state_of_charge"] == 22.22


@pytest.mark.parametrize(
    ("device", "values", "status"),
    [
        ("20000", {"kind": "meter"}, 400),
        ("20000", {"online": "yes"}, 400),
        ("20000", {"stored_kwh": 10**6}, 400),
        ("20000", {"device_id": "1"}, 400),
        ("20000", {"colour": 1}, 400),
        ("99999", {"online": False}, 404),
    ],
)
def test_a_device_is_not_put_into_a_state_that_there_is_not(
    desk: Desk, device: str, values: Any, status: int
) -> None:
    assert (
        desk.ask("PATCH", f"/sandbox/sites/{desk.site}/devices/{device}", json=values).status_code == status
    )
    assert desk.vpp.metrics()["20000"]["state_of_charge"] == 82.5


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("sites/nowhere", 404),
        ("sites/nowhere/events", 404),
        ("exchanges/99", 404),
        ("nothing", 404),
        ("sites?page=x", 400),
        ("exchanges?limit=x", 400),
        ("sites?size=2", 400),
        ("events?page=2", 400),
        ("sites/fecd0001c031e7e8/telemetry?columns=import_kw", 400),
    ],
)
def test_what_is_not_there_is_said_to_be_so(desk: Desk, path: str, status: int) -> None:
    assert desk.ask("GET", f"/sandbox/{path}").status_code == status


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", None, 415),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"advance_s": "soon"}', "application/json", 400),
        (b'{"colour": 1}', "application/json", 400),
    ],
)
def test_a_body_that_is_none_is_refused(desk: Desk, content: bytes, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = desk.ask("POST", "/sandbox/clock", content=content, headers=headers)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])


# Who may


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_others_may_not_use_it(desk: Desk, headers: dict[str, str]) -> None:
    for method, path in (("GET", ""), ("POST", "clock"), ("GET", "changes"), ("GET", "history")):
        assert desk.ask(method, f"/sandbox/{path}", headers=headers).status_code == 403
    assert desk.clock.now() == NOON


@pytest.mark.parametrize(
    "headers", [{"Host": "localhost:1"}, {"Origin": "http://127.0.0.1"}, {"Sec-Fetch-Site": "none"}]
)
def test_pages_of_its_own_and_programs_may(desk: Desk, headers: dict[str, str]) -> None:
    assert desk.ask("GET", "/sandbox/", headers=headers).status_code == 200


def test_with_a_token_only_who_has_it_may() -> None:
    desk = Desk(control_token="token-canary")
    assert desk.ask("GET", "/sandbox/").status_code == 401
    for given in ("Bearer wrong", "token-canary", "Bearer ü"):
        assert desk.ask("GET", "/sandbox/", headers={"Authorization": given.encode()}).status_code == 401
    assert desk.ask("GET", "/sandbox/", headers={"Authorization": "Bearer token-canary"}).status_code == 200
    cookie = {"Cookie": "mosvpp_sandbox_token=token-canary"}
    assert desk.ask("GET", "/sandbox/", headers=cookie).status_code == 200


def test_where_others_reach_the_sandbox_there_is_no_control_without_a_token() -> None:
    options = {"host": "0.0.0.0", "allow_hosts": ["0.0.0.0"], "api_key": "chosen"}
    assert Desk(**options).ask("GET", "/sandbox/").status_code == 404
    desk = Desk(**options, control_token="chosen-too")
    assert desk.ask("GET", "/sandbox/", headers={"Authorization": "Bearer chosen-too"}).status_code == 200


# The stream


async def _next(stream: Any, count: int) -> list[tuple[str, Any]]:
    """The names and the data of the next events, without comments."""
    seen: list[tuple[str, Any]] = []
    while len(seen) < count:
        async with asyncio.timeout(30):
            piece = (await anext(stream)).decode()
        for event in piece.strip().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in event.splitlines())
            if "event" in fields:
                seen.append((fields["event"], json.loads(fields["data"])))
    return seen


def test_changes_are_streamed_as_they_happen() -> None:
    desk = Desk()

    async def follow() -> list[tuple[str, Any]]:
        stream = change_stream(desk.vpp.control, 0)
        await anext(stream)
        desk.vpp._world.dispatch(desk.site, LIVE)
        desk.clock.advance(minutes=1)
        seen = await _next(stream, 3)
        await stream.aclose()
        return seen

    seen = asyncio.run(follow())
    assert [kind for kind, _ in seen] == ["event", "event", "clock"]
    assert [change["data"].get("state") for _, change in seen] == ["accepted", "in_progress", None]
    assert [change["number"] for _, change in seen] == [1, 2, 3]
    assert seen[0][1]["about"] == EVENT


def test_who_comes_back_is_told_what_was_missed_over_http() -> None:
    clock = ManualClock(NOON)
    with Sandbox(clock=clock) as vpp, httpx.Client(base_url=vpp.url) as client:
        for _ in range(300):
            clock.advance(seconds=0)
        with client.stream("GET", "/sandbox/changes", headers={"Last-Event-ID": "50"}) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            read = [next(lines) for _ in range(8)]
    assert read[2:4] == ["event: missed", "data: 50"]
    assert read[5:7] == ["id: 101", "event: clock"]


def test_who_has_gone_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock(NOON)
    with Sandbox(clock=clock) as vpp, httpx.Client(base_url=vpp.url) as client:
        with client.stream("GET", "/sandbox/changes") as answer:
            next(answer.iter_raw())
        for _ in range(5):
            for _ in range(200):
                clock.advance(seconds=0)
            client.get("/sandbox/")
        wait_until(lambda: not vpp.control.changes._listeners)
    assert [record.message for record in caplog.records if record.name == "asyncio"] == []


def test_stopping_does_not_wait_for_those_who_watch() -> None:
    vpp = Sandbox()
    vpp.start()
    with httpx.Client(base_url=vpp.url) as client, client.stream("GET", "/sandbox/changes"):
        vpp.stop()
    assert not vpp.is_running


def test_the_history_is_lines_of_json(desk: Desk) -> None:
    desk.partner("dr", LIVE)
    desk.clock.advance(timedelta(hours=1))
    answer = desk.ask("GET", "/sandbox/history")
    assert answer.content == desk.vpp.history()
    assert [json.loads(line) for line in answer.text.splitlines()]
