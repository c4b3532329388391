"""Sites from a file, from a seed and from a list; all eleven kinds of devices."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import verdicts
from mosvpp_sandbox import ManualClock, Sandbox, SiteSpec
from mosvpp_sandbox.physics.kinds import KINDS, read_device, written_device
from mosvpp_sandbox.site_specs import DEFAULT_SITE, generated_sites, read_sites, sites_from

from .conftest import due

NOON = datetime(2024, 6, 21, 11, 0, tzinfo=UTC)
CODES = [0, 1, 10, 11, 12, 13, 14, 30, 31, 40, 41]

TOWN = """
sites:
  - molecule_id: town-hall
    name: Town hall
    latitude: 52.5
    longitude: 13.4
    household_kw: 4
    push_every_s: 300
    devices:
      - {kind: battery, device_id: "1", capacity_kwh: 100, stored_kwh: 50, limit_kw: 40}
      - {kind: zigbee_switch, device_id: "2", name: Sign, capabilities: null}
  - molecule_id: shed
"""


def every_kind() -> SiteSpec:
    devices = [{"kind": kind, "device_id": str(number)} for number, kind in enumerate(KINDS)]
    return SiteSpec(molecule_id="all", devices=devices)


def test_there_is_a_kind_for_each_type_of_the_specification() -> None:
    assert [kind.device_type for kind in KINDS.values()] == CODES


def test_a_site_of_every_kind_is_listed_and_tells(call: Any) -> None:
    vpp = Sandbox(clock=ManualClock(NOON), sites=[every_kind()])
    answer = call(vpp, "GET", "/v1/api/gateway/all/devicesync").json()
    assert not verdicts.errors("openapi.yaml#/components/schemas/DeviceSyncReply", answer)
    assert [
        device["device_type"] for device in sorted(answer["devices"], key=lambda one: int(one["device_id"]))
    ] == CODES
    told = vpp.metrics()
    assert set(told) == {str(number) for number in range(1, 11)}, "a device of type 0 tells nothing"
    words = {
        "relay_state": {"open", "closed"},
        "input_state": {"active", "inactive"},
        "output_state": {"inactive"},
    }
    for metrics in told.values():
        for name, value in metrics.items():
            assert isinstance(value, float) or name == "last_switch_time" or value in words[name]


def test_a_contact_is_moved_by_the_outside_and_another_one_by_commands() -> None:
    clock = ManualClock(NOON)
    vpp = Sandbox(clock=clock, sites=[every_kind()])
    seen = set()
    for _ in range(60):
        clock.advance(minutes=5)
        seen.add(vpp.metrics()["9"]["input_state"])
    assert seen == {"active", "inactive"}
    item = {"device_id": "10", "cmd_type": "on"}
    receipt = vpp._world.command("all", {"scmd_id": "a", "scmd_secs": 60, "scmd_devices": [item]})
    assert receipt["scmd_devices"][0]["status"] == "accepted"
    assert vpp.metrics()["10"]["output_state"] == "active"
    clock.advance(minutes=1)
    assert vpp.metrics()["10"]["output_state"] == "inactive"


@pytest.mark.parametrize("kind", KINDS)
def test_a_device_is_written_as_it_is_read(kind: str) -> None:
    device = read_device({"kind": kind, "device_id": "7", "name": "It"}, NOON)
    again = read_device(json.loads(json.dumps(written_device(device))), NOON)
    assert (type(again), vars(again)) == (type(device), vars(device))


# From a file


@pytest.mark.parametrize("name", ["sites.yaml", "sites.yml", "sites.json"])
def test_sites_are_read_from_a_file(tmp_path: Path, name: str, call: Any) -> None:
    import yaml

    path = tmp_path / name
    path.write_text(json.dumps(yaml.safe_load(TOWN)) if name.endswith("json") else TOWN, "utf-8")
    vpp = Sandbox(clock=ManualClock(NOON), sites=str(path))
    assert list(vpp.sites) == ["town-hall", "shed"]
    devices = call(vpp, "GET", "/v1/api/gateway/town-hall/devicesync").json()["devices"]
    assert devices == [
        {"device_id": "1", "device_type": 10, "capabilities": ["charge", "discharge", "telemetry"]},
        {"device_id": "2", "device_type": 30, "name": "Sign"},
    ]
    assert vpp.metrics("town-hall")["1"]["state_of_charge"] == 50.0
    assert vpp.metrics("shed") == {}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "sites are a list"),
        ([], "at least one is needed"),
        ([3], r"sites\[0\]: no object"),
        ([{"molecule_id": "a", "color": 1}], r"sites\[0\]: color; a site has devices, household_kw"),
        ([{"name": "a"}], r"sites\[0\]: .*molecule_id"),
        ([{"molecule_id": "a/b"}], "letters, digits, - and _"),
        ([{"molecule_id": "a"}, {"molecule_id": "a"}], "a molecule_id occurs twice"),
        ([{"molecule_id": "a", "latitude": "north"}], r"sites\[0\]: Expected `float`"),
        ([{"molecule_id": "a", "devices": [{"device_id": "1"}] * 2}], "a device_id occurs twice"),
    ],
)
def test_a_faulty_description_is_refused_with_the_place(data: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sites_from(data)


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ({"kind": "boiler"}, "device 1: kind is one of unknown, no_control, battery"),
        ({"kind": "battery", "capacity": 3}, "device 1: a battery has no capacity; it has asked_kw"),
        ({"kind": "battery", "capacity_kwh": "much"}, "device 1: Expected `float`"),
        ({"kind": "battery", "stored_kwh": 99}, "between 0 and capacity_kwh"),
        ({"kind": "battery", "efficiency": 1.5}, "efficiency above 0 and at most 1"),
        ({"kind": "meter", "device_id": 5}, "Expected `str`"),
    ],
)
def test_a_faulty_device_is_refused_by_name(device: dict[str, Any], said: str) -> None:
    spec = SiteSpec(molecule_id="a", devices=[{"device_id": "1", **device}])
    with pytest.raises(ValueError, match=said):
        Sandbox(sites=[spec])


@pytest.mark.parametrize("content", ["{", "sites: [", "a: b: c"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / ("sites.json" if content == "{" else "sites.yaml")
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=str(path)):
        read_sites(path)


# From a seed


def test_the_first_generated_site_is_the_one_of_the_samples() -> None:
    assert generated_sites(2)[0].molecule_id == DEFAULT_SITE
    assert Sandbox(sites=3).molecule_id == DEFAULT_SITE


def test_generated_sites_follow_from_seed_and_number_alone() -> None:
    assert generated_sites(10, 7) == generated_sites(50, 7)[:10]
    assert generated_sites(10, 7)[1:] != generated_sites(10, 8)[1:]
    with pytest.raises(ValueError, match="at least one site"):
        generated_sites(0)


def test_generated_sites_are_of_all_kinds_and_sometimes_tell_no_capabilities() -> None:
    specs = generated_sites(300, 7)
    assert len({spec.molecule_id for spec in specs}) == 300
    kinds = Counter(device["kind"] for spec in specs for device in spec.devices)
    assert set(kinds) == set(KINDS)
    absent = sum("capabilities" in device for spec in specs for device in spec.devices)
    assert 0 < absent < sum(kinds.values()) / 5
    assert all(spec.plant(NOON, 7).metrics() for spec in specs[:50])


def test_many_sites_do_not_push_all_at_once() -> None:
    clock = ManualClock(NOON)
    vpp = Sandbox(clock=clock, sites=60)
    seen = []
    for _ in range(60):
        clock.advance(seconds=1)
        seen.append(len(due(vpp)))
    assert seen == [1] * 60


# Where a site is


def at(latitude: float, longitude: float, when: datetime) -> float:
    spec = SiteSpec(
        molecule_id="here",
        latitude=latitude,
        longitude=longitude,
        devices=[{"kind": "pv", "device_id": "1", "peak_kw": 10.0}],
    )
    return spec.plant(when, 0).around.sun_height(when)


def test_the_sun_depends_on_place_and_date() -> None:
    midsummer, midwinter = datetime(2024, 6, 21, 12, tzinfo=UTC), datetime(2024, 12, 21, 12, tzinfo=UTC)
    assert at(52.5, 0, midsummer) == pytest.approx(0.875, abs=0.005)  # sin of 90 - 52.5 + 23.44 degrees
    assert at(52.5, 0, midwinter) == pytest.approx(0.242, abs=0.005)  # sin of 90 - 52.5 - 23.44 degrees
    assert at(80, 0, midwinter) < 0, "polar night"
    assert at(80, 0, midsummer - timedelta(hours=12)) > 0, "midnight sun"
    assert at(-33, 151, midsummer) < 0, "it is night on the other side"
    assert at(0, 90, midsummer - timedelta(hours=6)) == pytest.approx(at(0, 0, midsummer), abs=0.01)


@pytest.mark.parametrize("place", [(91, 0), (0, 181)])
def test_a_place_is_on_earth(place: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="latitude is from -90 to 90"):
        SiteSpec(molecule_id="a", latitude=place[0], longitude=place[1]).plant(NOON, 0)
