"""Commands to devices, as values."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from mosvpp import DeviceCommand, commands, errors, kW, w

WITH_POWER = {"charge": commands.charge, "discharge": commands.discharge, "shed": commands.shed}
WITHOUT = {"off": commands.turn_off, "on": commands.turn_on, "restore": commands.restore}


@pytest.mark.parametrize("word", WITH_POWER)
def test_power_based_commands_carry_power(word: str) -> None:
    assert WITH_POWER[word]("20000", 5 * kW) == DeviceCommand(
        device_id="20000",
        action=word,
        power=5 * kW,
    )


@pytest.mark.parametrize("word", WITHOUT)
def test_state_based_commands_carry_none(word: str) -> None:
    made = WITHOUT[word]("21000")
    assert (made.device_id, made.action, made.power) == ("21000", word, None)
    with pytest.raises(errors.RuleError) as caught:
        DeviceCommand(device_id="21000", action=made.action, power=5 * kW)
    assert caught.value.evidence == ("command.state_no_quantity",)


@pytest.mark.parametrize("power", [None, 5, "5 kW", True])
@pytest.mark.parametrize("word", WITH_POWER)
def test_a_power_without_a_unit_is_refused(word: str, power: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        WITH_POWER[word]("20000", power)
    assert caught.value.path == "power"


@pytest.mark.parametrize("device_id", ["", None, 20000, b"20000", "\ud800", "2\udfff"], ids=ascii)
def test_a_device_id_is_a_text_that_can_be_sent(device_id: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        commands.turn_on(device_id)
    assert (caught.value.path, caught.value.evidence) == ("device_id", ("command.device_id",))


@pytest.mark.parametrize("action", ["stop", "", None, "ON", 1])
def test_an_unknown_command_is_refused(action: Any) -> None:
    with pytest.raises(errors.RuleError) as caught:
        DeviceCommand(device_id="1", action=action)
    assert caught.value.path == "action"


@given(device_id=strategies.texts.filter(bool), watts=st.floats(0, 1e300))
def test_commands_round_trip_through_json(device_id: str, watts: float) -> None:
    for made in (commands.shed(device_id, watts * w), commands.turn_on(device_id)):
        again = DeviceCommand.from_json(made.to_json())
        assert again == made
        assert hash(again) == hash(made)


def test_a_command_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        commands.turn_on("1").device_id = "2"
