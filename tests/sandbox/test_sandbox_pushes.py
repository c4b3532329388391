"""What the sandbox sends arrives over HTTP, with the configured headers, and the SDK reads it."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from threading import Event
from typing import Any

import pytest

import corpus
from mosvpp import webhooks
from mosvpp.errors import AuthenticationError
from mosvpp.events import DataPush, ExecutionReport
from mosvpp.signatures import HmacSignature, SharedHeaders
from mosvpp.statuses import EventStatus
from mosvpp_sandbox import ManualClock, Retries, Sandbox, hosts, outbox
from mosvpp_sandbox.posting import Posting
from receiving import PATIENCE_S, Received, Receiver

from .conftest import call

HEADERS = {"X-API-Key": "partner-secret", "X-Site-Group": "north"}
VERIFIER = SharedHeaders(HEADERS)
DATA, EXECUTION = "/partner/data", "/partner/execution"
DISPATCH = corpus.EXAMPLES["submit_dispatch.request.page_sample"].raw
EVENT_ID = "8A7DA4D3-5AD6-42F6-BCAD-6194BBD2F68D"


def sandbox(receiver: Receiver, clock: ManualClock, **options: Any) -> Sandbox:
    urls = {"data_push_url": receiver.url + DATA, "execution_response_url": receiver.url + EXECUTION}
    return Sandbox(clock=clock, **{**urls, "headers": HEADERS, **options})


def dispatch(vpp: Sandbox) -> None:
    path = f"/v1/api/gateway/{vpp.molecule_id}/dr"
    assert call(vpp, "POST", path, content=DISPATCH).status_code == 200


def test_both_kinds_arrive_at_their_urls_and_are_read_by_the_sdk(clock: ManualClock) -> None:
    with Receiver() as receiver, sandbox(receiver, clock, push_every=timedelta(minutes=65)) as vpp:
        dispatch(vpp)
        clock.advance(timedelta(minutes=65))
        vpp.flush()
        (pushed,), (responded,) = receiver.at(DATA), receiver.at(EXECUTION)
    push = webhooks.parse(pushed.body, pushed.headers, verifier=VERIFIER, expect="data_push")
    assert isinstance(push, DataPush)
    assert push.timestamp == clock.now()
    assert push.molecule_id == vpp.molecule_id
    assert push.metric("21000", "relay_state") == "closed"
    report = webhooks.parse(responded.body, responded.headers, verifier=VERIFIER, expect="execution_response")
    assert isinstance(report, ExecutionReport)
    result = report.result(EVENT_ID)
    assert result.status is EventStatus.COMPLETED
    assert result.executed_power is not None
    assert result.executed_power.kilowatts == 5.0
    assert not push.unknown_fields
    assert not report.unknown_fields


def test_deliveries_carry_the_configured_headers_and_say_how_sure_their_shape_is(clock: ManualClock) -> None:
    with Receiver() as receiver, sandbox(receiver, clock) as vpp:
        dispatch(vpp)
        clock.advance(timedelta(hours=2))
        vpp.flush()
    evidence = {
        DATA: "documented (push.body), sample (push.metrics)",
        EXECUTION: "inferred (execution.shape)",
    }
    for received in receiver.received:
        assert {name: received.header(name) for name in HEADERS} == HEADERS
        assert received.header("Content-Type") == "application/json"
        assert received.header("X-MosVPP-Sandbox-Evidence") == evidence[received.path]


def test_without_headers_nothing_proves_who_it_is(clock: ManualClock) -> None:
    with Receiver() as receiver, sandbox(receiver, clock, headers=None) as vpp:
        clock.advance(timedelta(minutes=1))
        vpp.flush()
        (received,) = receiver.at(DATA)
    with pytest.raises(AuthenticationError):
        webhooks.parse(received.body, received.headers, verifier=VERIFIER)


def test_pushes_come_in_the_order_of_their_times(clock: ManualClock) -> None:
    with Receiver() as receiver, sandbox(receiver, clock) as vpp:
        clock.advance(timedelta(minutes=30))
        vpp.flush()
        bodies = [received.body for received in receiver.at(DATA)]
    assert len(bodies) == 30
    assert bodies == sorted(bodies)  # each begins with its timestamp
    assert [sent.attempts for sent in vpp.sent] == [1] * 30
    assert all(sent.is_acknowledged for sent in vpp.sent)


def test_without_urls_nothing_is_sent(clock: ManualClock) -> None:
    with Sandbox(clock=clock) as vpp:
        dispatch(vpp)
        clock.advance(timedelta(hours=2))
        vpp.flush()
        assert vpp.sent == ()


# A partner that does not answer 200


AT_ONCE = Retries(pauses_s=(0, 0))


def test_a_delivery_is_tried_again_until_it_is_answered_200(clock: ManualClock) -> None:
    answers = iter([500, 202, 200])
    with Receiver(lambda _: next(answers)) as receiver, sandbox(receiver, clock, retries=AT_ONCE) as vpp:
        clock.advance(timedelta(minutes=1))
        vpp.flush()
    assert len({received.body for received in receiver.at(DATA)}) == 1
    (sent,) = vpp.sent
    assert (sent.attempts, sent.status, sent.is_acknowledged) == (3, 200, True)


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 503])
def test_after_three_attempts_a_delivery_is_given_up(clock: ManualClock, status: int) -> None:
    with Receiver(lambda _: status) as receiver, sandbox(receiver, clock, retries=AT_ONCE) as vpp:
        clock.advance(timedelta(minutes=1))
        vpp.flush()
        assert len(receiver.received) == 3
        clock.advance(timedelta(minutes=1))
        receiver.wait(DATA, 4)  # the next one is tried all the same
        vpp.flush()
    assert [(sent.status, sent.is_acknowledged) for sent in vpp.sent] == [(status, False)] * 2
    assert vpp.sent[0].reason == "the partner did not answer 200"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(clock: ManualClock, status: int) -> None:
    """The partner's secrets would go to another address."""
    with Receiver() as elsewhere:
        with (
            Receiver(lambda _: (status, {"Location": elsewhere.url + "/caught"})) as receiver,
            sandbox(receiver, clock, retries=AT_ONCE) as vpp,
        ):
            clock.advance(timedelta(minutes=1))
            vpp.flush()
        assert elsewhere.received == []
    assert [sent.status for sent in vpp.sent] == [status]


@pytest.mark.parametrize("location", ["http://xn--/", "http://[::1", "http://127.0.0.1:99999/", "//", "\xe9"])
def test_a_redirect_to_nowhere_is_an_answer_like_any_other(clock: ManualClock, location: str) -> None:
    with (
        Receiver(lambda _: (302, {"Location": location})) as receiver,
        sandbox(receiver, clock, retries=AT_ONCE) as vpp,
    ):
        for _ in range(2):
            clock.advance(timedelta(minutes=1))
            vpp.flush()
        assert vpp.is_running
    assert [(sent.status, sent.attempts) for sent in vpp.sent] == [(302, 3)] * 2


def test_whatever_goes_wrong_with_an_attempt_ends_that_attempt_only(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, faults = (
        Posting.post,
        [UnicodeError("an answer that no library expects"), KeyError("another")],
    )

    async def post(*given: Any) -> Any:
        if faults:
            raise faults.pop()
        return await real(*given)

    monkeypatch.setattr(Posting, "post", post)
    with Receiver() as receiver, sandbox(receiver, clock, retries=AT_ONCE) as vpp:
        clock.advance(timedelta(minutes=1))
        vpp.flush()
    (sent,) = vpp.sent
    assert (sent.status, sent.attempts) == (200, 3)


def test_an_endpoint_that_is_not_there_is_given_up(clock: ManualClock) -> None:
    with Receiver() as receiver:
        pass
    with sandbox(receiver, clock, retries=AT_ONCE) as vpp:
        clock.advance(timedelta(minutes=1))
        vpp.flush()
    (sent,) = vpp.sent
    assert (sent.status, sent.attempts, sent.reason) == (None, 3, "ConnectionRefusedError")


def test_pushes_that_fail_alike_are_told_once_with_their_address(
    clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Or nobody who looks at the terminal would see anything else."""
    with Receiver() as receiver:
        url = receiver.url + DATA  # where nobody listens any more
    with Sandbox(clock=clock, data_push_url=url, retries=Retries(pauses_s=()), sites=5) as vpp:
        clock.advance(timedelta(minutes=10))
        vpp.flush()
        assert len(vpp.sent) > 5
    told = [record.getMessage() for record in caplog.records if "not delivered" in record.getMessage()]
    assert len(told) == 1
    assert f"data push was not delivered to {url}: no answer" in told[0]


def test_an_endpoint_that_hangs_is_given_up_and_does_not_hold_up_the_other(
    clock: ManualClock,
) -> None:
    released = Event()

    def hang(received: Received) -> int:
        return 200 if received.path == EXECUTION or released.wait(PATIENCE_S) else 0

    retries = Retries(timeout_s=0.2, pauses_s=(0, 0))
    with (
        Receiver(hang) as receiver,
        sandbox(receiver, clock, retries=retries, push_every=timedelta(hours=2)) as vpp,
    ):
        dispatch(vpp)
        clock.advance(timedelta(hours=2))
        receiver.wait(EXECUTION)
        vpp.flush()
        released.set()
    sent = {one.delivery.kind: one for one in vpp.sent}
    assert sent["execution_response"].is_acknowledged
    assert (sent["data_push"].status, sent["data_push"].attempts) == (None, 3)
    assert sent["data_push"].reason in {"ReadTimeout", "TimeoutError"}


def test_what_waits_is_limited(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WAITING", 5)
    with Receiver() as receiver, sandbox(receiver, clock, retries=AT_ONCE) as vpp:
        clock.advance(timedelta(minutes=20))
        vpp.flush()
    dropped = [sent for sent in vpp.sent if not sent.is_acknowledged]
    assert len(dropped) + len(receiver.received) == 20
    assert len(receiver.received) in {5, 6}
    assert {(sent.attempts, sent.reason) for sent in dropped} == {(0, "5 others are waiting")}


# Hosts


@pytest.mark.parametrize("name", ["data_push_url", "execution_response_url"])
@pytest.mark.parametrize(
    "url",
    [
        "http://partner.example/data",
        "https://192.0.2.1/data",
        "http://0.0.0.0/data",
        "http://localhost.example/data",
        "http://127.0.0.1.example/data",
        "http://[2001:db8::1]/data",
    ],
)
def test_other_hosts_are_not_pushed_to_unless_named(name: str, url: str) -> None:
    with pytest.raises(ValueError, match="is not loopback; name it if you mean it"):
        Sandbox(**{name: url})
    host = url.split("/")[2].strip("[]")
    assert Sandbox(**{name: url}, allow_hosts=[host.upper()])


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://127.8.8.8/x", "http://LOCALHOST/", "https://[::1]:8443/data"]
)
def test_loopback_needs_no_name(url: str) -> None:
    assert Sandbox(data_push_url=url)


@pytest.mark.parametrize(
    "url", ["", "/data", "ftp://127.0.0.1/", "http://", "127.0.0.1:80", "http://[::1", 80]
)
def test_what_is_no_url_is_refused(url: Any) -> None:
    with pytest.raises(ValueError, match="no URL to push to"):
        Sandbox(data_push_url=url)


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="no user name or password") as caught:
        Sandbox(data_push_url="http://user:secret@127.0.0.1/")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["partner.example", "192.0.2.7", "", "::", "127.0.0.1.example"])
def test_only_loopback_is_loopback(host: str) -> None:
    assert not hosts.is_loopback(host)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-API-Key", ""),
        ("X-API-Key", "two\r\nlines"),
        ("X-API-Key", " spaced "),
        ("X-API-Key", "ü"),
        ("X API Key", "value"),
        ("", "value"),
        ("Host", "value"),
        ("content-type", "value"),
    ],
)
def test_what_cannot_be_a_header_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"header|printable ASCII"):
        Sandbox(headers={name: value})


@pytest.mark.parametrize(
    "name",
    [
        *("Transfer-Encoding", "connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade"),
        *("Expect", "Content-Encoding", "Content-Length", "CONTENT-TYPE", "host"),
    ],
)
def test_headers_that_tell_how_a_message_is_sent_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' cannot be a header of yours: it tells how"):
        Sandbox(headers={name: "chunked"})


# When it is tried again, and signatures


def test_repeats_come_by_simulated_time(clock: ManualClock) -> None:
    answers = iter([500, 500, 200])
    with (
        Receiver(lambda _: next(answers)) as receiver,
        sandbox(receiver, clock, retries=Retries(pauses_s=(60, 600)), push_every=timedelta(hours=1)) as vpp,
    ):
        for step, count in ((3600, 1), (59, 1), (1, 2), (599, 2), (1, 3)):
            clock.advance(seconds=step)
            vpp.flush()
            assert len(receiver.received) == count
    assert len({received.body for received in receiver.received}) == 1
    assert [(sent.attempts, sent.status) for sent in vpp.sent] == [(3, 200)]


def test_an_outage_of_an_hour_costs_what_the_repeats_do_not_bridge(clock: ManualClock) -> None:
    """With the default, a push is tried for 156 s."""
    is_up = [False]
    with Receiver(lambda _: 200 if is_up[0] else 503) as receiver, sandbox(receiver, clock) as vpp:
        for minute in range(70):
            is_up[0] = minute >= 60
            for _ in range(4):
                clock.advance(seconds=15)
                vpp.flush()
        clock.advance(minutes=10)
        vpp.flush()
    lost = [sent.delivery.at for sent in vpp.sent if not sent.is_acknowledged]
    start = clock.now() - timedelta(minutes=80)
    assert sorted((at - start) // timedelta(minutes=1) for at in lost) == list(range(1, 58))
    assert {sent.attempts for sent in vpp.sent if not sent.is_acknowledged} == {5}


def test_later_pushes_do_not_wait_for_one_that_is_tried_again(clock: ManualClock) -> None:
    refused = iter([500])
    with Receiver(lambda _: next(refused, 200)) as receiver, sandbox(receiver, clock) as vpp:
        for _ in range(3):
            clock.advance(minutes=1)
            vpp.flush()
    stamps = [received.body[14:34] for received in receiver.at(DATA)]
    assert len(stamps) == 4
    assert stamps[0] in stamps[1:]


@pytest.mark.parametrize("options", [{"timeout_s": 0}, {"pauses_s": (-1,)}, {"pauses_s": (float("nan"),)}])
def test_a_schedule_makes_sense(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a time-out above 0 and pauses of 0 or more"):
        Retries(**options)


def test_deliveries_are_signed_when_a_secret_is_given(clock: ManualClock) -> None:
    """By the clock of the machine, whatever simulated time is; a repeat keeps its id."""
    answers = iter([500, 200])
    secret = "whsec_" + b64encode(b"k" * 32).decode()
    options = {"signing_secret": secret, "retries": AT_ONCE}
    with Receiver(lambda _: next(answers)) as receiver, sandbox(receiver, clock, **options) as vpp:
        clock.advance(minutes=1)
        vpp.flush()
        logged = vpp.control.exchange(1)
    verifier = HmacSignature(secret)
    for received in receiver.received:
        read = webhooks.parse(received.body, received.headers, verifier=verifier)
        assert isinstance(read, DataPush)
    assert len({received.header("webhook-id") for received in receiver.received}) == 1
    assert ["webhook-signature", "••••"] in logged["headers"]


def test_without_a_secret_nothing_is_signed(clock: ManualClock) -> None:
    with Receiver() as receiver, sandbox(receiver, clock) as vpp:
        clock.advance(minutes=1)
        vpp.flush()
        (received,) = receiver.at(DATA)
    assert received.header("webhook-signature") is None


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "plain"])
def test_a_secret_that_cannot_sign_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValueError, match="secret") as caught:
        Sandbox(signing_secret=secret)
    assert not secret or secret not in str(caught.value).replace("whsec_ and", "")


def test_many_sites_share_a_few_connections_and_keep_their_order(clock: ManualClock) -> None:
    with Receiver() as receiver, sandbox(receiver, clock, sites=40, headers=None) as vpp:
        for _ in range(5):
            clock.advance(minutes=1)
            vpp.flush()
    by_site: dict[str, list[str]] = {}
    for received in receiver.at(DATA):
        body = json.loads(received.body)
        by_site.setdefault(body["molecule_id"], []).append(body["timestamp"])
    assert len(by_site) == 40
    assert all(len(stamps) == 5 and stamps == sorted(stamps) for stamps in by_site.values())
