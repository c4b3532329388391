"""Where in the contract a difference is, in words: the operation, the part of it, the field."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from contract_diff import METHODS, Json

WORDS = {
    "description",
    "summary",
    "title",
    "example",
    "examples",
    "externalDocs",
    "tags",
    "contact",
    "license",
    "info",
}
WHERE = {
    "request": " of {}",
    "operation": " of {}",
    "reply": " in the reply of {}",
    "errors": " in the error answers of {}",
    "webhook": " of {}",
    "whole": "",
}
NAMED = {
    "headers": "the header `{}`",
    "content": "the message `{}`",
    "responses": "the answer `{}`",
    "variables": "the server variable `{}`",
    "securitySchemes": "the key `{}`",
}
THINGS = {"servers": "the server", "requestBody": "the body"}


class Walk:
    """Follows the steps of a path through a document and keeps what people would call the place."""

    def __init__(self, node: Any, steps: tuple[str, ...]) -> None:
        self.node = node
        self.thing = ""  # what it is, outside of a message
        self.message: Json = {}
        self.fields: list[str] = []
        self.form = ""  # the branch of a oneOf
        self.one_of_many = ""  # the message, where an operation has several
        self.keyword = ""  # the last step, if it is neither a name nor one of those that are understood here
        self.words = ""  # the keyword below which no program reads
        left = list(steps)
        while left:
            self._follow(left.pop(0), left)

    def _follow(self, step: str, left: list[str]) -> None:
        self._enter(step)
        self.keyword = ""
        if self.words or step in WORDS:
            self.words = self.words or step
        elif step == "schema":
            self.message, self.fields, self.form = self.node, [], ""
        elif step == "properties" and left:
            self.fields.append(left[0])
            self._enter(left.pop(0))
        elif step in NAMED and left:
            name = left[0].partition(";message=")[2]
            self.one_of_many = name if len(self.node) > 1 else ""
            self.thing = NAMED[step].format(name or left[0])
            self._enter(left.pop(0))
        elif step == "parameters" and left:
            self._enter(left.pop(0))
            self.thing = code(self.node["name"])
        elif step in ("oneOf", "anyOf", "allOf") and left:
            self._enter(left.pop(0))
            self.form = self.node.get("x-from", "")
        elif step == "security":
            self.thing = "the security requirement"
            left.clear()
        else:
            self._note(step)

    def _note(self, step: str) -> None:
        if step == "items" and self.fields:
            self.fields[-1] += "[]"
        elif step == "additionalProperties" and isinstance(self.node, dict):
            self.fields.append("*")
        elif step in THINGS:
            self.thing = THINGS[step]
        else:
            self.keyword = step

    def _enter(self, step: str) -> None:
        self.node = self.node[int(step) if isinstance(self.node, list) else step]

    def subject(self, *more: str) -> str:
        """The name of the place, or of a field in it."""
        fields = [*self.fields, *more]
        if not fields or (self.form and fields[-1].endswith("[]")):
            return f"the form `{self.form}`" if self.form else self.thing
        if fields[-1].endswith("[]"):
            return f"an item of {self.subject_of([*fields[:-1], fields[-1].removesuffix('[]')])}"
        return self.subject_of(fields)

    def subject_of(self, fields: list[str]) -> str:
        """The name of a field, or its path where the name alone could mean another."""
        unique = fields[-1] != "*" and list(_names(self.message)).count(fields[-1]) == 1
        owner = "" if unique else self.form
        name = code(fields[-1] if unique or owner else ".".join(fields))
        return f"{name} ({owner or self.one_of_many})" if owner or self.one_of_many else name


class Place(NamedTuple):
    """A place, and what is said there."""

    operations: tuple[str, ...]
    part: str  # a key of WHERE
    receives: bool  # whether the partner reads here, or sends
    security: bool
    walk: Walk
    subject: str

    @property
    def node(self) -> Any:
        """What stands there now, or stood there before."""
        return self.walk.node

    @property
    def words(self) -> str:
        """The keyword, where no program reads."""
        return self.walk.words

    def of(self, operations: Iterable[str], subject: str) -> str:
        """What follows the subject: ` of `submit_dispatch` and `sync_devices``."""
        names = sorted(set(operations))
        if not names or "the operation" in subject:
            return ""
        return (" of {}" if "the answer" in subject else WHERE[self.part]).format(listed(names))


def place_of(steps: tuple[str, ...], old: Json, new: Json) -> Place:
    """Find the place in the new documents, or in the old ones if it is gone.

    Raises:
        LookupError: it is in neither.

    """
    for document in (new, old):
        try:
            return _read(steps, document)
        except (LookupError, TypeError, ValueError):
            continue
    raise LookupError(f"neither version of the contract has {'/'.join(steps)}")


def _read(steps: tuple[str, ...], document: Json) -> Place:
    if steps[0] not in ("paths", "webhooks"):  # what holds for all operations
        walk = Walk(document, steps)
        receives = any(step.startswith("webhooks.") for step in steps)
        security = steps[0] == "security" or "securitySchemes" in steps
        return Place((), "whole", receives, security, walk, walk.subject())
    receives = steps[0] == "webhooks"
    item = document[steps[0]][steps[1]]
    methods = steps[2:3] or sorted(METHODS & item.keys())
    names = tuple(item[method]["operationId"] for method in methods)
    rest = steps[3:]
    part = _part(rest, receives=receives)
    walk = Walk(item[methods[0]], rest)
    called = f"the operation {listed(names)}"
    return Place(
        names,
        part,
        receives or part in ("reply", "errors"),
        rest[:1] == ("security",),
        walk,
        walk.subject() or (called if part == "operation" or not rest else "the body"),
    )


def _part(rest: tuple[str, ...], *, receives: bool) -> str:
    if receives:
        return "webhook"
    if rest[:1] == ("responses",) and len(rest) > 1:
        return "reply" if rest[1].startswith("2") else "errors"
    return "request" if rest[:1] in (("requestBody",), ("parameters",)) else "operation"


def _names(schema: Any) -> Iterator[str]:
    """The name of every field in a message, as often as it occurs."""
    if isinstance(schema, list):
        for item in schema:
            yield from _names(item)
    elif isinstance(schema, dict):
        yield from schema.get("properties", {})
        below = [*schema.get("properties", {}).values()]
        for part in [
            *below,
            *(schema.get(key) for key in ("items", "oneOf", "anyOf", "allOf", "additionalProperties")),
        ]:
            yield from _names(part)


def code(value: Any) -> str:
    """A value as people write it, set as code; a list of types as alternatives."""
    if isinstance(value, list):
        value = " or ".join(str(item) for item in value)
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def listed(values: Iterable[Any]) -> str:
    """Values as code: `a`, `b` and `c`."""
    *most, last = [code(value) for value in values]
    return f"{', '.join(most)} and {last}" if most else last
