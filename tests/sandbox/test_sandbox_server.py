"""Starting, stopping and reaching a sandbox; nothing of it stays behind."""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import trio

from mosvpp import AsyncClient, Client, commands, errors
from mosvpp_sandbox import ManualClock, RunningClock, Sandbox
from receiving import PATIENCE_S, Receiver, wait_until

from .conftest import BEFORE_THE_SAMPLE


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    """No thread, and by way of ResourceWarning no socket and no event loop."""
    before = set(threading.enumerate())
    yield
    gc.collect()
    assert set(threading.enumerate()) <= before


def client(vpp: Sandbox) -> Client:
    return Client(vpp.api_key, base_url=vpp.url, allow_live=True)


def test_it_listens_on_a_free_port_of_loopback() -> None:
    with Sandbox() as one, Sandbox() as other, client(one) as caller, client(other) as second_caller:
        assert one.url != other.url
        assert one.url.startswith("http://127.0.0.1:")
        assert len(caller.sync_devices(one.molecule_id)) == 5
        assert len(second_caller.sync_devices(other.molecule_id)) == 5


def test_it_listens_on_a_chosen_port_again_and_again() -> None:
    with Sandbox() as vpp:
        port = httpx.URL(vpp.url).port
    assert port
    for _ in range(2):
        with Sandbox(port=port) as vpp, client(vpp) as caller:
            assert vpp.url == f"http://127.0.0.1:{port}"
            assert caller.sync_devices(vpp.molecule_id)


def test_it_listens_on_ipv6_loopback() -> None:
    with Sandbox(host="::1") as vpp, client(vpp) as caller:
        assert vpp.url.startswith("http://[::1]:")
        assert caller.sync_devices(vpp.molecule_id)


def test_a_port_in_use_is_told_and_nothing_is_left() -> None:
    with Sandbox() as vpp, pytest.raises(OSError, match="in use"):
        Sandbox(port=httpx.URL(vpp.url).port or 0).start()


def test_it_keeps_running_when_there_is_nobody_to_push_to() -> None:
    with Sandbox() as vpp, client(vpp) as caller:
        time.sleep(0.5)  # longer than a server takes to notice that it shall end
        assert caller.sync_devices(vpp.molecule_id)
        assert any(thread.name == "mosvpp-sandbox" for thread in threading.enumerate())


def test_what_has_stopped_can_be_started_again_and_remembers() -> None:
    clock = ManualClock(BEFORE_THE_SAMPLE)
    vpp = Sandbox(clock=clock)
    with vpp, client(vpp) as caller:
        caller.submit_site_command(vpp.molecule_id, commands.turn_off("21000"), duration=timedelta(hours=1))
    clock.advance(timedelta(minutes=1))
    with vpp:
        assert vpp.metrics()["21000"]["relay_state"] == "open"
    vpp.stop()  # once more is no error


def test_it_is_not_started_twice() -> None:
    with Sandbox() as vpp, pytest.raises(RuntimeError, match="running already"):
        vpp.start()


@pytest.mark.parametrize(
    "ask",
    [lambda vpp: vpp.url, lambda vpp: vpp.transport(), lambda vpp: vpp.flush()],
    ids=["url", "transport", "flush"],
)
def test_what_needs_a_running_sandbox_says_how_to_start_it(ask: Any) -> None:
    with pytest.raises(RuntimeError, match="use it as `with Sandbox"):
        ask(Sandbox())


def test_nothing_shown_of_it_holds_a_secret() -> None:
    vpp = Sandbox(api_key="key-canary", headers={"X-API-Key": "header-canary"})
    assert repr(vpp) == "Sandbox(not started)"
    with vpp:
        assert "canary" not in repr(vpp)


def test_stopping_does_not_wait_for_callers() -> None:
    """One keeps its connection open, one never sends the rest of its request."""
    vpp = Sandbox()
    vpp.start()
    host, port = vpp.url.removeprefix("http://").split(":")
    with client(vpp) as caller, socket.create_connection((host, int(port))) as slow:
        caller.sync_devices(vpp.molecule_id)
        head = f"POST /v1/api/gateway/{vpp.molecule_id}/dr HTTP/1.1\r\nHost: x\r\nX-API-Key: sandbox-key\r\n"
        slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{".encode())
        vpp.stop()
        with pytest.raises(errors.UnreachableError):
            caller.sync_devices(vpp.molecule_id)


def test_stopping_does_not_wait_for_the_partner() -> None:
    released = threading.Event()
    clock = ManualClock(BEFORE_THE_SAMPLE)
    with Receiver(lambda _: 200 if released.wait(30) else 500) as receiver:
        with Sandbox(clock=clock, data_push_url=receiver.url + "/data"):
            clock.advance(timedelta(minutes=1))
            receiver.wait("/data")
        released.set()


def test_waiting_for_deliveries_has_an_end() -> None:
    released = threading.Event()
    clock = ManualClock(BEFORE_THE_SAMPLE)
    with (
        Receiver(lambda _: 200 if released.wait(30) else 500) as receiver,
        Sandbox(clock=clock, data_push_url=receiver.url + "/data") as vpp,
    ):
        clock.advance(timedelta(minutes=1))
        with pytest.raises(TimeoutError):
            vpp.flush(timeout=0.05)
        released.set()
        vpp.flush()


def test_a_fault_while_time_passes_is_raised_where_the_sandbox_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vpp = Sandbox()
    vpp.start()
    assert vpp.is_running
    monkeypatch.setattr(vpp._world, "advance", lambda: {}["fault"])
    vpp.clock.on_move(lambda: None)
    vpp._wake()
    wait_until(lambda: not vpp.is_running)
    with pytest.raises(KeyError, match="fault"):
        vpp.stop()


def test_a_fault_while_it_starts_is_raised_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("uvicorn.Server.startup", fail)
    vpp = Sandbox()
    with pytest.raises(RuntimeError, match="no"):
        vpp.start()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"speed": 0}, "speed"),
        ({"speed": float("nan")}, "speed"),
        ({"speed": float("inf")}, "speed"),
        ({"speed": 2, "clock": ManualClock(BEFORE_THE_SAMPLE)}, "speed or a clock"),
        ({"push_every": timedelta(0)}, "data pushes"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "two\nlines"}, "api_key"),
        ({"host": "0.0.0.0"}, "not loopback"),
        ({"host": "0.0.0.0", "allow_hosts": ["0.0.0.0"]}, "api_key of your own"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Sandbox(**options)


# In process


def test_a_client_needs_no_socket() -> None:
    with Sandbox() as vpp, Client(vpp.api_key, transport=vpp.transport(), allow_live=True) as caller:
        assert caller.sync_devices(vpp.molecule_id).molecule_id == vpp.molecule_id
        receipt = caller.submit_site_command(
            vpp.molecule_id, commands.turn_off("21000"), duration=timedelta(minutes=5)
        )
        assert receipt.is_accepted
        with pytest.raises(errors.RejectedError) as caught:
            caller.sync_devices("nowhere")
        assert caught.value.status == 404


def test_an_async_client_needs_no_socket_and_no_started_sandbox() -> None:
    vpp = Sandbox()

    async def ask() -> int:
        async with AsyncClient(vpp.api_key, transport=vpp.async_transport()) as caller:
            return len(await caller.sync_devices(vpp.molecule_id))

    assert asyncio.run(ask()) == 5


def test_an_async_client_of_trio_needs_no_socket_either() -> None:
    async def ask() -> int:
        with Sandbox() as vpp:
            async with AsyncClient(vpp.api_key, transport=vpp.async_transport()) as caller:
                return len(await caller.sync_devices(vpp.molecule_id))

    assert trio.run(ask) == 5


def test_a_blocking_client_works_inside_an_event_loop() -> None:
    async def ask() -> int:
        with Sandbox() as vpp, Client(vpp.api_key, transport=vpp.transport()) as caller:
            return len(caller.sync_devices(vpp.molecule_id))

    assert asyncio.run(ask()) == 5


def test_a_stopped_sandbox_is_one_that_cannot_be_reached() -> None:
    with Sandbox() as vpp:
        transport = vpp.transport()
    with Client(vpp.api_key, transport=transport) as caller, pytest.raises(errors.UnreachableError):
        caller.sync_devices(vpp.molecule_id)


# Time


def test_time_runs_as_fast_as_it_is_told() -> None:
    start = datetime(2024, 1, 5, tzinfo=UTC)
    clock = RunningClock(speed=3600, start=start)
    wait_until(lambda: clock.now() > start + timedelta(minutes=1))
    assert 0 < clock.seconds_until(clock.now() + timedelta(hours=1)) <= 1
    assert clock.seconds_until(start) == 0


def test_real_time_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    slept = 0.0
    monkeypatch.setattr("mosvpp_sandbox.clock.real_seconds", lambda: time.monotonic() + slept)
    real, faster = RunningClock(), RunningClock(speed=2)
    begun = real.now(), faster.now()
    slept = 8 * 3600.0
    assert timedelta(hours=8) <= real.now() - begun[0] < timedelta(hours=9)
    assert faster.now() - begun[1] < timedelta(hours=1)
    real.set_speed(2)
    assert timedelta(hours=8) <= real.now() - begun[0] < timedelta(hours=9)


def test_what_was_not_pushed_while_it_stood_still_is_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mosvpp_sandbox.server._SLEPT_S", 0.3)
    stood: list[datetime] = []

    async def stand_still(vpp: Sandbox) -> None:
        stood.append(vpp.now())
        time.sleep(0.6)  # noqa: ASYNC251  it is the event loop that is to stand still
        stood.append(vpp.now())

    start = datetime(2024, 1, 5, tzinfo=UTC)
    with Sandbox(clock=RunningClock(3600, start)) as vpp:
        assert vpp._running is not None
        vpp._running.call(stand_still(vpp))
        wait_until(lambda: vpp.control.clock()["behind_s"] == 0)
        pushes = vpp.control.exchanges(operation="receive_data_push", limit=1000)
        times = [datetime.fromisoformat(one["at"]) for one in pushes]
    minute = timedelta(minutes=1)
    assert stood[1] - stood[0] > 30 * minute
    assert not [at for at in times if stood[0] + minute < at < stood[1] - minute]


def test_whatever_is_due_is_sent_however_much_it_is() -> None:
    """Who asks for a site after a long leap has it catch up at once: nothing of that is lost."""
    clock, count = ManualClock(datetime(2024, 1, 5, tzinfo=UTC)), 10_500
    with Sandbox(clock=clock, push_every=timedelta(seconds=1)) as vpp:
        before = vpp.control.exchanges(limit=1)
        assert before == []
        clock.advance(seconds=count)
        vpp.metrics()
        vpp.flush(timeout=PATIENCE_S)
        (newest,) = vpp.control.exchanges(limit=1)
        assert newest["number"] == count


def test_what_nobody_takes_is_not_kept_for_ever() -> None:
    clock = ManualClock(datetime(2024, 1, 5, tzinfo=UTC))
    vpp = Sandbox(clock=clock, push_every=timedelta(seconds=1))
    clock.advance(seconds=10_500)
    vpp.metrics()
    assert len(vpp._world._waiting) == 10_000


def test_an_event_that_is_due_is_answered_by_itself() -> None:
    with (
        Receiver() as receiver,
        Sandbox(speed=7200, execution_response_url=receiver.url + "/execution") as vpp,
        client(vpp) as caller,
    ):
        from mosvpp import discharge, kW

        slot = discharge(1 * kW, start=vpp.now(), duration=timedelta(minutes=30), priority=5)
        caller.submit_dispatch(vpp.molecule_id, slot, mode="live")
        (received,) = receiver.wait("/execution")
        assert slot.event_id.encode() in received.body


def test_a_clock_moved_by_hand_stands_still() -> None:
    clock = ManualClock(BEFORE_THE_SAMPLE)
    later = BEFORE_THE_SAMPLE + timedelta(hours=1)
    assert clock.seconds_until(later) is None
    clock.advance(timedelta(hours=1))
    assert clock.now() == later
    assert clock.seconds_until(later) == 0
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(-timedelta(seconds=1))


@pytest.mark.parametrize("clock", [ManualClock, lambda start: RunningClock(start=start)])
def test_a_clock_is_set_to_an_aware_time(clock: Any) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        clock(datetime(2024, 1, 5))  # noqa: DTZ001  that is the point


# The extra


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("import mosvpp_sandbox; mosvpp_sandbox.Sandbox", 1),
        ("import runpy; runpy.run_module('mosvpp_sandbox', run_name='__main__', alter_sys=True)", 2),
    ],
)
def test_without_the_extra_one_sentence_helps(missing: str, command: str, status: int) -> None:
    program = f"import sys; sys.modules['{missing}'] = None; sys.argv = ['mosvpp_sandbox']; {command}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == status
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith(
        f"the sandbox needs {missing}, which comes with its extra: pip install 'mosvpp[sandbox]'"
    )


def test_another_missing_module_is_not_mistaken_for_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import mosvpp_sandbox

    monkeypatch.setitem(sys.modules, "mosvpp_sandbox.sandbox", None)
    with pytest.raises(ModuleNotFoundError, match=r"mosvpp_sandbox\.sandbox"):
        mosvpp_sandbox.Sandbox  # noqa: B018  to read it is the test


def test_the_public_names_are_sorted_and_all_there() -> None:
    import mosvpp_sandbox

    assert mosvpp_sandbox.__all__ == sorted(mosvpp_sandbox.__all__)
    assert all(getattr(mosvpp_sandbox, name) for name in mosvpp_sandbox.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        mosvpp_sandbox.Nothing  # noqa: B018  to read it is the test


def test_a_running_clock_is_held_leaps_and_runs_on() -> None:
    start = datetime(2024, 1, 5, tzinfo=UTC)
    clock = RunningClock(speed=1000, start=start)
    told: list[float] = []
    clock.on_move(lambda: told.append(clock.speed))
    clock.hold()
    held = clock.now()
    assert clock.now() == held
    assert clock.seconds_until(held + timedelta(days=1)) is None
    clock.advance(hours=1, minutes=30)
    assert clock.now() == held + timedelta(minutes=90)
    clock.resume()
    wait_until(lambda: clock.now() > held + timedelta(minutes=91))
    clock.set_speed(10)
    assert told == [0.0, 0.0, 1000, 10]
    with pytest.raises(ValueError, match="speed is a number above 0"):
        clock.set_speed(0)
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(hours=-1)
