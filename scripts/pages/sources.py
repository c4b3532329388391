"""What the site is made from: the documents of spec/, the ledger of evidence, and the examples."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from reading import read_yaml

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "spec"
PAGES_OF_MOLECULE = "https://developer.moleculesystems.com/docs/wiki/MosVPP/"

# From the surest to the least sure.
STATUSES = ("documented", "sample", "inferred", "unknown")
METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Fact:
    """One entry of the ledger."""

    id: str
    statement: str
    status: str
    source: str | None
    we_do: str
    reason: str | None = None

    @property
    def url(self) -> str | None:
        """The page of Molecule's developer site that it is from."""
        return f"{PAGES_OF_MOLECULE}{self.source}" if self.source else None


@dataclass(frozen=True)
class Example:
    """A body as on the wire, and what index.yaml says of it."""

    name: str
    raw: str
    schema: str
    shows: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    filled_in: list[str] = field(default_factory=list)
    tolerated: dict[str, str] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        """The operation that it belongs to."""
        return self.name.split(".")[0]

    @property
    def message(self) -> str:
        """`request`, `reply`, `problem` or `event`."""
        return self.name.split(".")[1]

    @property
    def case(self) -> str:
        """What distinguishes it from the other examples of the message."""
        return self.name.split(".", 2)[2]

    @cached_property
    def value(self) -> Any:
        """The decoded body."""
        return json.loads(self.raw)

    @property
    def pretty(self) -> str:
        """The body for people."""
        return json.dumps(self.value, indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Refused:
    """A body that breaks one rule, from reasons.yaml."""

    name: str
    rule: str
    path: str
    because: str
    evidence: list[str]


@dataclass(frozen=True)
class Call:
    """An operation of openapi.yaml, with its path."""

    id: str
    method: str
    path: str
    parameters: list[dict[str, Any]]
    document: dict[str, Any]


@dataclass(frozen=True)
class Webhook:
    """An operation of asyncapi.yaml, with its channel and messages resolved."""

    id: str
    address: str
    document: dict[str, Any]
    channel: dict[str, Any]
    messages: list[dict[str, Any]]


@dataclass(frozen=True)
class Sources:
    """Everything that was read."""

    openapi: dict[str, Any]
    asyncapi: dict[str, Any]
    arazzo: dict[str, Any]
    facts: dict[str, Fact]
    read_at: str
    examples: list[Example]
    refused: list[Refused]

    @property
    def version(self) -> str:
        """The version of the contract."""
        version: str = self.openapi["info"]["version"]
        return version

    @cached_property
    def calls(self) -> list[Call]:
        """What the partner calls, in the order of the document."""
        return [
            Call(
                operation["operationId"],
                method.upper(),
                path,
                [resolve(self.openapi, entry) for entry in item.get("parameters", [])],
                operation,
            )
            for path, item in self.openapi["paths"].items()
            for method, operation in item.items()
            if method in METHODS
        ]

    @cached_property
    def webhooks(self) -> list[Webhook]:
        """What Molecule calls."""
        found = []
        for name, operation in self.asyncapi["operations"].items():
            channel = resolve(self.asyncapi, operation["channel"])
            messages = [
                resolve(self.asyncapi, resolve(self.asyncapi, entry)) for entry in operation["messages"]
            ]
            found.append(Webhook(name, channel["address"], operation, channel, messages))
        return found

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """The six steps of the lifecycle."""
        steps: list[dict[str, Any]] = self.arazzo["workflows"][0]["x-lifecycle"]
        return steps

    @cached_property
    def schemas(self) -> dict[str, tuple[str, dict[str, Any]]]:
        """Every schema by its name, with the document it is from (`openapi` or `asyncapi`)."""
        return {
            name: (document, schema)
            for document in ("openapi", "asyncapi")
            for name, schema in getattr(self, document)["components"]["schemas"].items()
        }

    def of(self, operation: str, message: str) -> list[Example]:
        """The examples of a message of an operation."""
        return [
            example
            for example in self.examples
            if (example.operation, example.message) == (operation, message)
        ]


def statuses(facts: list[Fact]) -> list[str]:
    """The statuses among facts, the surest first."""
    return [status for status in STATUSES if any(fact.status == status for fact in facts)]


def resolve(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """Follow a `$ref` inside the document; what stands beside it wins."""
    reference = node.get("$ref")
    if reference is None:
        return node
    target: Any = document
    for part in reference.split("#/")[1].split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return {**target, **{key: value for key, value in node.items() if key != "$ref"}}


@cache
def load() -> Sources:
    """Read spec/."""
    ledger = read_yaml(SPEC / "evidence.yaml")
    examples = [
        Example(name, (SPEC / "examples" / f"{name}.json").read_text("utf-8"), **entry)
        for name, entry in read_yaml(SPEC / "examples/index.yaml").items()
    ]
    refused = [
        Refused(name, entry["rule"], entry["path"], entry["because"], entry["evidence"])
        for name, entry in read_yaml(SPEC / "examples/invalid/reasons.yaml").items()
        if entry["kind"] == "refused"
    ]
    return Sources(
        openapi=read_yaml(SPEC / "openapi.yaml"),
        asyncapi=read_yaml(SPEC / "asyncapi.yaml"),
        arazzo=read_yaml(SPEC / "lifecycle.arazzo.yaml"),
        facts={entry["id"]: Fact(**entry) for entry in ledger["facts"]},
        read_at=str(ledger["read_at"]),
        examples=examples,
        refused=refused,
    )
