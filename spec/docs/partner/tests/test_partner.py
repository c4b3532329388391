"""The partner's tests: over real HTTP where the network matters, with built deliveries where it does not."""

from datetime import timedelta

import partner
import pytest

from mosvpp import Client


@pytest.fixture
def client(mosvpp_sandbox):
    with Client(mosvpp_sandbox.api_key, base_url=mosvpp_sandbox.url) as client:
        yield client


def test_an_event_is_asked_for_executed_and_settled(client, mosvpp_sandbox, mosvpp_site, mosvpp_clock):
    receipt = partner.shave_the_peak(client, mosvpp_site.molecule_id, mosvpp_clock.now())
    assert receipt.is_accepted

    mosvpp_clock.advance(timedelta(hours=1))
    mosvpp_sandbox.flush()  # until the sandbox has pushed everything that is due

    assert partner.settled == {receipt.slots[0].event_id: "completed"}


def test_a_word_that_nobody_has_seen_is_noted_and_not_refused(mosvpp_webhooks):
    body, headers = mosvpp_webhooks.execution_response(status="CURTAILED")
    assert partner.take(body, headers.items()) == "200 OK"
    assert set(partner.settled.values()) == {"unknown"}


def test_a_delivery_that_comes_twice_counts_once(mosvpp_webhooks):
    body, headers = mosvpp_webhooks.execution_response()
    assert [partner.take(body, headers.items()) for _ in range(2)] == ["200 OK"] * 2
    assert len(partner.kept) == 1


@pytest.mark.parametrize("how", ["wrong_secret", "missing_header"])
def test_a_forged_delivery_settles_nothing(mosvpp_webhooks, how):
    body, headers = mosvpp_webhooks.forged(mosvpp_webhooks.execution_response(), how=how)
    assert partner.take(body, headers.items()) == "401 Unauthorized"
    assert not partner.settled
