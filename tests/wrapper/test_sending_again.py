"""When a request is sent again by itself, after what time, and when never."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import outgoing
from manual_clock import START, ManualClock
from mosvpp import RetryPolicy, errors
from mosvpp.retry import RetryBudget, read_retry_after
from outgoing import EVENT_ID, MIDNIGHT, SITE, Clients, Server, call, dispatch_reply, good_body, reply, slot

REFUSED = httpx.ConnectError("refused")
ACCEPTED = reply(200, dispatch_reply(EVENT_ID, "accepted"))
CANCELLED = reply(200, dispatch_reply(EVENT_ID, "cancelled"))


def named(trouble: Any) -> str:
    """For the names of tests."""
    if isinstance(trouble, Exception):
        return type(trouble).__name__
    return f"{trouble.status_code} {trouble.headers.get('Retry-After', '')}".strip()


# --- what may be repeated -----------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", outgoing.CALLS)
@pytest.mark.parametrize(
    "trouble",
    [
        REFUSED,
        httpx.ConnectTimeout("slow"),
        httpx.PoolTimeout("none free"),
        reply(429),
        reply(429, headers={"Retry-After": "2"}),
        reply(503, headers={"Retry-After": "2"}),
        reply(503, headers={"Retry-After": "Thu, 04 Jan 2024 23:00:02 GMT"}),
    ],
    ids=named,
)
def test_what_did_nothing_is_repeated(clients: Clients, operation: str, trouble: Any) -> None:
    """Twice in trouble, then done; every attempt has the same bytes (behaviour.repeat_post)."""
    server = Server(trouble, trouble, reply(200, good_body(operation)))
    call(clients.make(server), operation)
    assert len(server.requests) == 3
    assert len({request.content for request in server.requests}) == 1


AMBIGUOUS = [
    httpx.ReadTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.WriteError("reset"),
    httpx.WriteTimeout("slow"),
    httpx.RemoteProtocolError("garbage"),
    httpx.LocalProtocolError("what exactly was written is not known"),
    httpx.ProxyError("a proxy may have passed it on"),
    httpx.DecodingError("broken"),
    OSError("broken"),
    ValueError("a fault of the transport"),
    StopIteration("odd"),
    reply(500),
    reply(502),
    reply(503),
    reply(503, headers={"Retry-After": "soon"}),
    reply(504),
    reply(599),
]


@pytest.mark.parametrize("operation", outgoing.POSTS)
@pytest.mark.parametrize("trouble", AMBIGUOUS, ids=named)
def test_what_may_have_been_received_is_never_repeated(
    clients: Clients, operation: str, trouble: Any
) -> None:
    """The outcome is unknown, and the error carries the identical request (behaviour.repeat_post)."""
    server = Server(trouble, reply(200, good_body(operation)))
    client = clients.make(server)
    with pytest.raises(errors.OutcomeUnknownError, match="telemetry") as caught:
        call(client, operation)
    assert len(server.requests) == 1
    assert caught.value.ids == caught.value.request.ids
    assert caught.value.request.body == server.requests[0].content
    assert client.resend(caught.value.request).is_accepted, "and a person may decide to send it again"
    assert server.requests[0].content == server.requests[1].content
    assert server.requests[0].url == server.requests[1].url


@pytest.mark.parametrize("trouble", AMBIGUOUS, ids=named)
def test_a_get_is_repeated_on_any_transient_failure(clients: Clients, trouble: Any) -> None:
    server = Server(trouble, trouble, reply(200, good_body("sync_devices")))
    assert len(clients.make(server).sync_devices(SITE)) == 1
    assert len(server.requests) == 3


@pytest.mark.parametrize("trouble", [httpx.ReadTimeout("slow"), REFUSED])
def test_a_get_without_any_answer_is_unreachable(clients: Clients, trouble: Exception) -> None:
    with pytest.raises(errors.UnreachableError, match=r"3 attempts.*safe to try again"):
        clients.make(Server(trouble)).sync_devices(SITE)


@pytest.mark.parametrize("operation", outgoing.POSTS)
def test_a_post_of_which_nothing_was_written_is_unreachable(clients: Clients, operation: str) -> None:
    with pytest.raises(errors.UnreachableError, match="Nothing was sent") as caught:
        call(clients.make(Server(REFUSED)), operation)
    assert (caught.value.attempts, caught.value.status, caught.value.headers) == (3, None, {})


@pytest.mark.parametrize("operation", outgoing.POSTS)
def test_a_conflict_after_an_earlier_attempt_is_an_unknown_outcome(clients: Clients, operation: str) -> None:
    """The conflict may be with that attempt; without one, it is a rejection."""
    with pytest.raises(errors.RejectedError):
        call(clients.make(Server(reply(409))), operation)
    with pytest.raises(errors.OutcomeUnknownError):
        call(clients.make(Server(reply(429), reply(409))), operation)
    client = clients.make(Server(reply(500), reply(409)))
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        call(client, operation)
    with pytest.raises(errors.OutcomeUnknownError):
        client.resend(caught.value.request)


def test_a_conflict_about_a_get_is_a_rejection(clients: Clients) -> None:
    with pytest.raises(errors.RejectedError):
        clients.make(Server(reply(500), reply(409))).sync_devices(SITE)


# --- how often, and after what time -------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_attempts_are_counted_with_the_first(clients: Clients, attempts: int) -> None:
    server = Server(reply(429))
    with pytest.raises(errors.RejectedError) as caught:
        call(clients.make(server, retry=RetryPolicy(attempts=attempts, first_delay=0)), "submit_dispatch")
    assert len(server.requests) == caught.value.attempts == attempts


def test_waits_double_up_to_the_longest(clients: Clients, clock: ManualClock, monkeypatch: Any) -> None:
    """Full jitter, here without its chance: always the most."""
    monkeypatch.setattr("random.uniform", lambda _, highest: highest)
    policy = RetryPolicy(attempts=6, first_delay=0.5, longest_delay=3)
    with pytest.raises(errors.UnreachableError):
        call(clients.make(Server(REFUSED), retry=policy, clock=clock), "submit_site_command")
    assert clock.pauses == [0.5, 1, 2, 3, 3]


@given(failures=st.integers(1, 10_000))
def test_jitter_is_never_more_than_the_ceiling(failures: int) -> None:
    assert (
        0
        <= RetryPolicy(first_delay=0.5, longest_delay=20).delay(failures)
        <= min(20, 0.5 * 2 ** min(failures, 10))
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("Thu, 04 Jan 2024 23:00:09 GMT", 9),
        ("Thu, 04 Jan 2024 23:00:09 -0000", 9),
        ("Thursday, 04-Jan-24 23:00:09 GMT", 9),
        ("Thu, 04 Jan 2024 22:00:00 GMT", 0),
    ],
)
def test_retry_after_is_waited_for(clients: Clients, clock: ManualClock, header: str, seconds: float) -> None:
    server = Server(reply(429, headers={"Retry-After": header}), ACCEPTED)
    call(clients.make(server, clock=clock), "submit_dispatch")
    assert clock.pauses == [seconds]


def test_jitter_comes_on_top_of_retry_after(clients: Clients, clock: ManualClock) -> None:
    """So that a fleet that was told the same number does not come back in the same instant."""
    server = Server(reply(503, headers={"Retry-After": "5"}), ACCEPTED)
    call(
        clients.make(server, clock=clock, retry=RetryPolicy(first_delay=4, longest_delay=4)),
        "submit_dispatch",
    )
    assert 5 <= clock.pauses[0] <= 9


ABSURD = [
    "",
    "soon",
    "-1",
    "1.5",
    "3, 5",
    "9" * 10,
    "9" * 5_000,
    "Fri, 99 Jan 2024 00:00:00 GMT",
    "\xb2",
    "\N{FULLWIDTH DIGIT ONE}",
]
ABSURD += ["Mon, 31 Dec 9999 23:59:59 -2300", "0x5", "1e3", "NaN"]


@pytest.mark.parametrize("header", ABSURD, ids=range(len(ABSURD)))
def test_an_absurd_retry_after_counts_as_none(clients: Clients, header: str) -> None:
    """So that 503 with it does not say that nothing was done."""
    headers = [(b"Retry-After", header.encode("utf-8"))]
    server = Server(lambda _: httpx.Response(503, headers=headers))
    with pytest.raises(errors.OutcomeUnknownError):
        call(clients.make(server), "submit_dispatch")
    assert len(server.requests) == 1


@given(
    st.text(max_size=40)
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,5} \d\d:\d\d:\d\d [-+A-Z0-9]{1,6}")
)
def test_reading_retry_after_never_fails(text: str) -> None:
    seconds = read_retry_after(text, START)
    assert seconds is None or 0 <= seconds < float("inf")


def test_a_longer_wait_than_allowed_is_not_waited_for(clients: Clients, clock: ManualClock) -> None:
    server = Server(reply(429, headers={"Retry-After": "61"}), ACCEPTED)
    with pytest.raises(errors.RejectedError, match=r"Wait 61 s.*longest_retry_after") as caught:
        call(clients.make(server, clock=clock), "submit_dispatch")
    assert (caught.value.retry_after, caught.value.attempts, clock.pauses) == (61, 1, [])
    server = Server(reply(429, headers={"Retry-After": "61"}), ACCEPTED)
    call(
        clients.make(server, clock=clock, retry=RetryPolicy(first_delay=0, longest_retry_after=61)),
        "submit_dispatch",
    )
    assert clock.pauses == [61]


def test_an_outage_is_not_answered_by_a_storm(clients: Clients) -> None:
    """Below half of its budget a client repeats nothing more, until enough has gone well."""
    attempts, is_down = [], True

    def answer(request: httpx.Request) -> httpx.Response:
        attempts.append(request)
        if is_down:
            raise httpx.ConnectError("refused")
        return reply(200, good_body("sync_devices"))

    def attempts_of_a_failing_call() -> int:
        attempts.clear()
        with pytest.raises(errors.UnreachableError) as caught:
            client.sync_devices(SITE)
        assert len(attempts) == 3 or "retry.budget" in str(caught.value)
        return len(attempts)

    client = clients.make(answer, retry=RetryPolicy(attempts=3, first_delay=0, budget=8))
    assert [attempts_of_a_failing_call() for _ in range(6)] == [3, 2, 1, 1, 1, 1]
    is_down = False
    for _ in range(70):
        client.sync_devices(SITE)
    is_down = True
    assert attempts_of_a_failing_call() == 3


def test_rejections_cost_nothing_of_the_budget(clients: Clients) -> None:
    """A request that is at fault says nothing of the server's health."""
    server = Server(*[reply(400)] * 50, reply(429), ACCEPTED)
    client = clients.make(server)
    for _ in range(50):
        with pytest.raises(errors.RejectedError):
            call(client, "submit_dispatch")
    assert call(client, "submit_dispatch").is_accepted


def test_a_budget_of_zero_repeats_nothing() -> None:
    assert not RetryBudget(0).allows_repeat


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 1.5},
        {"attempts": "3"},
        {"budget": -1},
        {"first_delay": -1},
        {"first_delay": float("nan")},
        {"first_delay": 21},
        {"longest_delay": float("inf")},
        {"longest_delay": "1"},
        {"longest_retry_after": None},
        {"longest_retry_after": 10**9},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        RetryPolicy(**wrong)
    assert caught.value.path == f"retry.{next(iter(wrong))}"


# --- in time: a late repeat starts another event than the one that was planned ------------------------------


def seconds_before(instant: Any, seconds: float) -> ManualClock:
    return ManualClock(instant - timedelta(seconds=seconds))


@pytest.mark.parametrize(("left", "attempts"), [(11, 2), (10, 1), (9, 1), (-60, 2)])
def test_no_repeat_starts_after_the_event(clients: Clients, left: float, attempts: int) -> None:
    """The server asks for 10 s; what had already started when it was submitted may be repeated."""
    server = Server(reply(429, headers={"Retry-After": "10"}), ACCEPTED)
    client = clients.make(server, clock=seconds_before(MIDNIGHT, left))
    if attempts == 2:
        assert client.submit_dispatch(SITE, slot(), mode="test").is_accepted
    else:
        with pytest.raises(errors.RejectedError, match="too late") as caught:
            client.submit_dispatch(SITE, slot(), mode="test")
        assert caught.value.status == 429
    assert len(server.requests) == attempts


def test_the_first_event_of_a_request_sets_the_limit(clients: Clients) -> None:
    later = slot(event_id=None, start=MIDNIGHT + timedelta(hours=1))
    server = Server(reply(429, headers={"Retry-After": "10"}), ACCEPTED)
    client = clients.make(server, clock=seconds_before(MIDNIGHT, 5))
    with pytest.raises(errors.RejectedError, match="too late"):
        client.submit_dispatch(SITE, [later, slot()], mode="test")


def test_a_pause_that_takes_longer_than_meant_is_noticed(clients: Clients) -> None:
    """A machine that slept wakes up after the start."""
    clock = seconds_before(MIDNIGHT, 60)
    clock.during_pause = lambda: clock.advance(120)
    server = Server(REFUSED, ACCEPTED)
    with pytest.raises(errors.UnreachableError, match="too late"):
        clients.make(server, clock=clock, retry=RetryPolicy(first_delay=5, longest_delay=5)).submit_dispatch(
            SITE, slot(), mode="test"
        )
    assert len(server.requests) == 1


@pytest.mark.parametrize("hours", [0.5, 2])
def test_the_first_attempt_is_always_made(clients: Clients, hours: float) -> None:
    """Whatever the clock here says: it may be wrong."""
    server = Server(ACCEPTED)
    clock = ManualClock(MIDNIGHT + timedelta(hours=hours))
    assert clients.make(server, clock=clock).submit_dispatch(SITE, slot(), mode="test").is_accepted


@pytest.mark.parametrize(("hours", "attempts"), [(-1, 3), (0.5, 3), (0.999, 1), (1, 1), (2, 1)])
def test_a_cancel_is_repeated_until_the_event_ends(clients: Clients, hours: float, attempts: int) -> None:
    """The emergency stop must get through, also while the event runs."""
    server = Server(reply(429, headers={"Retry-After": "10"}))
    clock = ManualClock(MIDNIGHT + timedelta(hours=hours))
    with pytest.raises(errors.RejectedError):
        clients.make(server, clock=clock).submit_dispatch(SITE, slot().cancel(), mode="test")
    assert len(server.requests) == attempts
    assert all(body["event_slots"][0]["cancelled"] for body in server.bodies)


def test_an_event_that_is_over_does_not_hold_up_the_stop_of_another(clients: Clients) -> None:
    over = slot(event_id=None, duration=timedelta(minutes=1)).cancel()
    clock = ManualClock(MIDNIGHT + timedelta(minutes=30))
    server = Server(reply(429), reply(429), CANCELLED)
    clients.make(server, clock=clock).submit_dispatch(SITE, [over, slot().cancel()], mode="test")
    assert len(server.requests) == 3


def test_a_cancel_beside_a_future_event_does_not_delay_that_one_beyond_its_start(clients: Clients) -> None:
    running = slot(event_id=None, start=MIDNIGHT - timedelta(hours=1), duration=timedelta(hours=9)).cancel()
    server = Server(reply(429, headers={"Retry-After": "10"}))
    with pytest.raises(errors.RejectedError, match="too late"):
        clients.make(server, clock=seconds_before(MIDNIGHT, 5)).submit_dispatch(
            SITE, [running, slot()], mode="test"
        )


def test_a_site_command_has_no_start_that_could_be_missed(clients: Clients) -> None:
    server = Server(reply(429, headers={"Retry-After": "60"}), reply(200, good_body("submit_site_command")))
    assert call(clients.make(server), "submit_site_command").is_accepted


# --- in order: a late repeat must not undo a cancellation (behaviour.revision_order) ------------------------


def test_a_cancel_during_the_pause_of_the_original_stops_the_original(
    clients: Clients, clock: ManualClock
) -> None:
    server = Server(reply(429, headers={"Retry-After": "30"}), CANCELLED, ACCEPTED)
    client = clients.make(server, clock=clock)
    clock.during_pause = lambda: clients.inside(client).submit_dispatch(SITE, slot().cancel(), mode="test")
    with pytest.raises(errors.RejectedError, match="newer revision") as caught:
        client.submit_dispatch(SITE, slot(), mode="test")
    assert caught.value.status == 429
    assert [body["event_slots"][0]["cancelled"] for body in server.bodies] == [False, True]


def test_an_original_that_could_not_be_sent_is_not_sent_after_its_cancel(
    clients: Clients, clock: ManualClock
) -> None:
    server = Server(REFUSED, CANCELLED, ACCEPTED)
    client = clients.make(server, clock=clock, retry=RetryPolicy(first_delay=1, longest_delay=1))
    clock.during_pause = lambda: clients.inside(client).submit_dispatch(SITE, slot().cancel(), mode="test")
    with pytest.raises(errors.RuleError) as caught:
        client.submit_dispatch(SITE, slot(), mode="test")
    assert (caught.value.rule, caught.value.evidence) == ("revision_order", ("behaviour.revision_order",))
    assert len(server.requests) == 2


def test_one_newer_event_holds_back_the_whole_older_request(clients: Clients, clock: ManualClock) -> None:
    """A request is sent as it is or not at all."""
    server = Server(reply(429), CANCELLED, ACCEPTED)
    client = clients.make(server, clock=clock, retry=RetryPolicy(first_delay=1, longest_delay=1))
    other_spelling = slot(event_id=EVENT_ID.lower())
    clock.during_pause = lambda: clients.inside(client).submit_dispatch(
        SITE.upper(), other_spelling.cancel(), mode="test"
    )
    with pytest.raises(errors.RejectedError, match="newer revision"):
        client.submit_dispatch(SITE, [slot(event_id=outgoing.OTHER_ID), slot()], mode="test")


@pytest.mark.parametrize(
    ("site", "mode", "event_id"),
    [("0000000000000001", "test", EVENT_ID), (SITE, "live", EVENT_ID), (SITE, "test", outgoing.OTHER_ID)],
)
def test_other_events_do_not_matter(
    clients: Clients, clock: ManualClock, site: str, mode: Any, event_id: str
) -> None:
    """Another site, another mode (whether they share ids is unknown.id_comparison), another id."""
    server = Server(reply(429), reply(200), ACCEPTED)
    client = clients.make(server, clock=clock, retry=RetryPolicy(first_delay=1, longest_delay=1))
    other = slot(event_id=event_id).cancel()
    clock.during_pause = lambda: clients.inside(client).submit_dispatch(site, other, mode=mode)
    assert client.submit_dispatch(SITE, slot(), mode="test").is_accepted
    assert len(server.requests) == 3


def test_an_outdated_request_is_not_resent(clients: Clients) -> None:
    server = Server(reply(500), CANCELLED, ACCEPTED)
    client = clients.make(server)
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        client.submit_dispatch(SITE, slot(), mode="test")
    client.cancel_dispatch(caught.value.request)
    with pytest.raises(errors.RuleError, match="undo"):
        client.resend(caught.value.request)
    assert [body["event_slots"][0]["cancelled"] for body in server.bodies] == [False, True]


def test_resending_repeats_the_original_bytes_with_the_same_rules(
    clients: Clients, clock: ManualClock
) -> None:
    server = Server(httpx.ReadTimeout("slow"), reply(429), ACCEPTED)
    client = clients.make(server, clock=clock)
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        client.submit_dispatch(SITE, slot(), mode="test")
    request = type(caught.value.request).from_json(caught.value.request.to_json())
    assert client.resend(request).is_accepted
    assert len({sent.content for sent in server.requests}) == 1
    assert len(server.requests) == 3


def test_a_resend_may_be_late(clients: Clients) -> None:
    """A person asked for it; only repeats by itself stop in time."""
    server = Server(reply(500), reply(429), ACCEPTED)
    clock = ManualClock()
    client = clients.make(server, clock=clock)
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        client.submit_dispatch(SITE, slot(), mode="test")
    clock.advance(90 * 60)
    assert client.resend(caught.value.request).is_accepted


def test_a_cancel_gets_through_after_a_request_of_a_machine_whose_clock_is_ahead(clients: Clients) -> None:
    """Revisions compare by time; a later call of this client is newer all the same."""
    ahead = clients.make(Server(reply(500)), clock=ManualClock(START + timedelta(days=1)))
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        ahead.submit_dispatch(SITE, slot(), mode="test")
    server = Server(ACCEPTED, reply(429), reply(429), CANCELLED)
    here = clients.make(server)
    here.resend(caught.value.request)
    here.cancel_dispatch(caught.value.request)
    assert len(server.requests) == 4
    with pytest.raises(errors.RuleError, match="undo"):
        here.resend(caught.value.request)


def test_revisions_grow_on_a_clock_that_goes_back(clients: Clients, clock: ManualClock) -> None:
    server = Server(reply(500), CANCELLED)
    client = clients.make(server, clock=clock)
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        client.submit_dispatch(SITE, slot(), mode="test")
    clock.advance(-3600)
    client.cancel_dispatch(caught.value.request)
    with pytest.raises(errors.RuleError, match="undo"):
        client.resend(caught.value.request)


def test_many_threads_cannot_bring_an_older_revision_after_a_newer_one(clients: Clients) -> None:
    """Each thread submits its revision of one event, all refused at first; what arrives, arrives in order."""
    order, gate = [], threading.Barrier(8)
    lock = threading.Lock()

    def answer(request: httpx.Request) -> httpx.Response:
        with lock:
            seen[request.content] = seen.get(request.content, 0) + 1
            if seen[request.content] == 1:
                raise httpx.ConnectError("refused")
            order.append(request.content)
        return reply(200, dispatch_reply(EVENT_ID, "accepted"))

    seen: dict[bytes, int] = {}
    client = clients.make(answer, retry=RetryPolicy(first_delay=0, budget=1000))

    def submit(priority: int) -> int:
        gate.wait()
        try:
            client.submit_dispatch(SITE, slot(priority=priority), mode="test")
        except errors.RuleError as error:
            assert error.rule == "revision_order"  # noqa: PT017  whichever error came
            return 0
        return priority

    results = clients.together(*[lambda n=n: submit(n) for n in range(1, 9)])
    assert len(order) == len([result for result in results if result])
    assert len(order) >= 1


def test_the_newest_events_are_remembered(clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the oldest forgotten, so that a client does not grow for ever."""
    monkeypatch.setattr("mosvpp._revisions._KEPT", 3)
    server = Server(reply(500), reply(500), ACCEPTED)
    client = clients.make(server)
    requests = []
    for one in (slot(), slot(event_id=outgoing.OTHER_ID)):
        with pytest.raises(errors.OutcomeUnknownError) as caught:
            client.submit_dispatch(SITE, one, mode="test")
        requests.append(caught.value.request)
    for _ in range(2):
        client.submit_dispatch(SITE, slot(event_id=None), mode="test")
    client.cancel_dispatch(requests[1])
    with pytest.raises(errors.RuleError, match="undo"):
        client.resend(requests[1])
    assert client.resend(requests[0]).is_accepted, "nothing newer is known of it any more"
    assert len(client_revisions(clients, client)) == 3


def client_revisions(clients: Clients, client: Any) -> Any:
    return clients.inside(client)._calls._revisions._newest


# --- what a person may send again ---------------------------------------------------------------------------


def unknown_request(clients: Clients, operation: str) -> Any:
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        call(clients.make(Server(reply(500))), operation)
    return caught.value.request


@pytest.mark.parametrize("operation", outgoing.POSTS)
@pytest.mark.parametrize(
    "change",
    [
        {"body": b'{"mode": "live"}'},
        {"path": "@evil.example/"},
        {"path": "/v2/api/gateway/fecd0001c031e7e8/dr"},
        {"method": "GET"},
        {"molecule_id": "0000000000000001"},
        {"ids": ()},
        {"ids": (outgoing.OTHER_ID,)},
        {"operation": "sync_devices"},
        {"slots": ()},
        {"commands": ()},
        {"duration_s": 10**30},
        {"duration_s": -1},
    ],
    ids=str,
)
def test_a_request_that_was_changed_is_not_sent(clients: Clients, operation: str, change: Any) -> None:
    """What is sent is what the request says of itself, and goes where the key may go."""
    request = unknown_request(clients, operation)
    changed = msgspec.structs.replace(request, **change)
    if changed == request:
        return
    server = Server(reply(200))
    with pytest.raises(errors.RuleError):
        clients.make(server).resend(changed)
    assert server.requests == []


def test_resending_needs_arming_like_the_first_time(clients: Clients) -> None:
    with pytest.raises(errors.OutcomeUnknownError) as caught:
        clients.make(Server(reply(500))).submit_dispatch(SITE, slot(), mode="live")
    for request in (caught.value.request, unknown_request(clients, "submit_site_command")):
        server = Server(reply(200))
        with pytest.raises(errors.RuleError, match="allow_live"):
            clients.make(server, allow_live=False).resend(request)
        assert server.requests == []


def test_a_question_is_asked_again_and_not_resent(clients: Clients) -> None:
    """It changes nothing, so that there is nothing for a person to decide."""
    with pytest.raises(errors.UnexpectedResponseError) as caught:
        clients.make(Server(reply(500))).sync_devices(SITE)
    server = Server(reply(200))
    with pytest.raises(errors.RuleError, match="call it again"):
        clients.make(server).resend(caught.value.request)
    assert server.requests == []


@pytest.mark.parametrize("wrong", [None, "request", {"operation": "submit_dispatch"}, b"", slot()], ids=type)
def test_only_what_was_sent_can_be_resent(clients: Clients, wrong: Any) -> None:
    with pytest.raises(errors.RuleError, match="was not sent"):
        clients.make(Server(reply(200))).resend(wrong)


@pytest.mark.parametrize("operation", outgoing.POSTS)
def test_a_receipt_that_says_nothing_can_be_resent(clients: Clients, operation: str) -> None:
    server = Server(reply(200), reply(200, good_body(operation)))
    client = clients.make(server)
    receipt = call(client, operation)
    assert receipt.outcome == "unknown"
    assert client.resend(type(receipt).from_json(receipt.to_json())).is_accepted
    assert server.requests[0].content == server.requests[1].content
    assert server.requests[0].url == server.requests[1].url


@pytest.mark.parametrize("operation", outgoing.POSTS)
def test_a_conflict_after_a_receipt_that_says_nothing_is_no_refusal(clients: Clients, operation: str) -> None:
    """It may be the first request that the second one is in conflict with."""
    client = clients.make(Server(reply(200), reply(409)))
    receipt = call(client, operation)
    with pytest.raises(errors.OutcomeUnknownError):
        client.resend(receipt)


def test_a_receipt_is_not_resent_after_a_newer_revision(clients: Clients) -> None:
    server = Server(reply(200), CANCELLED)
    client = clients.make(server)
    receipt = client.submit_dispatch(SITE, slot(), mode="test")
    client.cancel_dispatch(receipt)
    with pytest.raises(errors.RuleError, match="undo"):
        client.resend(type(receipt).from_json(receipt.to_json()))
    assert len(server.requests) == 2


@pytest.mark.parametrize("operation", outgoing.POSTS)
def test_what_was_answered_is_not_resent(clients: Clients, operation: str) -> None:
    server = Server(reply(200, good_body(operation)))
    client = clients.make(server)
    with pytest.raises(errors.RuleError, match="accepted") as caught:
        client.resend(call(client, operation))
    assert caught.value.evidence == ("behaviour.repeat_post",)
    assert len(server.requests) == 1


def test_resending_a_receipt_needs_arming_like_the_first_time(clients: Clients) -> None:
    for receipt in (
        clients.make(Server(reply(200))).submit_dispatch(SITE, slot(), mode="live"),
        call(clients.make(Server(reply(200))), "submit_site_command"),
    ):
        server = Server(reply(200))
        with pytest.raises(errors.RuleError, match="allow_live"):
            clients.make(server, allow_live=False).resend(receipt)
        assert server.requests == []


# --- cancelling ---------------------------------------------------------------------------------------------


def test_a_cancel_goes_to_the_same_site_in_the_same_mode_with_the_same_ids(clients: Clients) -> None:
    server = Server(reply(200, dispatch_reply(EVENT_ID, "accepted") | {"mode": "live"}), reply(200))
    client = clients.make(server)
    receipt = client.submit_dispatch(SITE, slot(), mode="live")
    client.cancel_dispatch(type(receipt).from_json(receipt.to_json()))
    first, second = server.bodies
    assert server.requests[0].url == server.requests[1].url
    assert second == {"mode": "live", "event_slots": [first["event_slots"][0] | {"cancelled": True}]}


@pytest.mark.parametrize("wrong", [None, "receipt", {"slots": []}, slot()])
def test_only_a_dispatch_can_be_cancelled(clients: Clients, wrong: Any) -> None:
    with pytest.raises(errors.RuleError, match=r"receipt"):
        clients.make(Server(reply(200))).cancel_dispatch(wrong)


def test_a_site_command_cannot_be_cancelled(clients: Clients) -> None:
    """There is no such call (command.no_cancel)."""
    with pytest.raises(errors.RuleError):
        clients.make(Server(reply(200))).cancel_dispatch(unknown_request(clients, "submit_site_command"))


@pytest.mark.parametrize("operation", outgoing.CALLS)
def test_a_key_that_fails_before_a_repeat_does_not_hide_what_the_attempt_before_came_to(
    clients: Clients, operation: str
) -> None:
    keys = iter(["key-for-the-first-attempt"])
    client = clients.make(Server(reply(503, headers={"Retry-After": "1"})), api_key=lambda: next(keys))
    with pytest.raises(errors.RejectedError, match="given as api_key raised StopIteration") as caught:
        call(client, operation)
    assert (caught.value.status, caught.value.attempts) == (503, 1)
