"""What a difference means: which version it asks for, for whom it breaks something, in a plain sentence.

Read from the partner's chair. What the partner sends (requests) breaks for *senders* when less is
allowed, what it reads (replies, errors, webhooks) breaks for *receivers* when more may come or less is
promised:

                               request   reply, error, webhook
    a new optional field       minor     minor
    a field removed            major     major
    a field now required       major     minor: one more promise
    a field no longer so       minor     major
    tighter limits             major     minor
    wider limits               minor     major
    one more value in an enum  minor     major, but minor with `x-open-enum`: readers keep any value
    other words                patch     patch

`redocly diff` knows tighter from wider. What neither it nor this module judges counts as breaking.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from contract_diff import Contract, Edit
from contract_places import WORDS, Place, code, listed, place_of
from versions import Impact


class Change(NamedTuple):
    """One line of the change notes."""

    impact: Impact
    sentence: str


class Verdict(NamedTuple):
    """A change at one place; `why` is said of what breaks, and by itself says for whom."""

    impact: Impact
    subject: str
    predicate: str
    why: str = ""


LIMITS = {
    "maximum": "allows at most {}",
    "minimum": "asks for at least {}",
    "exclusiveMaximum": "has to be less than {}",
    "exclusiveMinimum": "has to be more than {}",
    "maxLength": "allows at most {} characters",
    "minLength": "asks for at least {} characters",
    "maxItems": "allows at most {} items",
    "minItems": "asks for at least {} items",
    "maxProperties": "allows at most {} fields",
    "minProperties": "asks for at least {} fields",
}
JUDGED = {"multipleOf", "uniqueItems"}  # by redocly, as are the limits, in both directions
PATCH, MINOR, MAJOR = Impact.PATCH, Impact.MINOR, Impact.MAJOR


def changes_of(edits: Iterable[Edit], old: Contract, new: Contract) -> list[Change]:
    """Every change, the gravest first; what is true of several operations is said once."""
    told: dict[tuple[Verdict, str], tuple[Place, list[str]]] = {}
    for edit in edits:
        place = place_of(edit.steps, old.merged, new.merged)
        for verdict in _judge(edit, place):
            key = (verdict, place.part + "/reads" * place.receives)
            told.setdefault(key, (place, []))[1].extend(place.operations)
    lines = {_sentence(verdict, place, operations) for (verdict, _), (place, operations) in told.items()}
    return sorted(lines, key=lambda line: (-line.impact, line.sentence.lower()))


def _sentence(verdict: Verdict, place: Place, operations: list[str]) -> Change:
    breaking = f"breaking for {'receivers' if place.receives else 'senders'}"
    why = verdict.why or (breaking if verdict.impact is MAJOR else "")
    where = place.of(operations, verdict.subject)
    text = f"{verdict.subject}{where} {verdict.predicate}{': ' * bool(why)}{why}."
    return Change(verdict.impact, text[0].upper() + text[1:])


def _judge(edit: Edit, place: Place) -> Iterator[Verdict]:
    if edit.keyword.startswith("x-"):
        yield from _judge_extension(edit, place)
    elif place.words or edit.keyword in WORDS:
        word = {"info": "introduction"}.get(place.words or edit.keyword, place.words or edit.keyword)
        if edit.keyword != "version":
            yield Verdict(PATCH, _the(word, place), "were changed" if word.endswith("s") else "was changed")
    elif edit.kind != "modified":
        breaking = edit.breaking or place.security
        yield Verdict(MAJOR if breaking else MINOR, *_whole(edit, place))
    elif edit.keyword == "enum" and edit.old and edit.new:
        yield from _judge_enum(edit, place)
    elif edit.keyword == "required" and isinstance(edit.old or edit.new, list):
        yield from _judge_required(edit, place)
    else:
        yield from _judge_keyword(edit, place)


def _the(word: str, place: Place) -> str:
    return f"the {word} of {place.subject}" if place.subject else f"the {word}"


def _whole(edit: Edit, place: Place) -> tuple[str, str]:
    """What came or went: a field, an answer, an operation, or a keyword with all that is below it."""
    subject, last = place.subject or f"the {code(edit.steps[-1])}", edit.steps[-1]
    if edit.steps[0] == "paths" and len(edit.steps) <= 3:
        subject += f" ({' '.join([*(step.upper() for step in edit.steps[2:]), edit.steps[1]])})"
    elif place.walk.keyword == last:
        subject = _the(code(last), place)
    many = last in ("headers", "parameters", "content")
    demanded = isinstance(place.node, dict) and place.node.get("required") is True and not place.receives
    return subject, {
        "added": "are new" if many else "is new and required" if demanded else "is new",
        "removed": "were removed" if many else "was removed",
    }[edit.kind]


def _judge_enum(edit: Edit, place: Place) -> Iterator[Verdict]:
    gone = [value for value in edit.old if value not in edit.new]
    came = [value for value in edit.new if value not in edit.old]
    if gone and place.receives:
        yield Verdict(MINOR, place.subject, f"is never {listed(gone)} any more")
    elif gone:
        yield Verdict(MAJOR, place.subject, f"no longer takes {listed(gone)}")
    if came and not place.receives:
        yield Verdict(MINOR, place.subject, f"now also takes {listed(came)}")
    elif came and place.node.get("x-open-enum"):
        why = "not breaking, the set is open (`x-open-enum`), so receivers keep any value"
        yield Verdict(MINOR, place.subject, f"may now also be {listed(came)}", why)
    elif came:
        why = "breaking for receivers, who may know only the values listed so far"
        yield Verdict(MAJOR, place.subject, f"may now also be {listed(came)}", why)
    if not gone and not came:
        yield Verdict(PATCH, place.subject, "lists its values in another order")


def _judge_required(edit: Edit, place: Place) -> Iterator[Verdict]:
    before, after = set(edit.old or []), set(edit.new or [])
    for name in sorted(after - before):
        if place.receives:
            yield Verdict(MINOR, place.walk.subject(name), "is now always there")
        else:
            yield Verdict(MAJOR, place.walk.subject(name), "is now required")
    # What was removed altogether is told as removed.
    for name in sorted((before - after) & place.node.get("properties", {}).keys()):
        if place.receives:
            yield Verdict(MAJOR, place.walk.subject(name), "may now be missing")
        else:
            yield Verdict(MINOR, place.walk.subject(name), "is no longer required")


def _judge_keyword(edit: Edit, place: Place) -> Iterator[Verdict]:
    judges = {
        **dict.fromkeys(LIMITS, _judge_limit),
        **dict.fromkeys(("type", "format", "pattern", "const", "enum"), _judge_shape),
        "additionalProperties": _judge_openness,
        "operationId": _judge_name,
        "key": _judge_name,
        "required": _judge_flag,
        "deprecated": _judge_flag,
    }
    yield from judges.get(edit.keyword, _judge_anything)(edit, place)


def _judge_limit(edit: Edit, place: Place) -> Iterator[Verdict]:
    impact, words = MAJOR if edit.breaking else MINOR, LIMITS[edit.keyword]
    if edit.new is None:
        yield Verdict(impact, place.subject, f"no longer has the limit `{edit.keyword}`, was {edit.old}")
    else:
        before = f"was {edit.old}" if edit.old is not None else "had no such limit"
        yield Verdict(impact, place.subject, f"now {words.format(edit.new)}, {before}")


def _judge_shape(edit: Edit, place: Place) -> Iterator[Verdict]:
    impact = MAJOR if edit.breaking else MINOR
    if edit.new is None:
        yield Verdict(impact, place.subject, f"no longer has the {edit.keyword} {code(edit.old)}")
    else:
        now = "is now always" if edit.keyword == "const" else f"now has the {edit.keyword}"
        was = f", was {code(edit.old)}" if edit.old is not None else ""
        yield Verdict(impact, place.subject, f"{now} {code(edit.new)}{was}")


def _judge_openness(edit: Edit, place: Place) -> Iterator[Verdict]:
    if edit.new is False:
        impact = MINOR if place.receives else MAJOR
        yield Verdict(impact, place.subject, "no longer allows fields that are not listed")
    elif edit.old is False:
        impact = MAJOR if place.receives else MINOR
        yield Verdict(impact, place.subject, "now allows fields that are not listed")
    else:
        yield from _judge_anything(edit, place)


def _judge_name(edit: Edit, place: Place) -> Iterator[Verdict]:
    """Names of operations; of fields, headers and messages; and paths."""
    if edit.keyword == "operationId":
        why = "breaking for everybody who uses its name"
        yield Verdict(MAJOR, f"the operation {code(edit.old)}", f"is now called {code(edit.new)}", why)
    elif len(edit.steps) > 2:
        yield Verdict(MAJOR, code(edit.old), f"is now called {code(edit.new)}")
    elif edit.steps[0] == "paths":  # the key of a webhook is its operationId
        yield Verdict(MAJOR, place.subject, f"moved to {code(edit.new)}, was at {code(edit.old)}")


def _judge_flag(edit: Edit, place: Place) -> Iterator[Verdict]:
    impact = MAJOR if edit.breaking else MINOR
    yield Verdict(impact, place.subject, f"is {'now' if edit.new else 'no longer'} {edit.keyword}")


def _judge_anything(edit: Edit, place: Place) -> Iterator[Verdict]:
    judged = edit.breaking or edit.keyword in JUDGED
    why = "" if judged else f"counts as breaking, because nothing here can judge a change of `{edit.keyword}`"
    was = f", was {code(edit.old)}" if edit.old is not None else ""
    now = f"is now {code(edit.new)}{was}" if edit.new is not None else f"was removed{was}"
    yield Verdict(MINOR if judged and not edit.breaking else MAJOR, _the(code(edit.keyword), place), now, why)


def _judge_extension(edit: Edit, place: Place) -> Iterator[Verdict]:
    """What the keys of ours say; spec/README.md explains them."""
    old, new = edit.old or [], edit.new or []
    if edit.keyword == "x-evidence":
        yield Verdict(PATCH, _the("evidence", place), _moved(old, new))
    elif edit.keyword == "x-rules":
        yield from _judge_rules({rule["id"]: rule for rule in old}, {rule["id"]: rule for rule in new}, place)
    elif edit.keyword == "x-open-enum":
        yield _judge_open_enum(place, opened=bool(new))
    elif edit.keyword == "x-enum-varnames":
        if gone := [name for name in old if name not in new]:
            text = f"no longer has the names {listed(gone)} in generated code"
            yield Verdict(MAJOR, place.subject, text, "breaking for programs that use them")
    elif edit.keyword == "x-address":  # the partner chooses the real one
        yield Verdict(MINOR, "the proposed path", f"is now {code(new)}, was {code(old)}")
    elif edit.keyword == "x-action":
        text = f"is now {code(new)}, was {code(old)}"
        yield Verdict(MAJOR, "the direction", text, "breaking for everybody")
    elif edit.keyword != "x-webhooks":
        yield Verdict(PATCH, _the(code(edit.keyword), place), "was changed")
    elif {**edit.old, "version": ""} != {**edit.new, "version": ""}:
        yield Verdict(PATCH, "the introduction to the webhooks", "was changed")


def _judge_open_enum(place: Place, *, opened: bool) -> Verdict:
    if opened:
        text = "may now be a value that is not listed (`x-open-enum`)"
    else:
        text = "is now always one of the values listed (`x-open-enum` is gone)"
    return Verdict(MAJOR if opened == place.receives else MINOR, place.subject, text)


def _moved(old: list[Any], new: list[Any]) -> str:
    came, gone = [name for name in new if name not in old], [name for name in old if name not in new]
    words = [
        f"{verb} {listed(names)}"
        for verb, names in (("now includes", came), ("no longer includes", gone))
        if names
    ]
    return " and ".join(words) or "is in another order"


def _judge_rules(old: dict[str, Any], new: dict[str, Any], place: Place) -> Iterator[Verdict]:
    """A rule is known by its id: one that asks for something else needs another id."""
    for name in sorted(new.keys() - old.keys()):
        statement = new[name]["statement"].rstrip(".")
        yield Verdict(MINOR if place.receives else MAJOR, f"the rule {code(name)}", f"is new ({statement})")
    for name in sorted(old.keys() - new.keys()):
        yield Verdict(MAJOR if place.receives else MINOR, f"the rule {code(name)}", "no longer holds")
    for name in sorted(old.keys() & new.keys()):
        if old[name] != new[name]:
            yield Verdict(
                PATCH, f"the rule {code(name)}", "has other words; what it asks for must be the same"
            )
