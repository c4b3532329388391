"""The physics: energy is neither made nor lost, and the figures are those that come out on paper."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp_sandbox.physics.battery import Battery
from mosvpp_sandbox.physics.device import Order
from mosvpp_sandbox.physics.loads import Relay, Thermostat
from mosvpp_sandbox.physics.meter import Meter
from mosvpp_sandbox.physics.plant import Plant
from mosvpp_sandbox.physics.solar import PvInverter
from mosvpp_sandbox.physics.surroundings import Surroundings
from mosvpp_sandbox.site_specs import generated_sites, sample_site

NOON = datetime(2024, 1, 5, 12, 0, tzinfo=UTC)
MIDNIGHT = datetime(2024, 1, 5, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
AROUND = Surroundings()
SITES = generated_sites(41, 7)


class Still(Surroundings):
    """Ten degrees outside, half of the sun, and a household of 400 W, at any time."""

    def sunshine(self, at: datetime) -> float:
        return 0.5

    def outdoor_c(self, at: datetime) -> float:
        return 10.0

    def household_kw(self, at: datetime) -> float:
        return 0.4

    def open_circuit_v(self, at: datetime) -> float:
        return 240.0


def live(device: Any, minutes: int, around: Surroundings = AROUND, begin: datetime = NOON) -> float:
    """Let a device live that long; returns the energy that it gave, in kWh."""
    given_kwh = 0.0
    for minute in range(minutes):
        device.step(begin + minute * MINUTE, 1 / 60, around)
        given_kwh += device.output_kw / 60
    return given_kwh


def battery(**values: float) -> Battery:
    return Battery(
        device_id="20000",
        name="Battery",
        **{"capacity_kwh": 10.0, "reserve_kwh": 1.0, "stored_kwh": 6.0, **values},
    )


def meter(plant: Plant) -> Meter:
    found = plant.devices["22000"]
    assert isinstance(found, Meter)
    return found


def approx(value: float) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def test_a_battery_without_an_order_waits() -> None:
    device = battery()
    assert live(device, 60) == 0
    assert device.stored_kwh == 6.0


def test_giving_out_4_kwh_takes_4_211_from_the_store() -> None:
    device = battery(efficiency=0.95)
    device.obey(Order("discharge", 4.0), NOON)
    assert live(device, 60) == approx(4.0)
    assert device.stored_kwh == approx(6.0 - 4.0 / 0.95)
    assert device.output_kw == approx(4.0)


def test_taking_in_2_kwh_stores_1_9() -> None:
    device = battery(efficiency=0.95)
    device.obey(Order("charge", 2.0), NOON)
    assert live(device, 60) == approx(-2.0)
    assert device.stored_kwh == approx(7.9)


def test_the_inverter_gives_no_more_than_it_can() -> None:
    device = battery(limit_kw=3.0)
    device.obey(Order("discharge", 1e300), NOON)
    assert live(device, 1) == approx(3.0 / 60)
    device.obey(Order("charge", math.inf), NOON)
    assert live(device, 1) == approx(-3.0 / 60)


def test_an_empty_battery_keeps_its_reserve_and_stops() -> None:
    """1 kWh above the reserve, at 90 %, is 0.9 kWh outside: at 5 kW that is 10.8 minutes."""
    device = battery(stored_kwh=2.0, efficiency=0.9)
    device.obey(Order("discharge", 5.0), NOON)
    assert live(device, 10) == approx(5.0 / 6)
    live(device, 1)
    assert device.output_kw == approx(5.0 * 0.8)  # the mean of its last minute
    assert device.stored_kwh == approx(1.0)
    assert live(device, 60) == approx(0.0)


def test_a_full_battery_takes_nothing_more() -> None:
    """Half a kWh of room, at 80 %, needs 0.625 kWh from outside."""
    device = battery(stored_kwh=9.5, efficiency=0.8)
    device.obey(Order("charge", 5.0), NOON)
    assert live(device, 60) == approx(-0.625)
    assert device.stored_kwh == approx(10.0)


def test_a_battery_below_its_reserve_gives_nothing() -> None:
    device = battery(stored_kwh=0.5)
    device.obey(Order("discharge", 5.0), NOON)
    assert live(device, 5) == 0
    assert device.stored_kwh == 0.5


def test_a_working_battery_grows_warm_and_cools_down_again() -> None:
    device = battery(temperature_c=22.0)
    device.obey(Order("discharge", 4.0), NOON)
    live(device, 45)
    assert device.temperature_c == approx(30.0 - 8.0 / math.e)
    device.obey(None, NOON)
    before = device.temperature_c
    live(device, 45)
    assert device.temperature_c == approx(22.0 + (before - 22.0) / math.e)


orders = st.none() | st.builds(Order, st.sampled_from(["charge", "discharge"]), st.floats(0, 20))


@given(st.lists(st.tuples(orders, st.integers(1, 90)), max_size=8), st.floats(0.5, 1.0), st.floats(1, 10))
def test_a_battery_neither_makes_nor_loses_energy(
    history: list[tuple[Order | None, int]], efficiency: float, stored_kwh: float
) -> None:
    device = battery(efficiency=efficiency, stored_kwh=stored_kwh)
    taken_in = given_out = 0.0
    for order, minutes in history:
        device.obey(order, NOON)
        moved = live(device, minutes)
        taken_in -= min(0.0, moved)
        given_out += max(0.0, moved)
        assert abs(device.output_kw) <= device.limit_kw + 1e-9
        assert 1.0 - 1e-9 <= device.stored_kwh <= 10.0 + 1e-9
    assert device.stored_kwh == pytest.approx(
        stored_kwh + taken_in * efficiency - given_out / efficiency, abs=1e-7
    )


def test_a_relay_remembers_when_it_was_switched_last() -> None:
    relay = Relay(device_id="21000", name="Relay", last_switch_at=MIDNIGHT, load_kw=1.5)
    assert live(relay, 60) == approx(-1.5)
    assert relay.flexible_kw == 1.5
    relay.obey(Order("off"), NOON)
    relay.obey(Order("off"), NOON + MINUTE)
    assert relay.metrics() == {"relay_state": "open", "last_switch_time": "2024-01-05T12:00:00Z"}
    assert live(relay, 60) == 0
    assert relay.flexible_kw == 0
    relay.obey(Order("on"), NOON + 2 * MINUTE)
    relay.obey(None, NOON + 3 * MINUTE)
    assert relay.metrics() == {"relay_state": "closed", "last_switch_time": "2024-01-05T12:02:00Z"}


def test_the_sun_shines_by_day_only() -> None:
    pv = PvInverter(device_id="23000", name="Roof", peak_kw=6.0)
    assert live(pv, 60, begin=MIDNIGHT) == 0
    assert pv.metrics() == {"power_output": 0.0}
    assert 0.5 < live(pv, 30, begin=NOON) * 2 < 6.0 * 0.35  # in January, at 48 degrees north
    pv.obey(Order("off"), NOON)
    assert live(pv, 60) == 0
    pv.obey(None, NOON)
    assert live(pv, 60) > 0


def test_a_room_that_is_not_heated_cools_down_exponentially() -> None:
    """21 °C inside, 10 outside, a time constant of 3 / 0.15 = 20 h: after 20 h, 10 + 11 / e."""
    room = Thermostat(device_id="24000", name="Room", loss_kw_per_k=0.15, warmth_kwh_per_k=3.0)
    room.obey(Order("off"), NOON)
    assert live(room, 20 * 60, Still()) == 0
    assert room.temperature_c == approx(10 + 11 / math.e)


def test_a_room_at_its_setpoint_gets_as_much_heat_as_it_loses() -> None:
    """0.15 kW/K × 11 K = 1.65 kW of heat, a third of which is electricity."""
    room = Thermostat(device_id="24000", name="Room")
    assert live(room, 24 * 60, Still()) == approx(-0.55 * 24)
    assert room.temperature_c == approx(21.0)
    assert room.flexible_kw == approx(0.55)


def test_a_limited_heat_pump_lets_the_room_cool_and_recovers_within_its_power() -> None:
    room = Thermostat(device_id="24000", name="Room", limit_kw=0.7)
    live(room, 1, Still())
    room.obey(Order("limit", 0.2), NOON)
    assert live(room, 60, Still()) == approx(-0.2)
    final = 10 + 0.2 * 3 / 0.15
    assert room.temperature_c == approx(final + (21.0 - final) * math.exp(-1 / 20))
    room.obey(None, NOON)
    live(room, 1, Still())
    assert room.output_kw == approx(-0.7)
    live(room, 24 * 60, Still())
    assert room.temperature_c == pytest.approx(21.0, abs=0.01)


def test_the_meter_counts_both_directions_apart() -> None:
    counter = Meter(device_id="22000", name="Meter")
    counter.measure(3.0, NOON, 0.5, Still())
    assert counter.metrics()["voltage"] == 240.0 - 1.2
    counter.measure(-2.0, NOON, 0.25, Still())
    assert counter.metrics() | {"frequency": 50} == {
        "voltage": 240.8,
        "frequency": 50,
        "power": -2.0,
        "energy_imported": 1.5,
        "energy_exported": 0.5,
    }


def test_the_meter_shows_the_balance_of_the_house() -> None:
    """Household 0.4, relay 1.2, heating 0.55, PV 3 and a battery that gives 4: 4.85 kW go to the grid."""
    plant = Plant(
        [
            Battery(device_id="20000", name="Battery"),
            Relay(device_id="21000", name="Relay", last_switch_at=NOON),
            PvInverter(device_id="23000", name="Roof"),
            Thermostat(device_id="24000", name="Room"),
            Meter(device_id="22000", name="Meter"),
        ],
        Still(),
    )
    plant.obey({"20000": Order("discharge", 4.0)}, NOON)
    for minute in range(60):
        plant.step(NOON + minute * MINUTE, 60)
    assert plant.import_kw == approx(-4.85)
    assert meter(plant).exported_kwh == approx(4.85)
    assert meter(plant).imported_kwh == 0


commands = st.dictionaries(
    st.sampled_from(["20000", "21000", "23000", "24000"]),
    st.builds(
        Order, st.sampled_from(["charge", "discharge", "on", "off", "limit", "restore"]), st.floats(0, 8)
    ),
)


@given(st.integers(0, 100), st.lists(st.tuples(commands, st.integers(1, 90)), max_size=5))
def test_over_any_history_the_energies_of_a_house_add_up(
    seed: int, history: list[tuple[dict[str, Order], int]]
) -> None:
    plant, at = sample_site().plant(MIDNIGHT, seed), MIDNIGHT
    counted = meter(plant).imported_kwh - meter(plant).exported_kwh
    drawn = 0.0
    for given_orders, minutes in history:
        plant.obey(given_orders, at)
        for _ in range(minutes):
            plant.step(at, 60)
            at += MINUTE
            drawn += (plant.household_kw - sum(device.output_kw for device in plant.devices.values())) / 60
    assert meter(plant).imported_kwh - meter(plant).exported_kwh - counted == pytest.approx(drawn, abs=1e-7)


@given(
    st.integers(0, 40),
    st.integers(0, 23),
    st.lists(st.tuples(st.floats(0, 9), st.integers(1, 90)), max_size=4),
)
def test_at_any_generated_site_energy_is_neither_made_nor_lost(
    number: int, hour: int, history: list[tuple[float, int]]
) -> None:
    """What batteries lose is what they gave and what their conversions took; the meter saw the rest."""
    plant = SITES[number].plant(MIDNIGHT, 7)
    at = MIDNIGHT + timedelta(hours=hour)
    batteries = [device for device in plant.devices.values() if isinstance(device, Battery)]
    stored = {battery.device_id: battery.stored_kwh for battery in batteries}
    through = {battery.device_id: 0.0 for battery in batteries}
    bought = used = 0.0
    for power_kw, minutes in history:
        event_type = "charge" if minutes % 2 else "discharge"
        plant.obey(plant.plan(event_type, power_kw).orders, at)
        for _ in range(minutes):
            plant.step(at, 60)
            at += MINUTE
            bought += plant.import_kw / 60
            used += (plant.household_kw - sum(one.output_kw for one in plant.devices.values())) / 60
            for battery in batteries:
                given_kwh = battery.output_kw / 60
                factor = 1 / battery.efficiency if given_kwh > 0 else battery.efficiency
                through[battery.device_id] += given_kwh * factor
                assert 0 <= battery.stored_kwh <= battery.capacity_kwh + 1e-9
                assert abs(battery.output_kw) <= battery.limit_kw + 1e-9
    for battery in batteries:
        expected = stored[battery.device_id] - through[battery.device_id]
        assert battery.stored_kwh == pytest.approx(expected, abs=1e-7)
    assert bought == pytest.approx(used, abs=1e-7)


def test_a_copy_of_a_plant_goes_its_own_way() -> None:
    plant = sample_site().plant(NOON, 0)
    told = plant.metrics()
    copy = plant.copy()
    copy.obey({"20000": Order("discharge", 5.0), "21000": Order("off")}, NOON)
    copy.step(NOON, 60)
    assert plant.metrics() == told != copy.metrics()


# What an event means for the devices


def planned(event_type: str, power_kw: float) -> dict[str, Order]:
    plant = sample_site().plant(NOON, 0)
    plant.devices["24000"].output_kw = -0.8
    return dict(plant.plan(event_type, power_kw).orders)


@pytest.mark.parametrize(
    ("event_type", "power_kw", "orders"),
    [
        ("discharge", 3.0, {"20000": Order("discharge", 3.0)}),
        ("charge", 9.0, {"20000": Order("charge", 5.0)}),
        ("shed", 0.5, {"24000": Order("limit", 0.8 - 0.5)}),
        ("shed", 0.8, {"24000": Order("limit", 0.0)}),
        (
            "shed",
            1.3,
            {"24000": Order("limit", 0.0)},
        ),  # the relay's load is 1.2, and less than half is asked for
        ("shed", 1.5, {"24000": Order("limit", 0.0), "21000": Order("off")}),
        ("shed", 100.0, {"24000": Order("limit", 0.0), "21000": Order("off")}),
        ("restore", 0.0, {}),
    ],
)
def test_an_event_is_shared_among_the_devices_that_can_follow(event_type, power_kw, orders) -> None:
    assert planned(event_type, power_kw) == orders


def test_two_batteries_share_by_what_they_can_give() -> None:
    plant = Plant(
        [Battery(device_id="1", limit_kw=1.0), Battery(device_id="2", limit_kw=3.0), Meter(device_id="3")],
        AROUND,
    )
    assert plant.plan("discharge", 2.0).orders == {"1": Order("discharge", 0.5), "2": Order("discharge", 1.5)}
    assert plant.plan("shed", 2.0).orders == {}


def test_a_plant_without_batteries_plans_nothing_for_them() -> None:
    assert Plant([Meter(device_id="3")], AROUND).plan("charge", 2.0).orders == {}


# The surroundings


def test_the_same_seed_is_the_same_day_and_another_one_is_another() -> None:
    def day(seed: int) -> list[float]:
        around = Surroundings(seed)
        times = [MIDNIGHT + timedelta(minutes=7 * step) for step in range(200)]
        ask = (
            around.sunshine,
            around.outdoor_c,
            around.household_kw,
            around.frequency_hz,
            around.open_circuit_v,
        )
        return [function(at) for at in times for function in ask]

    assert day(1) == day(1) != day(2)


@given(st.datetimes(timezones=st.just(UTC)), st.integers())
def test_the_surroundings_stay_within_reason(at: datetime, seed: int) -> None:
    around = Surroundings(seed)
    assert 0 <= around.sunshine(at) <= 1
    assert 0 <= around.outdoor_c(at) <= 26
    assert 0.1 < around.household_kw(at) < 1.5
    assert 49.9 < around.frequency_hz(at) < 50.1
    assert 238 < around.open_circuit_v(at) < 242
    assert around.household_kw(at) == around.household_kw(at.replace(second=59, microsecond=999_999))
