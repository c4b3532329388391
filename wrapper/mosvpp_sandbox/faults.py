"""Faults on demand: which there are, which are switched on, and whether one strikes this time.

Whether a fault strikes follows from the seed, so that a run can be repeated. For pushes it follows from the
site and the number of the push, for calls from how many came before. `refuse` strikes before anybody can tell
what is asked for: it is on for its seconds, for everybody, and then over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from time import monotonic
from typing import Any

from .physics.surroundings import chance

__all__ = ["CALL_FAULTS", "PUSH_FAULTS", "Fault", "Faults", "read_fault"]

CALLS = frozenset({"sync_devices", "submit_dispatch", "submit_site_command"})
LARGEST = 10 * 366 * 86_400
LONGEST_REFUSAL_S = 600
PUSHES = frozenset({"receive_data_push", "receive_execution_response"})

# name → (what happens, the value when none is given, what the value is)
CALL_FAULTS: Mapping[str, tuple[str, float | None, str]] = {
    "refuse": ("nobody listens, so that no connection can be made", 5.0, "real seconds"),
    "reset": ("the connection is reset, and nothing is processed", None, ""),
    "hang": ("no answer comes, and nothing is processed", None, ""),
    "drop": ("the request is processed, then the connection is reset without an answer", None, ""),
    "drip": ("the answer comes byte by byte", 1.0, "real seconds between two bytes"),
    "truncated": ("the answer breaks off after half of its body", None, ""),
    "too_many_requests": ("429 with Retry-After in seconds, nothing is processed", 2.0, "seconds"),
    "too_many_requests_date": (
        "429 with Retry-After as a date, nothing is processed",
        2.0,
        "seconds from now",
    ),
    "unavailable": ("503 with Retry-After in seconds, nothing is processed", 2.0, "seconds"),
    "error_json": ("an error with problem details, nothing is processed", 500.0, "status"),
    "error_html": ("an error with a page of HTML, nothing is processed", 502.0, "status"),
    "error_empty": ("an error without a body, nothing is processed", 503.0, "status"),
    "gzip_bomb": ("the answer unpacks to very much", 100.0, "megabytes"),
    "clock_skew": ("the Date of answers, or the timestamp of pushes, is wrong", 600.0, "seconds ahead"),
}
PUSH_FAULTS: Mapping[str, tuple[str, float | None, str]] = {
    "duplicate": ("it is sent twice", None, ""),
    "reorder": ("it is sent after the one that follows it", None, ""),
    "delay": ("it is sent late", 300.0, "simulated seconds"),
    "lose": ("it is never sent", None, ""),
    "wrong_header": ("the partner's headers have other values", None, ""),
    "clock_skew": CALL_FAULTS["clock_skew"],
    "malformed": ("its body is cut off, so that it is no JSON", None, ""),
    "unknown": ("it is of a kind that nobody has announced", None, ""),
}


@dataclass(frozen=True)
class Fault:
    """A fault that is switched on: how likely, how often at most, and for whom.

    `value` is what `CALL_FAULTS` and `PUSH_FAULTS` say; None takes what stands there.
    """

    name: str
    probability: float = 1.0
    times: int | None = None
    operation: str | None = None
    molecule_id: str | None = None
    value: float | None = None

    def __post_init__(self) -> None:
        if self.name not in {*CALL_FAULTS, *PUSH_FAULTS}:
            msg = f"there is no fault {self.name!r}; there are {', '.join({**CALL_FAULTS, **PUSH_FAULTS})}"
            raise ValueError(msg)
        if not 0 < self.probability <= 1:
            raise ValueError("the probability of a fault is above 0 and at most 1")
        if self.times is not None and self.times < 1:
            raise ValueError("a fault strikes at least one time")
        if self.value is not None:
            self._check_value(self.value)
        limits = (self.probability, self.times, self.operation, self.molecule_id)
        if self.name == "refuse" and limits != (1, None, None, None):
            raise ValueError("refuse strikes everybody, for as many seconds as its value says")
        operations = (CALLS if self.name in CALL_FAULTS else set()) | (
            PUSHES if self.name in PUSH_FAULTS else set()
        )
        if self.operation is not None and self.operation not in operations:
            msg = f"{self.name} strikes {', '.join(sorted(operations))}, not {self.operation}"
            raise ValueError(msg)

    def _check_value(self, value: float) -> None:
        if self.name.startswith("error_") and not (value == int(value) and 400 <= value <= 599):
            msg = f"the value of {self.name} is a status from 400 to 599"
            raise ValueError(msg)
        if self.name == "clock_skew":
            if not abs(value) <= LARGEST:
                raise ValueError("a clock is at most ten years wrong")
        elif self.name == "refuse" and not 0 < value <= LONGEST_REFUSAL_S:
            msg = f"the value of refuse is above 0 and at most {LONGEST_REFUSAL_S}: it refuses you, too"
            raise ValueError(msg)
        elif not 0 <= value <= LARGEST:
            msg = f"the value of {self.name} is from 0 to {LARGEST}"
            raise ValueError(msg)

    @property
    def amount(self) -> float:
        """The value, or what stands in the table."""
        default = {**CALL_FAULTS, **PUSH_FAULTS}[self.name][1]
        return self.value if self.value is not None else default or 0.0


def read_fault(text: str) -> Fault:
    """A fault as an option says it: `drop` or `error_json:probability=0.1,times=3`. Raises `ValueError`."""
    name, _, rest = text.partition(":")
    readers: dict[str, Callable[[str], Any]] = {
        "probability": float,
        "times": int,
        "value": float,
        "operation": str,
        "molecule_id": str,
    }
    values: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in readers:
            msg = f"a fault has {', '.join(readers)}, not {key!r}"
            raise ValueError(msg)
        values[key] = readers[key](value)
    return Fault(name, **values)


class Faults:
    """The faults that are switched on, by numbers. May be used from several threads."""

    def __init__(self, seed: int = 0, changed: Callable[[], None] = lambda: None) -> None:
        self._seed = seed
        self._on: dict[int, Fault] = {}
        self._struck: dict[int, int] = {}
        self._asked: dict[int, int] = {}
        self._refused_until: dict[int, float] = {}
        self._last = 0
        self._lock = Lock()
        self._changed = changed

    def add(self, fault: Fault | str) -> int:
        """Switch one on, a name alone for one that always strikes; returns its number."""
        fault = Fault(fault) if isinstance(fault, str) else fault
        with self._lock:
            self._last += 1
            self._on[self._last] = fault
            if fault.name == "refuse":
                self._refused_until[self._last] = monotonic() + fault.amount
        self._changed()
        return self._last

    def refusing_s(self) -> float:
        """For how many real seconds more nobody is to be let in; what is over is switched off."""
        now = monotonic()
        with self._lock:
            left = {
                number: until - now for number, until in self._refused_until.items() if number in self._on
            }
            over = [number for number, seconds in left.items() if seconds <= 0]
            for number in over:
                del self._on[number]
        if over:
            self._changed()
        return max(0.0, *left.values(), 0.0)

    def remove(self, number: int) -> None:
        """Switch one off. Raises `LookupError`."""
        with self._lock:
            if self._on.pop(number, None) is None:
                msg = f"no fault has the number {number}"
                raise LookupError(msg)
        self._changed()

    def clear(self) -> None:
        """Switch all off."""
        with self._lock:
            self._on.clear()
        self._changed()

    def as_json(self) -> list[dict[str, Any]]:
        """What is switched on, and how often it has struck."""
        now = monotonic()
        with self._lock:
            return [
                {
                    "number": number,
                    **asdict(fault),
                    "value": fault.amount,
                    "struck": self._struck.get(number, 0),
                }
                for number, fault in self._on.items()
                if self._refused_until.get(number, now) >= now
            ]

    def strike(self, operation: str, molecule_id: str, key: str | None = None) -> dict[str, float]:
        """The names and values of the faults that strike now; `key` names a push."""
        if not self._on:
            return {}
        self.refusing_s()
        kinds = CALL_FAULTS if operation in CALLS else PUSH_FAULTS
        hit: dict[str, float] = {}
        spent = False
        with self._lock:
            for number, fault in list(self._on.items()):
                if fault.name not in kinds or fault.operation not in (None, operation):
                    continue
                if fault.molecule_id not in (None, molecule_id) or not self._falls(number, fault, key):
                    continue
                self._struck[number] = self._struck.get(number, 0) + 1
                hit[fault.name] = fault.amount
                if self._struck[number] == fault.times:
                    del self._on[number]
                    spent = True
        if spent:
            self._changed()
        return hit

    def _falls(self, number: int, fault: Fault, key: str | None) -> bool:
        self._asked[number] = self._asked.get(number, 0) + 1
        if fault.probability == 1:
            return True
        draw = chance(f"{self._seed}/{number}/{fault.name}/{key or self._asked[number]}")
        return (draw + 1) / 2 < fault.probability
