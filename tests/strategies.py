"""Hypothesis strategies that tests share: what may arrive at the partner's endpoints, good and bad."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import strategies as st

# Half of a character cannot be sent as UTF-8; what comes of it as an escape is `lone_surrogates`.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.sampled_from(["state_of_charge", "power_output", "temperature", "a.b", '"', "ü", ""]) | texts
finite = st.floats(allow_nan=False, allow_infinity=False)
metric_values = finite | st.integers(-(2**70), 2**70) | texts
uuids = st.uuids().map(str) | st.uuids().map(lambda value: str(value).upper())
units = st.sampled_from(["w", "kW", "MW", "kWh", "W", "mW", ""])
status_words = st.sampled_from(
    ["received", "ACCEPTED", "In Progress", "completed", "failed", "partial", "opt-out", "perhaps", ""]
)
times = st.sampled_from(
    [
        "2024-01-05T00:15:00Z",
        "2024-01-05T01:15:00+01:00",
        "2024-01-05T00:15:00",
        "2024-01-05T00:15:00.1234567Z",
        "2024-01-05 00:15:00.9999999Z",
        "2024-01-05T00:15Z",
    ]
)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | finite | texts
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
readings = st.fixed_dictionaries(
    {"device_id": texts, "metrics": st.dictionaries(names, metric_values, max_size=4)}
)


def _or_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


_devices = st.lists(
    st.fixed_dictionaries(
        {"device_id": texts},
        optional={
            "status": _or_null(status_words),
            "message": _or_null(texts),
            "executed_quantity": _or_null(finite),
            "event_unit": _or_null(units),
        },
    ),
    max_size=3,
)
_result = {
    "status": _or_null(status_words),
    "message": _or_null(texts),
    "start_time": _or_null(times),
    "end_time": _or_null(times),
    "executed_quantity": _or_null(finite),
    "event_unit": _or_null(units),
    "devices": _or_null(_devices),
}
_envelope = {
    "molecule_id": _or_null(texts),
    "mode": _or_null(st.sampled_from(["test", "live", "drill"])),
    "timestamp": _or_null(times),
    "status": _or_null(status_words),
    "message": _or_null(texts),
}
slots = st.fixed_dictionaries({"event_id": uuids | texts}, optional=_result)

data_pushes = st.fixed_dictionaries(
    {"timestamp": times, "molecule_id": texts, "devices": st.lists(readings, max_size=4)}
)
execution_responses = st.fixed_dictionaries(
    {"event_slots": st.lists(slots, max_size=3)}, optional=_envelope
) | st.fixed_dictionaries({"event_id": uuids | texts}, optional=_envelope | _result)
deliveries = data_pushes | execution_responses


@st.composite
def spelled(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """JSON of a value with white space in any place, with escapes, and now and then with a key twice.

    One number says how it is spelled, which is far quicker than a choice for each place; 0 is plain.
    """
    value = draw(values)
    style = draw(st.integers(0, 2**32 - 1))
    if not style:
        return json.dumps(value, separators=(",", ":")).encode()
    chance = Random(style)
    spaces = chance.choice([[""], ["", "", " ", "\n", "\r\n", "\t"]])
    twice = chance.random() < 0.1

    def space() -> str:
        return chance.choice(spaces)

    def text(value: str) -> str:
        plain = json.dumps(value, ensure_ascii=chance.random() < 0.5)
        if value and value.isascii() and value.isalpha() and chance.random() < 0.05:
            return plain.replace(value[0], f"\\u{ord(value[0]):04x}", 1)
        return plain

    def spell(value: Any) -> str:
        if isinstance(value, dict):
            items = list(value.items())
            if items and twice and chance.random() < 0.5:
                items.append(chance.choice(items))
            inside = ",".join(
                f"{space()}{text(key)}{space()}:{space()}{spell(item)}{space()}" for key, item in items
            )
            return "{" + inside + space() + "}"
        if isinstance(value, list):
            return "[" + ",".join(f"{space()}{spell(item)}{space()}" for item in value) + "]"
        return text(value) if isinstance(value, str) else json.dumps(value)

    return (space() + spell(value) + space()).encode()


_odd_bits = st.sampled_from(
    [
        *(b"NaN", b"-Infinity", b"1e400", b"9" * 400, b"01", b'"\\ud800"', b"\xed\xa0\x80", b"\xff", b"\x00"),
        *(b"{", b"[", b"]", b"}", b",", b'"', b"\\", b'":', b'\\":', b'"a" :1,', b"\xef\xbb\xbf"),
        b"[" * 70 + b"]" * 70,
    ]
)


@st.composite
def damaged(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """A body with something cut out, and something odd put in its place."""
    body = draw(bodies)
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 8)))
    return body[:start] + draw(_odd_bits | st.binary(max_size=4)) + body[end:]


_one_key_more = st.sampled_from(
    [
        b'"x":1,',
        b'"x":{"a":1,"a":1},',
        b'"molecule_id":"b",',
        b'"molecule_id" :"b",',
        b'"molecule_id"\n:"b",',
        b'"molecule_i\\u0064"\t:"b",',
        b'"device_id"\r\n:"b",',
        b'"metrics" :{},',
        b'"a":1,',
        b'"a" :1,',
        b'"\\u0061":"\\":",',
        b" ",
    ]
)


@st.composite
def nearly_plain_pushes(draw: st.DrawFn) -> bytes:
    """A push as it should be, compactly written, into which up to two keys too many may have slipped."""
    push = draw(data_pushes)
    push["timestamp"] = "2024-01-05T00:15:00Z"
    body = json.dumps(push, separators=(",", ":"), ensure_ascii=draw(st.booleans())).encode()
    for _ in range(draw(st.integers(0, 2))):
        objects = [index + 1 for index, byte in enumerate(body) if byte == ord("{")]
        place = draw(st.sampled_from(objects))
        body = body[:place] + draw(_one_key_more) + body[place:]
    return body


bodies = spelled(deliveries)
hostile_bodies = (
    st.binary(max_size=64)
    | damaged(bodies)
    | damaged(damaged(bodies))
    | spelled(json_values)
    | spelled(
        st.dictionaries(st.sampled_from(["timestamp", "devices", "EventId", "event_slots", "x"]), json_values)
    )
)

_header_names = st.sampled_from(
    ["X-API-Key", "x-api-key", "webhook-id", "Webhook-Timestamp", "webhook-signature", "Host", "\u017f", ""]
)
_header_texts = st.text(max_size=20) | st.sampled_from(
    ["1704413700", "v1,", "v1, v1,", "1_0", "١٢٣", "-1", "9" * 13]
)
_header_values = _header_texts | st.binary(max_size=20)
header_pairs = st.lists(
    st.tuples(_header_names | _header_names.map(lambda name: name.encode()), _header_values), max_size=6
)
header_mappings = st.dictionaries(
    _header_names, _header_values | st.lists(_header_values, max_size=2), max_size=5
)
hostile_headers = header_pairs | header_mappings
