"""What is found out before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from manual_clock import START
from mosvpp import MW, EventSlot, charge, discharge, kW, restore, shed, w
from mosvpp.errors import RuleError
from mosvpp.fleet import Journal, Plan, SiteFacts, plan_dispatch
from mosvpp.fleet._journal_rows import Note
from mosvpp.fleet.entries import Answered, Sent
from mosvpp.models import Device, DeviceType
from mosvpp.units import Power

HOUR = timedelta(hours=1)
SITES = ["a", "b", "c"]


class Known(dict[str, SiteFacts]):
    """A registry."""

    def facts(self, molecule_ids: Sequence[str]) -> Mapping[str, SiteFacts]:
        return {one: self[one] for one in molecule_ids if one in self}


def device(device_id: str, capabilities: Sequence[str] | None) -> Device:
    listed = None if capabilities is None else tuple(capabilities)
    return Device(device_id=device_id, device_type=DeviceType(10), capabilities=listed)


def site(*devices: Device, rating: Power | None = None) -> SiteFacts:
    return SiteFacts(devices=devices, rating=rating)


ABLE = site(device("20000", ["charge", "discharge"]), rating=10 * kW)


def an_event(power: Power = 5 * kW, *, start: timedelta = HOUR, priority: int = 10) -> EventSlot:
    return discharge(power, start=START + start, duration=HOUR, priority=priority)


def plan(slot: object = None, sites: Sequence[str] = SITES, **options: object) -> Plan:
    known: dict[str, object] = {"mode": "live", "allow_live": True, "total_ceiling": 1 * MW, "now": START}
    known["registry"] = Known(dict.fromkeys(sites, ABLE))
    return plan_dispatch(sites, slot or an_event(), **(known | options))


def found(made: Plan) -> dict[str, str]:
    return {one.code: one.level for one in made.findings}


def test_a_plan_without_a_fault_says_so() -> None:
    made = plan()
    assert found(made) == {}
    assert made.is_executable
    assert "Nothing speaks against it." in str(made)
    assert "moves real devices" in str(made)
    assert "15 kW in total" in str(made)


def test_a_live_plan_must_be_meant() -> None:
    made = plan(allow_live=False, accept=["arming"])
    assert found(made) == {"arming": "error"}
    assert not made.is_executable
    assert plan(mode="test", allow_live=False).is_executable


def test_a_live_plan_without_a_ceiling_is_told_so() -> None:
    assert found(plan(total_ceiling=None)) == {"no_ceiling": "warning"}


@pytest.mark.parametrize(
    ("devices", "finding"),
    [
        ([device("21000", ["on", "off"])], {"capability": "error"}),
        ([device("21000", ["on"]), device("20000", ["discharge"])], {}),
        ([device("21000", ["on"]), device("20000", None)], {"capability_unknown": "warning"}),
        ([], {"capability": "error"}),
    ],
)
def test_a_site_needs_a_device_for_the_event(devices: list[Device], finding: dict[str, str]) -> None:
    made = plan(sites=["a"], registry=Known(a=site(*devices)))
    assert found(made) == finding


def test_what_cannot_is_named() -> None:
    made = plan(sites=["a"], registry=Known(a=site(device("21000", ["on", "off"]))))
    assert "21000: listed without discharge" in str(made)
    assert "(a)" in str(made)


def test_to_go_back_to_normal_needs_no_device() -> None:
    slot = restore(start=START + HOUR, duration=HOUR, priority=1)
    assert found(plan(slot, sites=["a"], registry=Known(a=site(device("1", ["on"]))))) == {}


def test_sites_of_which_nothing_is_known_are_warned_of() -> None:
    assert found(plan(registry=Known())) == {"never_synchronized": "warning"}
    assert found(plan(registry=None)) == {"no_registry": "warning"}


@pytest.mark.parametrize(
    ("power", "finding"),
    [
        (10 * kW, {}),
        (11 * kW, {"rating": "error"}),
        (5 * MW, {"unit_slip": "error"}),
        (5 * w, {"unit_slip": "warning"}),
    ],
)
def test_a_site_is_not_asked_for_more_than_it_is_rated_for(power: Power, finding: dict[str, str]) -> None:
    assert found(plan(an_event(power), total_ceiling=100 * MW)) == finding


def test_a_site_that_differs_a_thousandfold_from_the_others_is_found() -> None:
    slot = an_event()
    slots = {"a": slot, "b": slot.replace(power=4 * kW), "c": slot.replace(power=5 * MW)}
    made = plan(
        slots, registry=Known(dict.fromkeys(SITES, site(*(ABLE.devices or ())))), total_ceiling=9 * MW
    )
    (one,) = made.findings
    assert (one.code, one.level, one.molecule_ids) == ("unit_slip", "error", ("c",))


def test_ceilings_hold_for_a_site_and_for_all_together() -> None:
    assert found(plan(site_ceiling=4 * kW)) == {"site_ceiling": "error"}
    assert found(plan(total_ceiling=14 * kW)) == {"total_ceiling": "error"}
    assert found(plan(total_ceiling=15 * kW)) == {}


def test_sending_must_be_over_before_the_start() -> None:
    assert found(plan(rate=3 / 3600)) == {}
    made = plan(rate=2 / 3600)
    assert found(made) == {"lead_time": "error"}
    assert made.findings[0].molecule_ids == ("c",)
    assert found(plan(rate=3 / 3600, lead=timedelta(seconds=1))) == {"lead_time": "error"}
    assert found(plan(an_event(start=timedelta(0)))) == {"started": "error"}


def test_what_starts_first_is_sent_first() -> None:
    slots = {"a": an_event(start=3 * HOUR), "b": an_event(start=HOUR), "c": an_event(start=2 * HOUR)}
    assert plan(slots).molecule_ids == ("b", "c", "a")


def test_an_error_may_be_accepted_and_stays_a_warning() -> None:
    made = plan(an_event(11 * kW), accept=["rating"])
    assert found(made) == {"rating": "warning"}


def sent(journal: Journal, slot: EventSlot, *sites: str, verdict: str = "accepted") -> None:
    earlier = plan(slot, sites=sites, total_ceiling=None)
    for pending in journal.record(earlier, mode="live", plan=earlier.hash):
        pending.result()
    for one in journal.find(plan=earlier.hash):
        body = (
            f'{{"mode":"live","event_slots":[{{"event_id":"{slot.event_id}","start_time":"{slot.start:%FT%TZ}",'
            f'"end_time":"{slot.end:%FT%TZ}","event_type":"{slot.event_type.value}","event_quantity":5.0,'
            f'"event_unit":"kW","priority":{slot.priority},"mandatory":{str(slot.mandatory).lower()},'
            f'"cancelled":false}}]}}'
        )
        journal.begin(one.number, Sent(at=START, revision=1, body=body)).result()
        journal.note(Note(one.number, Answered(at=START, revision=1, verdict=verdict))).result()


@pytest.mark.parametrize(
    ("other", "finding"),
    [
        (an_event(start=HOUR / 2, priority=20), {"overlap": "warning"}),
        (an_event(start=HOUR / 2, priority=10), {"overlap": "error"}),
        (an_event(start=HOUR / 2, priority=20).replace(mandatory=True), {"overlap": "error"}),
        (an_event(start=2 * HOUR), {}),
        (charge(5 * kW, start=START + 2 * HOUR, duration=HOUR, priority=1), {"back_to_back": "warning"}),
        (charge(5 * kW, start=START, duration=HOUR, priority=1), {"back_to_back": "warning"}),
        (an_event(start=3 * HOUR), {}),
    ],
)
def test_another_event_at_the_same_site_is_seen(
    journal: Journal, other: EventSlot, finding: dict[str, str]
) -> None:
    sent(journal, other, "b")
    made = plan(journal=journal)
    assert found(made) == finding
    assert all(one.molecule_ids == ("b",) for one in made.findings)


def test_an_event_that_was_refused_or_cancelled_is_in_nobodys_way(journal: Journal) -> None:
    sent(journal, an_event(start=HOUR / 2), "a", verdict="rejected")
    other = an_event(start=HOUR / 2)
    sent(journal, other, "b")
    journal.resolve("b", other.event_id, "cancelled", reason="called")
    assert found(plan(journal=journal)) == {}


def test_an_event_is_not_sent_twice_unawares(journal: Journal) -> None:
    slot = an_event()
    sent(journal, slot, "a")
    assert found(plan(slot, journal=journal)) == {"sent_before": "error"}
    assert found(plan(slot, journal=journal, accept=["sent_before"])) == {"sent_before": "error"}
    assert found(plan(slot, journal=journal, update=True)) == {"sent_again": "warning"}
    assert found(plan(slot, journal=journal, mode="test")) == {"other_mode": "error"}
    journal.resolve("a", slot.event_id, "completed", reason="meter")
    assert found(plan(slot, journal=journal, update=True)) == {"finished": "error"}


def test_a_cancelled_event_stays_cancelled(journal: Journal) -> None:
    slot = an_event()
    sent(journal, slot, "a")
    journal.forbid(event_id=slot.event_id)
    assert found(plan(slot, journal=journal, update=True)) == {"cancelled": "error"}


@pytest.mark.parametrize("slots", ["one", "several"])
def test_a_plan_goes_to_json_and_back(slots: str) -> None:
    slot = an_event()
    wanted: object = (
        slot if slots == "one" else {one: slot.replace(priority=10 + n) for n, one in enumerate(SITES)}
    )
    made = plan(wanted, total_ceiling=None)
    assert Plan.from_json(made.to_json()) == made


def test_a_plan_that_was_changed_is_refused() -> None:
    text = plan().to_json()
    with pytest.raises(RuleError, match="changed"):
        Plan.from_json(text.replace('"5.0 kW"', '"50.0 kW"'))
    with pytest.raises(RuleError):
        Plan.from_json("{}")


def test_the_hash_speaks_of_what_would_be_sent_and_of_nothing_else() -> None:
    slot = an_event()
    same = plan(slot).hash
    assert plan(slot, now=START + timedelta(minutes=1), rate=9, total_ceiling=None).hash == same
    assert plan(dict.fromkeys(SITES, slot)).hash == same
    for other in (
        plan(slot, sites=SITES[:2]),
        plan(slot, mode="test"),
        plan(slot.replace(power=6 * kW)),
        plan(slot, update=True),
    ):
        assert other.hash != same


@pytest.mark.parametrize(
    ("sites", "slot", "options"),
    [
        ([], None, {}),
        (["a", "A"], None, {}),
        (["a/b"], None, {}),
        (SITES, {"a": an_event()}, {}),
        (["a"], {"a": an_event(), "b": an_event()}, {}),
        (SITES, an_event().cancel(), {}),
        (SITES, an_event().replace(priority=100), {}),
        (SITES, None, {"rate": 0}),
        (SITES, None, {"mode": "dry"}),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(
    sites: list[str], slot: object, options: dict[str, object]
) -> None:
    with pytest.raises(RuleError):
        plan_dispatch(sites, slot or an_event(), **({"mode": "test", "now": START} | options))


def test_all_types_have_their_total() -> None:
    slots = {
        "a": shed(3 * kW, start=START + HOUR, duration=HOUR, priority=1),
        "b": charge(500 * w, start=START + HOUR, duration=HOUR, priority=1),
    }
    made = plan(slots, sites=["a", "b"], registry=None)
    assert {kind.value: power.kilowatts for kind, power in made.totals().items()} == {
        "shed": 3,
        "charge": 0.5,
    }
