"""Reality profiles: the shapes that MosVPP may really have where none is documented, each by a name.

Device lists and data pushes are documented, so that no profile changes their names; receipts, execution
responses and errors are inferred, and any of these is plausible. A partner whose program works with all of
them is ready for what comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

__all__ = ["PROFILES", "Profile"]

_JSON, _PROBLEM = "application/json", "application/problem+json"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").fullmatch
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").fullmatch
_SINGLE_ITEM = {"dispatch_receipt": "event_slots", "command_receipt": "scmd_devices"}


def _as_it_is(_kind: str, body: dict[str, Any]) -> Any:
    return body


def _problem(_status: int, body: dict[str, Any]) -> tuple[Any, str]:
    return body, _PROBLEM


@dataclass(frozen=True)
class Profile:
    """How messages look.

    `reply` shapes receipts, `error` problems (and their media type), `push` what is sent. A body of None is
    an empty one, and a text is sent as it is.
    """

    name: str
    meaning: str
    evidence: str
    reply: Callable[[str, dict[str, Any]], Any] = _as_it_is
    error: Callable[[int, dict[str, Any]], tuple[Any, str]] = _problem
    push: Callable[[str, dict[str, Any]], Any] = _as_it_is

    def written_reply(self, kind: str, body: dict[str, Any]) -> tuple[bytes, str]:
        """The bytes and the media type of an answer with 200."""
        return _written(self.reply(kind, body)), _JSON

    def written_error(self, status: int, body: dict[str, Any]) -> tuple[bytes, str]:
        """The bytes and the media type of an error."""
        shaped, media_type = self.error(status, body)
        return _written(shaped), media_type

    def written_push(self, kind: str, body: dict[str, Any]) -> bytes:
        """The bytes of a message to the partner."""
        return _written(self.push(kind, body))


def _written(body: Any) -> bytes:
    if body is None or isinstance(body, str):
        return (body or "").encode()
    return msgspec.json.encode(body)


def _flat_reply(kind: str, body: dict[str, Any]) -> Any:
    """One item: its fields beside those of the envelope. Several: the envelope without them."""
    name = _SINGLE_ITEM.get(kind)
    if name is None:
        return body
    envelope = {key: value for key, value in body.items() if key != name}
    return {**envelope, **body[name][0]} if len(body[name]) == 1 else envelope


def _flat_push(kind: str, body: dict[str, Any]) -> Any:
    if kind != "execution_response":
        return body
    (slot,) = body["event_slots"]
    return {**{key: value for key, value in body.items() if key != "event_slots"}, **slot}


def _empty_reply(kind: str, body: dict[str, Any]) -> Any:
    return None if kind in _SINGLE_ITEM else body


def _empty_error(_status: int, _body: dict[str, Any]) -> tuple[Any, str]:
    return None, _JSON


def _html_error(status: int, _body: dict[str, Any]) -> tuple[Any, str]:
    """The kind of page that a gateway in front of the application writes."""
    phrase = HTTPStatus(status).phrase
    page = (
        f"<!DOCTYPE html>\r\n<html><head><title>{status} {phrase}</title></head>\r\n"
        f"<body><center><h1>{status} {phrase}</h1></center><hr></body></html>\r\n"
    )
    return page, "text/html; charset=utf-8"


def _aspnet_error(status: int, body: dict[str, Any]) -> tuple[Any, str]:
    """As ASP.NET Core writes them: fields in its order, paths of errors without `$.`, no detail."""
    section = {400: "15.5.1", 401: "15.5.2", 404: "15.5.5", 409: "15.5.10"}.get(status, "15.6.1")
    told: dict[str, Any] = {
        "type": f"https://tools.ietf.org/html/rfc9110#section-{section}",
        "title": body["title"],
        "status": status,
        "traceId": body["traceId"],
    }
    if "errors" in body:
        told["errors"] = {path.removeprefix("$."): said for path, said in body["errors"].items()}
    return told, f"{_PROBLEM}; charset=utf-8"


def _aspnet(_kind: str, body: Any) -> Any:
    """Seven digits after the second, and GUIDs in lower case."""
    if isinstance(body, Mapping):
        return {key: _aspnet(_kind, value) for key, value in body.items()}
    if isinstance(body, list):
        return [_aspnet(_kind, value) for value in body]
    if isinstance(body, str):
        return f"{body[:-1]}.0000000Z" if _TIME(body) else body.lower() if _UUID(body) else body
    return body


def _camel_case(kind: str, body: Any) -> Any:
    return body if kind in ("data_push", "device_list") else _camel(body)


def _camel(body: Any) -> Any:
    if isinstance(body, Mapping):
        return {re.sub(r"_(\w)", lambda hit: hit[1].upper(), key): _camel(body[key]) for key in body}
    return [_camel(value) for value in body] if isinstance(body, list) else body


def _nested_reply(kind: str, body: dict[str, Any]) -> Any:
    return {"success": True, "data": body} if kind in _SINGLE_ITEM else body


def _nested_push(kind: str, body: dict[str, Any]) -> Any:
    return {"type": kind, "data": body} if kind == "execution_response" else body


def _nested_error(status: int, body: dict[str, Any]) -> tuple[Any, str]:
    return {"success": False, "error": {"code": status, "message": body.get("detail", "")}}, _JSON


PROFILES: Mapping[str, Profile] = {
    one.name: one
    for one in (
        Profile("inferred", "the shapes of the specification", "receipt.dispatch_shape"),
        Profile(
            "flat",
            "a single event or device is told without a list around it",
            "execution.two_forms",
            reply=_flat_reply,
            push=_flat_push,
        ),
        Profile(
            "http_only",
            "receipts and errors have no body: only the status speaks",
            "behaviour.decoded_acceptance",
            reply=_empty_reply,
            error=_empty_error,
        ),
        Profile(
            "aspnet_problem",
            "problems, times with seven digits and ids in lower case as ASP.NET Core writes them",
            "errors.problem_json",
            reply=_aspnet,
            error=_aspnet_error,
            push=_aspnet,
        ),
        Profile(
            "camel_case",
            "eventSlots, eventId: names as ASP.NET Core writes them when nobody tells it otherwise",
            "execution.shape",
            reply=_camel_case,
            push=_camel_case,
        ),
        Profile(
            "nested",
            "receipts, errors and execution responses lie in a `data` or `error` of an envelope",
            "receipt.dispatch_shape",
            reply=_nested_reply,
            error=_nested_error,
            push=_nested_push,
        ),
        Profile("html_errors", "errors are HTML pages", "errors.other_bodies", error=_html_error),
    )
}
