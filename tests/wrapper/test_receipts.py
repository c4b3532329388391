"""What a receipt says, how surely, and what is no yes; receipts and lists as values."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

import corpus
import outgoing
from mosvpp import (
    Certainty,
    Client,
    CommandReceipt,
    DispatchReceipt,
    EventStatus,
    Outcome,
    commands,
    errors,
    kW,
)
from mosvpp.statuses import status_words
from outgoing import EVENT_ID, OTHER_ID, SCMD_ID, SITE, Clients, Server, call, dispatch_reply, reply, slot

A, P, R, U = Outcome.ACCEPTED, Outcome.PARTIALLY_ACCEPTED, Outcome.REJECTED, Outcome.UNKNOWN
ITEM, WHOLE, NOTHING = Certainty.PER_ITEM, Certainty.ENVELOPE, Certainty.HTTP_STATUS_ONLY


def submit(body: Any, *slots: Any, statuses: Any = None) -> DispatchReceipt:
    """The receipt, also of a rejection."""
    transport = httpx.MockTransport(Server(reply(200, body)))
    with Client(outgoing.KEY, base_url=outgoing.ORIGIN, transport=transport, statuses=statuses) as client:
        try:
            return client.submit_dispatch(SITE, slots or slot(), mode="test")
        except errors.RejectedError as error:
            assert isinstance(error.receipt, DispatchReceipt)  # noqa: PT017  whichever error came
            return error.receipt


def verdict(receipt: DispatchReceipt | CommandReceipt) -> tuple[Outcome, Certainty, list[Outcome]]:
    return receipt.outcome, receipt.certainty, [item.outcome for item in receipt.items]


# --- the examples

DISPATCH_EXAMPLES = {
    "accepted": (A, ITEM, [A]),
    "empty_object": (U, NOTHING, [U]),
    "envelope_only": (A, WHOLE, [A]),
    "extra_fields": (A, ITEM, [A]),
    "lower_case_id": (A, ITEM, [A]),
    "naive_time": (A, ITEM, [A]),
    "new_words": (U, NOTHING, [U]),
    "no_slots": (A, WHOLE, [A]),
    "nulls": (U, NOTHING, [U]),
    "offset_time": (A, ITEM, [A]),
    "other_case_of_keys": (A, ITEM, [A]),
    "partially_accepted": (P, ITEM, [A, R, A]),
    "rejected": (R, ITEM, [R]),
    "seven_fraction_digits": (A, ITEM, [A]),
    "slots_only": (A, ITEM, [A]),
    "without_ids": (A, WHOLE, [A]),
}
COMMAND_EXAMPLES = {
    "accepted": (A, ITEM, [A, A]),
    "empty_object": (U, NOTHING, [U, U]),
    "envelope_only": (A, WHOLE, [A, A]),
    "extra_fields": (A, ITEM, [A, A]),
    "naive_time": (A, ITEM, [A, A]),
    "nulls": (U, NOTHING, [U, U]),
    "partially_accepted": (P, ITEM, [A, R]),
    "rejected": (R, ITEM, [R, R]),
    "without_ids": (U, NOTHING, [U, U]),
}


@pytest.mark.parametrize("good", corpus.select("submit_dispatch", "reply"), ids=lambda one: one.name)
def test_every_example_of_a_dispatch_receipt_is_read(good: corpus.Example) -> None:
    listed = [item.get("event_id") for item in good.value.get("event_slots", [])]
    slots = [slot(event_id=event_id) for event_id in listed if event_id] or [slot()]
    receipt = submit(good.value, *slots)
    assert verdict(receipt) == DISPATCH_EXAMPLES[good.name.rpartition(".")[2]]
    assert receipt.slots == tuple(slots)


@pytest.mark.parametrize("good", corpus.select("submit_site_command", "reply"), ids=lambda one: one.name)
def test_every_example_of_a_command_receipt_is_read(clients: Clients, good: corpus.Example) -> None:
    try:
        receipt = call(clients.make(Server(reply(200, good.value))), "submit_site_command")
    except errors.RejectedError as error:
        receipt = error.receipt
    assert verdict(receipt) == COMMAND_EXAMPLES[good.name.rpartition(".")[2]]
    assert (receipt.scmd_id, receipt.duration_s) == (SCMD_ID, 900)


@pytest.mark.parametrize("good", corpus.select("sync_devices", "reply"), ids=lambda one: one.name)
def test_every_example_of_a_device_list_is_read(clients: Clients, good: corpus.Example) -> None:
    devices = clients.make(Server(reply(200, good.value))).sync_devices(SITE)
    listed = good.value["devices"]
    assert [device.device_id for device in devices] == [item["device_id"] for item in listed]
    assert [device.device_type for device in devices] == [item["device_type"] for item in listed]
    for device, item in zip(devices, listed, strict=True):
        assert device.name == item.get("name")
        capabilities = item.get("capabilities")
        assert device.capabilities == (None if capabilities is None else tuple(capabilities))
    assert type(devices).from_json(devices.to_json()) == devices


@pytest.mark.parametrize("bad", corpus.select(message="problem"), ids=lambda one: one.name)
def test_every_example_of_a_problem_is_an_error_of_ours(clients: Clients, bad: corpus.Example) -> None:
    assert bad.status is not None
    client = clients.make(Server(reply(bad.status, bad.value, bad.headers)), retry=outgoing.NEVER)
    with pytest.raises(errors.MosVPPError) as caught:
        call(client, bad.operation)
    error: Any = caught.value
    assert (error.status, error.problem) == (bad.status, bad.value or None)
    for name in ("title", "detail"):
        assert (bad.value.get(name) or "") in str(error)


# --- words


@pytest.mark.parametrize(("word", "status"), status_words().items(), ids=str)
def test_every_word_by_item_and_as_a_whole(word: str, status: EventStatus) -> None:
    yes = status in {"accepted", "in_progress", "completed"}
    no = status in {"rejected", "failed", "cancelled", "superseded", "opted_out"}
    outcome = A if yes else R if no else U
    assert verdict(submit(dispatch_reply(EVENT_ID, word.upper()))) == (outcome, ITEM, [outcome])
    assert verdict(submit({"status": word})) == (outcome, WHOLE, [outcome])


@pytest.mark.parametrize(("word", "status"), status_words().items(), ids=str)
def test_every_word_about_a_cancellation(word: str, status: EventStatus) -> None:
    """What was wanted is "cancelled"; "completed" does not say that the stop was heard."""
    outcome = A if status in {"accepted", "cancelled"} else R if status in {"rejected", "failed"} else U
    assert submit(dispatch_reply(EVENT_ID, word), slot().cancel()).outcome is outcome


@pytest.mark.parametrize(
    "word", ["", " ", "unknown", "queued", "acceptedd", "not accepted", "ACCEPTED?", "yes"]
)
def test_words_that_nobody_knows_are_no_yes(word: str) -> None:
    receipt = submit(dispatch_reply(EVENT_ID, word))
    assert verdict(receipt) == (U, NOTHING, [U])
    assert receipt.item(EVENT_ID).status_text == word or word == ""


# --- several items


@pytest.mark.parametrize(
    "words", list(itertools.product(["accepted", "rejected", "perhaps"], repeat=3)), ids=str
)
def test_the_outcome_of_several_items(words: tuple[str, ...]) -> None:
    slots = [slot(event_id=None) for _ in words]
    receipt = submit(
        dispatch_reply(*itertools.chain(*((s.event_id, w) for s, w in zip(slots, words, strict=True)))),
        *slots,
    )
    known = {"accepted": A, "rejected": R, "perhaps": U}
    outcomes = [known[word] for word in words]
    assert [item.outcome for item in receipt.items] == outcomes
    expected = U if U in outcomes else outcomes[0] if len(set(outcomes)) == 1 else P
    assert receipt.outcome is expected


def test_verdicts_may_come_in_any_order_and_spelling() -> None:
    body = dispatch_reply(OTHER_ID.upper(), "rejected", EVENT_ID.lower(), "accepted")
    receipt = submit(body, slot(), slot(event_id=OTHER_ID))
    assert [(item.item_id, item.outcome) for item in receipt.items] == [(EVENT_ID, A), (OTHER_ID, R)]
    for spelling in (
        EVENT_ID,
        EVENT_ID.lower(),
        EVENT_ID.replace("-", ""),
        UUID(EVENT_ID),
        f"{{{EVENT_ID}}}",
    ):
        assert receipt.item(spelling).outcome is A
    with pytest.raises(KeyError):
        receipt.item("8A7DA4D3-0000-0000-0000-000000000000")
    with pytest.raises(KeyError):
        receipt.item("no id")


CONTRADICTIONS: list[tuple[str, Any, tuple[Outcome, Certainty, list[Outcome]]]] = [
    ("no verdict on the second", dispatch_reply(EVENT_ID, "accepted", status="accepted"), (U, ITEM, [A, U])),
    (
        "a verdict on another only",
        dispatch_reply(SCMD_ID, "accepted", status="accepted"),
        (U, NOTHING, [U, U]),
    ),
    (
        "two verdicts on one",
        dispatch_reply(EVENT_ID, "rejected", EVENT_ID.lower(), "accepted", OTHER_ID, "accepted"),
        (U, ITEM, [U, A]),
    ),
    (
        "three verdicts on one",
        dispatch_reply(
            EVENT_ID, "accepted", EVENT_ID, "rejected", EVENT_ID, "accepted", OTHER_ID, "accepted"
        ),
        (U, ITEM, [U, A]),
    ),
    (
        "the same verdict twice",
        dispatch_reply(EVENT_ID, "accepted", EVENT_ID, "accepted", OTHER_ID, "accepted"),
        (A, ITEM, [A, A]),
    ),
    (
        "rejected as a whole, accepted by item",
        dispatch_reply(EVENT_ID, "accepted", OTHER_ID, "accepted", status="rejected"),
        (U, ITEM, [A, A]),
    ),
    (
        "accepted as a whole, rejected by item",
        dispatch_reply(EVENT_ID, "rejected", OTHER_ID, "rejected", status="accepted"),
        (R, ITEM, [R, R]),
    ),
    (
        "items without words, accepted as a whole",
        {"status": "accepted", "event_slots": [{"event_id": EVENT_ID}, {"event_id": OTHER_ID}]},
        (A, WHOLE, [A, A]),
    ),
    (
        "one item without words, accepted as a whole",
        {"status": "accepted", "event_slots": [{"event_id": EVENT_ID}]},
        (U, WHOLE, [A, U]),
    ),
    ("another site", {"molecule_id": "0000000000000001", "status": "accepted"}, (U, NOTHING, [U, U])),
    ("another mode", {"mode": "live", "status": "accepted"}, (U, NOTHING, [U, U])),
    ("the site in upper case", {"molecule_id": SITE.upper(), "status": "accepted"}, (A, WHOLE, [A, A])),
    ("the mode in upper case", {"mode": "TEST", "status": "accepted"}, (A, WHOLE, [A, A])),
    ("partial as a whole", {"status": "partial"}, (U, WHOLE, [U, U])),
    ("rejected as a whole", {"status": "rejected"}, (R, WHOLE, [R, R])),
    ("a number for a message", {"status": "accepted", "message": 7}, (U, NOTHING, [U, U])),
    ("an id that is no id", dispatch_reply("first", "accepted"), (U, NOTHING, [U, U])),
]


@pytest.mark.parametrize(("_", "body", "expected"), CONTRADICTIONS, ids=[name for name, *_ in CONTRADICTIONS])
def test_a_receipt_that_contradicts_itself_or_the_request_is_no_yes(_: str, body: Any, expected: Any) -> None:
    assert verdict(submit(body, slot(), slot(event_id=OTHER_ID))) == expected


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"scmd_id": SCMD_ID.lower(), "status": "accepted"}, A),
        ({"scmd_id": OTHER_ID, "status": "accepted"}, U),
        ({"molecule_id": "other", "status": "accepted"}, U),
        ({"status": "accepted", "scmd_devices": [{"device_id": "99", "status": "accepted"}]}, U),
        ({"status": "accepted", "scmd_devices": [{"device_id": 20000, "status": "accepted"}]}, U),
    ],
    ids=str,
)
def test_a_receipt_of_another_command_is_no_yes(clients: Clients, body: Any, outcome: Outcome) -> None:
    assert call(clients.make(Server(reply(200, body))), "submit_site_command").outcome is outcome


def test_device_ids_are_compared_as_they_are(clients: Clients) -> None:
    wanted = [commands.turn_on("Relay"), commands.turn_on("relay")]
    items = [{"device_id": "relay", "status": "accepted"}, {"device_id": "Relay", "status": "rejected"}]
    client = clients.make(Server(reply(200, {"scmd_devices": items})))
    receipt = client.submit_site_command(SITE, wanted, duration=timedelta(seconds=1))
    assert (receipt.item("Relay").outcome, receipt.item("relay").outcome) == (R, A)
    with pytest.raises(KeyError):
        receipt.item("RELAY")


# --- as values


def receipts() -> list[DispatchReceipt | CommandReceipt]:
    options: Any = {"base_url": outgoing.ORIGIN, "allow_live": True}
    good = httpx.MockTransport(
        Server(reply(200, outgoing.good_body("submit_site_command"), [(b"X-A", b"\xe9")]))
    )
    with Client(outgoing.KEY, transport=good, **options) as client:
        command = client.submit_site_command(
            SITE,
            [commands.charge("20000", 0.1 * kW), commands.turn_off("21000")],
            duration=timedelta(minutes=1),
        )
    return [submit(b"\x00\xff"), submit(dispatch_reply(EVENT_ID, "accepted", message="Grüße\n")), command]


def test_receipts_round_trip_through_json() -> None:
    """So that another process can cancel at 3 a.m."""
    for receipt in receipts():
        again = type(receipt).from_json(receipt.to_json())
        assert again == receipt
        assert hash(again) == hash(receipt)
        assert again.raw.body == receipt.raw.body
        assert again.raw.received_at == receipt.raw.received_at


def test_receipts_are_not_mistaken_for_each_other() -> None:
    _, dispatch, command = receipts()
    with pytest.raises(errors.RuleError):
        CommandReceipt.from_json(dispatch.to_json())
    with pytest.raises(errors.RuleError):
        DispatchReceipt.from_json(command.to_json())


def test_a_receipt_cannot_be_changed() -> None:
    for receipt in receipts():
        with pytest.raises(AttributeError):
            receipt.outcome = A


def test_a_device_list_behaves_like_one(clients: Clients) -> None:
    good = corpus.EXAMPLES["sync_devices.reply.every_device_type"]
    devices = clients.make(Server(reply(200, good.value))).sync_devices(SITE)
    assert len(devices) == 11
    assert devices
    first, second = list(devices)[:2]
    assert devices.get(first.device_id) == first
    assert devices.get("no such device") is None
    assert first.can("charge") is None, "it lists no capabilities"
    assert second.can("no such capability") is False
    empty = clients.make(Server(reply(200, {"molecule_id": SITE, "devices": []}))).sync_devices(SITE)
    assert empty, "an answer, although nobody is at home"
    assert list(empty) == []


@pytest.mark.parametrize("code", [99, -5, 2**31, 2**53 - 1])
def test_a_device_type_that_is_new_keeps_its_code(clients: Clients, code: int) -> None:
    body = {"molecule_id": SITE, "devices": [{"device_id": "1", "device_type": code}]}
    devices = clients.make(Server(reply(200, body))).sync_devices(SITE)
    [device] = devices
    assert device.device_type == code
    assert device.device_type.name.startswith("UNKNOWN_")
    assert type(devices).from_json(devices.to_json()) == devices
