"""Every way of changing the contract gets the right verdict and a plain sentence.

Each row is one edit of a document, at a dotted place, with the impact and the sentence that it must have. The rows
of a batch are planted together, since one comparison takes half a second; together they must give their sentences
and no others.
"""
# ruff: noqa: E501  a table of sentences

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

import _setup
import contract
from contract_diff import Contract, merge, read_contract

REMOVED = object()
API, EVENTS = "openapi.yaml", "asyncapi.yaml"
EVENT = "components.schemas.DispatchEvent"
DEVICE = "components.schemas.SyncedDevice"
COMMAND = "components.schemas"
DISPATCH = "paths./{molecule_id}/dr.post"
SLOT = "components.schemas.ExecutionSlot"
READING = "components.schemas.DeviceReading"


class Row(NamedTuple):
    document: str
    place: str
    value: Any  # what to write there, or a function of what was there
    impact: str
    sentence: str


def plus(*values: Any) -> Callable[[Any], list[Any]]:
    return lambda old: [*(old or []), *values]


def minus(value: Any) -> Callable[[Any], list[Any]]:
    return lambda old: [item for item in old if item != value]


TEXT = {"type": "string", "description": "New.", "x-evidence": ["api.version_label"]}
WHY = {
    "name": "why",
    "in": "query",
    "required": True,
    "schema": {"type": "string"},
    "x-evidence": ["api.version_label"],
}

BATCHES: dict[str, list[Row]] = {
    "requests, what less is allowed": [
        Row(API, f"{EVENT}.properties.priority.maximum", 98, "major",
            "`priority` of `submit_dispatch` now allows at most 98, was 99: breaking for senders."),
        Row(API, f"{EVENT}.properties.priority.minimum", 2, "major",
            "`priority` of `submit_dispatch` now asks for at least 2, was 1: breaking for senders."),
        Row(API, f"{EVENT}.properties.end_time.pattern", "Z$", "major",
            "`end_time` of `submit_dispatch` now has the pattern `Z$`, was `(Z|[+]00:00)$`: breaking for senders."),
        Row(API, f"{EVENT}.properties.event_id.format", "uri", "major",
            "`event_id` of `submit_dispatch` now has the format `uri`, was `uuid`: breaking for senders."),
        Row(API, "components.schemas.EventType.enum", minus("shed"), "major",
            "`event_type` of `submit_dispatch` no longer takes `shed`: breaking for senders."),
        Row(API, f"{EVENT}.properties.cancelled.type", "string", "major",
            "`cancelled` of `submit_dispatch` now has the type `string`, was `boolean`: breaking for senders."),
        Row(API, f"{EVENT}.x-rules", plus({"id": "short", "statement": "It is short."}), "major",
            "The rule `short` of `submit_dispatch` is new (It is short): breaking for senders."),
        Row(API, "components.schemas.DispatchRequest.properties.event_slots.maxItems", 5, "major",
            "`event_slots` of `submit_dispatch` now allows at most 5 items, had no such limit: breaking for senders."),
        Row(API, f"{COMMAND}.ChargeCommand.properties.cmd_quantity.exclusiveMinimum", 1, "major",
            "`cmd_quantity` (ChargeCommand) of `submit_site_command` now has to be more than 1, was 0: "
            "breaking for senders."),
        Row(API, f"{COMMAND}.OffCommand.properties.cmd_type.const", "stop", "major",
            "`cmd_type` (OffCommand) of `submit_site_command` is now always `stop`, was `off`: breaking for senders."),
        Row(API, f"{COMMAND}.OnCommand.properties.device_id.minLength", 3, "major",
            "`device_id` (OnCommand) of `submit_site_command` now asks for at least 3 characters, was 1: "
            "breaking for senders."),
        Row(API, f"{COMMAND}.SiteCommandItem.oneOf", lambda old: old[:-1], "major",
            "The form `RestoreCommand` of `submit_site_command` was removed: breaking for senders."),
        Row(API, f"{COMMAND}.ShedCommand.not", {"required": ["x"]}, "major",
            "The `not` of the form `ShedCommand` of `submit_site_command` is new: breaking for senders."),
        Row(API, "components.parameters.MoleculeId.schema.pattern", "^[0-9a-f]+$", "major",
            "`molecule_id` of `submit_dispatch`, `submit_site_command` and `sync_devices` now has the pattern "
            "`^[0-9a-f]+$`, was `^[0-9A-Za-z_-]+$`: breaking for senders."),
        Row(API, "paths./{molecule_id}/sitecmd.parameters", lambda old: [WHY, *old], "major",
            "`why` of `submit_site_command` is new and required: breaking for senders."),
        Row(API, f"{EVENT}.properties.mandatory.default", True, "major",
            "The `default` of `mandatory` of `submit_dispatch` is now `true`: counts as breaking, because nothing "
            "here can judge a change of `default`."),
    ],
    "requests, what more is allowed": [
        Row(API, f"{EVENT}.properties.note", TEXT, "minor", "`note` of `submit_dispatch` is new."),
        Row(API, "paths./{molecule_id}/sitecmd.parameters", lambda old: [WHY | {"required": False}, *old], "minor",
            "`why` of `submit_site_command` is new."),
        Row(API, "components.schemas.EventType.enum", plus("hold"), "minor",
            "`event_type` of `submit_dispatch` now also takes `hold`."),
        Row(API, "components.schemas.EventType.x-enum-varnames", plus("HOLD"), "", ""),
        Row(API, f"{EVENT}.properties.priority.maximum", 100, "minor",
            "`priority` of `submit_dispatch` now allows at most 100, was 99."),
        Row(API, f"{EVENT}.properties.priority.type", "number", "minor",
            "`priority` of `submit_dispatch` now has the type `number`, was `integer`."),
        Row(API, f"{EVENT}.properties.event_quantity.minimum", REMOVED, "minor",
            "`event_quantity` of `submit_dispatch` no longer has the limit `minimum`, was 0."),
        Row(API, f"{EVENT}.properties.end_time.pattern", REMOVED, "minor",
            "`end_time` of `submit_dispatch` no longer has the pattern `(Z|[+]00:00)$`."),
        Row(API, f"{EVENT}.required", minus("cancelled"), "minor",
            "`cancelled` of `submit_dispatch` is no longer required."),
        Row(API, f"{EVENT}.x-rules", lambda old: old[1:], "minor",
            "The rule `end_after_start` of `submit_dispatch` no longer holds."),
        Row(API, f"{EVENT}.additionalProperties", REMOVED, "minor",
            "An item of `event_slots` of `submit_dispatch` now allows fields that are not listed."),
        Row(API, f"{COMMAND}.SiteCommandItem.oneOf",
            plus({"$ref": "#/components/schemas/PowerUnit"}), "minor",
            "The form `PowerUnit` of `submit_site_command` is new."),
        Row(API, f"{DISPATCH}.requestBody.required", False, "minor",
            "The body of `submit_dispatch` is no longer required."),
        Row(API, f"{DISPATCH}.deprecated", True, "minor", "The operation `submit_dispatch` is now deprecated."),
    ],
    "replies and errors": [
        Row(API, f"{DEVICE}.properties.serial", TEXT, "minor", "`serial` in the reply of `sync_devices` is new."),
        Row(API, f"{DEVICE}.properties.name", REMOVED, "major",
            "`name` in the reply of `sync_devices` was removed: breaking for receivers."),
        Row(API, f"{DEVICE}.required", lambda _: ["device_type", "capabilities"], "major",
            "`device_id` in the reply of `sync_devices` may now be missing: breaking for receivers."),
        Row(API, "", "", "minor", "`capabilities` in the reply of `sync_devices` is now always there."),
        Row(API, f"{DEVICE}.properties.device_id.type", ["string", "null"], "major",
            "`device_id` in the reply of `sync_devices` now has the type `string or null`, was `string`: "
            "breaking for receivers."),
        Row(API, "components.schemas.DeviceType.enum", lambda old: [*old[1:], 50], "minor",
            "`device_type` in the reply of `sync_devices` may now also be `50`: not breaking, the set is open "
            "(`x-open-enum`), so receivers keep any value."),
        Row(API, "", "", "minor", "`device_type` in the reply of `sync_devices` is never `0` any more."),
        Row(API, f"{DEVICE}.additionalProperties", False, "minor",
            "An item of `devices` in the reply of `sync_devices` no longer allows fields that are not listed."),
        Row(API, f"{DISPATCH}.responses.409", REMOVED, "major",
            "The answer `409` of `submit_dispatch` was removed: breaking for receivers."),
        Row(API, f"{DISPATCH}.responses.202", {"description": "Later."}, "minor",
            "The answer `202` of `submit_dispatch` is new."),
        Row(API, "components.responses.ServerError.headers", REMOVED, "major",
            "The `headers` of the answer `5XX` of `submit_dispatch`, `submit_site_command` and `sync_devices` were "
            "removed: breaking for receivers."),
        Row(API, "components.schemas.DispatchReply.properties.mode.type", "string", "minor",
            "`mode` in the reply of `submit_dispatch` now has the type `string`, was `string or null`."),
    ],
    "webhooks": [
        Row(EVENTS, f"{READING}.properties.serial", TEXT, "minor", "`serial` of `receive_data_push` is new."),
        Row(EVENTS, f"{SLOT}.properties.message", REMOVED, "major",
            "`event_slots[].message` (ExecutionResponse) of `receive_execution_response` was removed: breaking for receivers."),
        Row(EVENTS, f"{READING}.required", minus("metrics"), "major",
            "`metrics` of `receive_data_push` may now be missing: breaking for receivers."),
        Row(EVENTS, f"{SLOT}.required", plus("start_time"), "minor",
            "`start_time` of `receive_execution_response` is now always there."),
        Row(EVENTS, "components.schemas.MetricValue.type", ["number", "string", "boolean"], "major",
            "`devices[].metrics.*` of `receive_data_push` now has the type `number or string or boolean`, was "
            "`number or string`: breaking for receivers."),
        Row(EVENTS, "components.schemas.DataPushPayload.properties.timestamp.format", REMOVED, "major",
            "`timestamp` of `receive_data_push` no longer has the format `date-time`: breaking for receivers."),
        Row(EVENTS, "operations.receive_execution_response.messages", lambda old: old[:1], "major",
            "The message `ExecutionResponseFlat` of `receive_execution_response` was removed: breaking for receivers."),
        Row(EVENTS, "channels.data_push.address", "/telemetry", "minor",
            "The proposed path of `receive_data_push` is now `/telemetry`, was `/data-push`."),
        Row(EVENTS, "components.securitySchemes.partnerHeader.name", "X-Other", "major",
            "The `name` of the key `webhooks.partnerHeader` is now `X-Other`, was `X-API-Key`: "
            "breaking for receivers."),
    ],
    "names and addresses": [
        Row(API, f"{DISPATCH}.operationId", "send_dispatch", "major",
            "The operation `submit_dispatch` is now called `send_dispatch`: breaking for everybody who uses its name."),
        Row(EVENTS, "operations", lambda old: {
            **{name: each for name, each in old.items() if name != "receive_data_push"},
            "receive_push": old["receive_data_push"],
        }, "major",
            "The operation `receive_data_push` is now called `receive_push`: breaking for everybody who uses its "
            "name."),
        Row(API, "paths", lambda old: {
            name.replace("sitecmd", "commands"): item for name, item in old.items()
        }, "major",
            "The operation `submit_site_command` moved to `/{molecule_id}/commands`, was at `/{molecule_id}/sitecmd`: "
            "breaking for senders."),
        Row(API, "paths./{molecule_id}/devicesync", lambda old: {
            **{name: each for name, each in old.items() if name != "get"}, "put": old["get"]
        }, "major",
            "The operation `sync_devices` (GET /{molecule_id}/devicesync) was removed: breaking for senders."),
        Row(API, "", "", "minor", "The operation `sync_devices` (PUT /{molecule_id}/devicesync) is new."),
        Row(API, "security", [], "major", "The security requirement was removed: breaking for senders."),
        Row(API, "components.securitySchemes.partnerKey.name", "X-Key", "major",
            "The `name` of the key `partnerKey` is now `X-Key`, was `X-API-Key`: breaking for senders."),
        Row(API, "servers.0.variables.api_version.default", "v2", "major",
            "The `default` of the server variable `api_version` is now `v2`, was `v1`: counts as breaking, because "
            "nothing here can judge a change of `default`."),
        Row(API, "components.schemas.PowerUnit.x-enum-varnames", ["WATT", "KW", "MW"], "major",
            "`event_unit` of `send_dispatch` no longer has the names `W` in generated code: "
            "breaking for programs that use them."),
        *(
            Row(API, "", "", "major",
                f"`cmd_unit` ({form}Command) of `submit_site_command` no longer has the names `W` in generated code: "
                "breaking for programs that use them.")
            for form in ("Charge", "Discharge", "Shed")
        ),
        Row("lifecycle.arazzo.yaml", "workflows.0.inputs.required", minus("device_id"), "major",
            "The lifecycle no longer has `required input device_id`: breaking for those who run it."),
        Row("lifecycle.arazzo.yaml", "", "", "minor", "The lifecycle now has `input device_id`."),
    ],
    "words": [
        Row(API, f"{EVENT}.properties.priority.description", "Which goes first.", "patch",
            "The description of `priority` of `submit_dispatch` was changed."),
        Row(API, f"{EVENT}.properties.priority.examples", [7], "patch",
            "The examples of `priority` of `submit_dispatch` were changed."),
        Row(API, f"{EVENT}.properties.mandatory.x-evidence", plus("dispatch.call"), "patch",
            "The evidence of `mandatory` of `submit_dispatch` now includes `dispatch.call`."),
        Row(API, f"{EVENT}.x-rules.0.statement", "It ends after it starts.", "patch",
            "The rule `end_after_start` of `submit_dispatch` has other words; what it asks for must be the same."),
        Row(EVENTS, "operations.receive_data_push.summary", "Receive it.", "patch",
            "The summary of the operation `receive_data_push` was changed."),
        Row(API, "info.description", "An API.", "patch", "The introduction was changed."),
        Row(EVENTS, "info.description", "Webhooks.", "patch", "The introduction to the webhooks was changed."),
        Row(API, "info.version", "7.0.0", "", ""),
        Row(EVENTS, "info.version", "7.0.0", "", ""),
        Row("evidence.yaml", "facts", lambda old: [{**old[0], "status": "documented"}, *old[1:]], "patch",
            "`api.no_machine_readable_description` is now documented, was inferred."),
        Row("lifecycle.arazzo.yaml", "workflows.0.summary", "Six steps.", "patch",
            "The lifecycle workflow was changed; its steps, inputs and outputs are the same."),
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def before() -> Contract:
    return read_contract(_setup.ROOT / "spec")


def planted(before: Contract, rows: list[Row]) -> Contract:
    documents = copy.deepcopy(before.documents)
    for row in rows:
        if row.place:
            *way, last = row.place.split(".")
            node: Any = documents[row.document]
            for step in way:
                node = node[int(step) if isinstance(node, list) else step]
            if row.value is REMOVED:
                del node[last]
            else:
                node[last] = row.value(node.get(last)) if callable(row.value) else row.value
    return Contract(documents, merge(documents))


def told(before: Contract, after: Contract) -> dict[str, str]:
    changes = contract.changes_between(before, after, _setup.node_tools().redocly)
    return {change.sentence: change.impact.name.lower() for change in changes}


@pytest.mark.parametrize("batch", BATCHES)
def test_each_edit_has_its_verdict_and_its_sentence(before: Contract, batch: str) -> None:
    rows = BATCHES[batch]
    assert told(before, planted(before, rows)) == {row.sentence: row.impact for row in rows if row.sentence}


def test_one_more_value_in_a_reply_breaks_receivers_who_were_not_told_to_expect_it(before: Contract) -> None:
    closed = planted(before, [Row(API, "components.schemas.DeviceType.x-open-enum", REMOVED, "", "")])
    after = planted(closed, [Row(API, "components.schemas.DeviceType.enum", plus(50), "", "")])
    assert told(closed, after) == {
        "`device_type` in the reply of `sync_devices` may now also be `50`: breaking for receivers, who may know only "
        "the values listed so far.": "major"
    }


def test_opening_a_set_breaks_receivers_and_closing_it_does_not(before: Contract) -> None:
    closed = planted(before, [Row(API, "components.schemas.DeviceType.x-open-enum", REMOVED, "", "")])
    assert list(told(before, closed).values()) == ["minor"]
    assert list(told(closed, before).values()) == ["major"]


@pytest.mark.parametrize(
    "keyword",
    {"readOnly": True, "contentEncoding": "base64", "unevaluatedProperties": False}.items(),
)
def test_what_nothing_here_can_judge_counts_as_breaking(before: Contract, keyword: tuple[str, Any]) -> None:
    after = planted(before, [Row(API, f"{DEVICE}.{keyword[0]}", keyword[1], "", "")])
    ((sentence, impact),) = told(before, after).items()
    assert impact == "major"
    assert "counts as breaking, because nothing here can judge" in sentence


def test_the_same_contract_in_another_arrangement_is_a_patch(before: Contract) -> None:
    documents = copy.deepcopy(before.documents)
    schemas = documents[API]["components"]["schemas"]
    schemas["DispatchEvent"]["properties"]["event_unit"]["$ref"] = "#/components/schemas/Unit"
    schemas["Unit"] = schemas["PowerUnit"]
    after = Contract(documents, merge(documents))
    assert told(before, after) == {
        "The documents are arranged in another way; what they say is the same.": "patch"
    }


def test_nothing_changed_is_no_change(before: Contract) -> None:
    assert told(before, planted(before, [])) == {}
