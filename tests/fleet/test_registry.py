"""The registry of devices: what changed since the last device sync, in both stores."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manual_clock import START, ManualClock
from mosvpp import Client, errors, kW, w
from mosvpp._answers import Answer
from mosvpp.fleet.registry import DeviceRegistry
from mosvpp.models import Device, DeviceList, DeviceType
from mosvpp_sandbox import Sandbox
from postgresql import PostgresServer

SITE = "fecd0001c031e7e8"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(params=["sqlite", "postgresql"])
def registry(request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock) -> Iterator[DeviceRegistry]:
    url = f"sqlite:///{tmp_path}/fleet.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("server").url()
    with DeviceRegistry(url, clock=clock) as opened:
        yield opened


def device(
    id_: str, kind: int = 10, name: str | None = "Battery", can: tuple[str, ...] | None = ("charge",)
) -> Device:
    return Device(device_id=id_, device_type=DeviceType(kind), name=name, capabilities=can)


def reported(*devices: Device, site: str = SITE) -> DeviceList:
    raw = Answer(status=200, headers={}, body=b"", received_at=START)
    return DeviceList(molecule_id=site, devices=devices, raw=raw)


def test_the_first_list_adds_every_device_and_the_same_again_changes_nothing(
    registry: DeviceRegistry,
) -> None:
    assert registry.devices(SITE) is None
    found = registry.note(reported(device("2"), device("1")))
    assert [(one.device_id, one.change, one.before) for one in found] == [
        ("1", "added", None),
        ("2", "added", None),
    ]
    assert registry.note(reported(device("2"), device("1"))) == []
    assert registry.devices(SITE) == (device("2"), device("1")), "in Molecule's order"


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        (device("1", name="Other"), ["renamed"]),
        (device("1", name=None), ["renamed"]),
        (device("1", kind=11), ["type_changed"]),
        (device("1", kind=99), ["type_changed"]),
        (device("1", can=("charge", "discharge")), ["capabilities_changed"]),
        (device("1", can=None), ["capabilities_changed"]),
        (device("1", can=()), ["capabilities_changed"]),
        (device("1", kind=12, name="X", can=None), ["renamed", "type_changed", "capabilities_changed"]),
    ],
    ids=str,
)
def test_each_change_has_its_word(
    registry: DeviceRegistry, clock: ManualClock, after: Device, changes: list[str]
) -> None:
    registry.note(reported(device("1")))
    clock.advance(60)
    found = registry.note(reported(after))
    assert [one.change for one in found] == changes
    assert {(one.before, one.after, one.at) for one in found} == {
        (device("1"), after, START + timedelta(seconds=60))
    }
    assert registry.devices(SITE) == (after,)


def test_the_order_of_capabilities_means_nothing(registry: DeviceRegistry) -> None:
    registry.note(reported(device("1", can=("a", "b"))))
    assert registry.note(reported(device("1", can=("b", "a")))) == []


def test_what_is_gone_is_removed_and_may_come_back(registry: DeviceRegistry) -> None:
    registry.note(reported(device("1")))
    assert [one.change for one in registry.note(reported())] == ["removed"]
    assert registry.devices(SITE) == ()
    registry.note(reported(device("1")))
    assert [one.change for one in registry.history(SITE)] == ["added", "removed", "added"]
    assert list(registry.history("another")) == []


def test_a_site_that_fails_keeps_what_was_known(registry: DeviceRegistry, clock: ManualClock) -> None:
    with Sandbox() as vpp, Client(vpp.api_key, base_url=vpp.url) as client:
        site = vpp.molecule_id
        registry.note(reported(device("1"), site="not-a-site"))
        done: list[int] = []
        clock.advance(60)
        report = registry.sync([site, "not-a-site", site], client, on_progress=done.append)
        assert (report.synced, done) == (1, [1, 2])
        assert isinstance(report.failed["not-a-site"], errors.RejectedError)
        listed = client.sync_devices(site)
        assert registry.devices(site) == listed.devices
        assert {one.device_id for one in report.changes} == {one.device_id for one in listed}
        assert registry.devices("not-a-site") == (device("1"),)
        assert registry.sites() == {site: START + timedelta(seconds=60), "not-a-site": START}
        assert registry.sync([site], client).changes == ()


def test_a_store_that_fails_is_not_taken_for_a_site(tmp_path: Path) -> None:
    registry = DeviceRegistry(f"sqlite:///{tmp_path}/fleet.db")
    with (
        Sandbox() as vpp,
        Client(vpp.api_key, base_url=vpp.url) as client,
        pytest.raises(errors.StoreError, match="not open"),
    ):
        registry.sync([vpp.molecule_id], client)


DEVICES = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(
        st.sampled_from([0, 10, 99]),
        st.sampled_from([None, "n", "m"]),
        st.sampled_from([None, (), ("charge",)]),
    ),
)


@given(st.lists(DEVICES, max_size=5))
def test_the_history_leads_to_the_present(
    lists: list[dict[str, tuple[int, str | None, tuple[str, ...] | None]]],
) -> None:
    """Whoever replays the changes has the devices that the registry has."""
    replayed: dict[str, Device] = {}
    with DeviceRegistry("sqlite://") as registry:
        for one in lists:
            registry.note(reported(*(device(id_, *more) for id_, more in one.items())))
        for change in registry.history():
            if change.after is None:
                del replayed[change.device_id]
            else:
                replayed[change.device_id] = change.after
        present = registry.devices(SITE) or ()
    assert replayed == {device.device_id: device for device in present}


def test_a_plan_is_told_devices_and_ratings(registry: DeviceRegistry) -> None:
    """Ids are compared without their case, as journals do, and given back as they were asked for."""
    registry.note(reported(device("20000"), device("10000")))
    registry.note(reported(site="empty"))
    registry.declare_ratings({SITE.upper(): 5 * kW, "rated": 4800 * w})
    facts = registry.facts([SITE.upper(), "empty", "rated", "stranger"])
    assert list(facts) == [SITE.upper(), "empty", "rated"]
    known = facts[SITE.upper()]
    assert known.devices is not None
    assert [one.device_id for one in known.devices] == ["20000", "10000"]
    assert known.rating == 5 * kW
    assert (facts["empty"].devices, facts["empty"].rating) == ((), None)
    assert (facts["rated"].devices, facts["rated"].rating) == (None, 4800 * w)


def test_a_rating_is_replaced_and_forgotten(registry: DeviceRegistry) -> None:
    registry.declare_ratings({"A": 5 * kW, "b": 1 * kW})
    registry.declare_ratings({"a": 0.1 * kW, "B": None})
    assert registry.ratings() == {"a": 0.1 * kW}
    with pytest.raises(errors.RuleError):
        registry.declare_ratings({"c": 5})


def test_facts_of_many_sites(registry: DeviceRegistry) -> None:
    several = [f"site-{number}" for number in range(1_200)]
    registry.declare_ratings(dict.fromkeys(several, 1 * kW))
    assert list(registry.facts(several)) == several
