"""Where two versions of the contract differ: `redocly diff`, and what it passes over.

Both documents are brought into one OpenAPI document: every `$ref` written out, so that each change is
seen where it matters (a shared schema may be in a request and in a reply), and the messages of
asyncapi.yaml as `webhooks:`, because `redocly diff` judges the direction of those and not of AsyncAPI's.
It passes over lists under `x-` keys; these are compared here. What a difference means is the matter of
contract_changes.py.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from reading import read_yaml

DOCUMENTS = ["openapi.yaml", "asyncapi.yaml", "lifecycle.arazzo.yaml", "evidence.yaml"]
# What stands below these is named by people, so that a name may begin with `x-`.
_NAMES = [("properties",), ("headers",), ("securitySchemes",), ("variables",), ("value",)]
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}

Json = dict[str, Any]


class Edit(NamedTuple):
    """One difference; `steps` lead to its place, `keyword` is what was modified there."""

    steps: tuple[str, ...]
    kind: str  # added, removed, modified
    keyword: str
    old: Any
    new: Any
    breaking: bool  # as redocly judges it


class Contract(NamedTuple):
    """The documents of one version, and the two that describe messages as one OpenAPI document."""

    documents: dict[str, Json]
    merged: Json

    @property
    def versions(self) -> dict[str, str]:
        """What each document says in its info.version."""
        return {name: str(self.documents[name]["info"]["version"]) for name in DOCUMENTS[:3]}


class DiffError(Exception):
    """The two versions could not be compared; the text is for the person at the terminal."""


def read_contract(folder: Path) -> Contract:
    """Read the documents of one version.

    Raises:
        OSError: one of them is missing.
        yaml.YAMLError: one of them is no YAML.

    """
    documents = {name: read_yaml(folder / name) for name in DOCUMENTS}
    return Contract(documents, merge(documents))


def merge(documents: dict[str, Json]) -> Json:
    """What is said of messages, as one OpenAPI document without references."""
    api = _written_out(documents["openapi.yaml"], documents)
    events = _written_out(documents["asyncapi.yaml"], documents)
    for item in api["paths"].values():
        shared = item.pop("parameters", [])
        for method in METHODS & item.keys():
            item[method]["parameters"] = [*shared, *item[method].get("parameters", [])]
    keys = api["components"].get("securitySchemes", {})
    webhook_keys = events["components"].get("securitySchemes", {})
    return {
        **{key: value for key, value in api.items() if key != "components"},
        "info": {**api["info"], "x-webhooks": events["info"]},
        "webhooks": {name: {"post": _webhook(name, op, events)} for name, op in events["operations"].items()},
        "components": {
            "securitySchemes": {
                **keys,
                **{f"webhooks.{name}": {**key, "type": "apiKey"} for name, key in webhook_keys.items()},
            }
        },
    }


def _webhook(name: str, operation: Json, events: Json) -> Json:
    channel = operation["channel"]
    # A media type for each message: compared by name, whatever their order.
    messages = {message["x-from"]: message for message in operation["messages"]}
    # With references written out a server holds its schemes by value; here they go by their names.
    secured = any(server.get("security") for server in events["servers"].values())
    schemes = events["components"].get("securitySchemes", {})
    return {
        "operationId": name,
        **{key: value for key, value in operation.items() if key in ("summary", "description", "x-evidence")},
        "x-address": channel["address"],
        "x-action": operation["action"],
        "security": [{f"webhooks.{scheme}": []} for scheme in schemes] if secured else [],
        "requestBody": {
            "required": True,
            "content": {
                f"{message.get('contentType', events.get('defaultContentType'))};message={key}": {
                    "schema": message["payload"],
                    **{word: message[word] for word in ("x-evidence",) if word in message},
                }
                for key, message in messages.items()
            },
        },
        "responses": {"200": {"description": "The partner has stored it."}},
    }


def _written_out(document: Json, documents: dict[str, Json]) -> Any:
    """Replace each `$ref`; `x-from` keeps the name of what was referred to."""

    def write(node: Any, home: Json) -> Any:
        if isinstance(node, list):
            return [write(item, home) for item in node]
        if not isinstance(node, dict):
            return node
        # The branches of a oneOf are compared by what they say, not by what points at them.
        rest = {
            key: write(value, home)
            for key, value in node.items()
            if key != "$ref" and not (key == "mapping" and "propertyName" in node)
        }
        if "$ref" not in node:
            return rest
        file, _, pointer = str(node["$ref"]).partition("#/")
        home = documents[file.removeprefix("./")] if file else home
        target: Any = home
        for step in pointer.split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        written = write(target, home)
        return {"x-from": pointer.rpartition("/")[2], **written, **rest}

    return write(document, document)


def differences(old: Contract, new: Contract, redocly: list[str], folder: Path) -> list[Edit]:
    """Every difference between the merged documents; `folder` is a temporary one to work in.

    Raises:
        DiffError: redocly did not do its work.

    """
    (folder / "old.json").write_text(json.dumps(old.merged), "utf-8")
    (folder / "new.json").write_text(json.dumps(new.merged), "utf-8")
    # Without diff-recommended every change would count as harmless.
    (folder / "redocly.yaml").write_text("extends: [diff-recommended]\n", "utf-8")
    command = [*redocly, "diff", "old.json", "new.json", "--config", "redocly.yaml", "--format", "json"]
    environment = os.environ | {
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [*command, "--fail-on", "none"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DiffError(f"redocly diff failed:\n\n{(done.stdout + done.stderr).strip()}")
    return [
        *(_edit(change) for change in json.loads(done.stdout)["changes"] if not _is_extension(change)),
        *_extensions(old.merged, new.merged, ()),
    ]


def _edit(change: Json) -> Edit:
    steps = [step.replace("~1", "/").replace("~0", "~") for step in change["path"].split("/")[1:]]
    return Edit(
        tuple(steps),
        change["kind"],
        change.get("property", ""),
        change.get("base", {}).get("value"),
        change.get("revision", {}).get("value"),
        change["impact"] == "major",
    )


def _is_extension(change: Json) -> bool:
    return change["typeName"] == "SpecExtension" or str(change.get("property")).startswith("x-")


def _extensions(old: Any, new: Any, steps: tuple[str, ...]) -> Iterator[Edit]:
    """The `x-` keys that differ in what is in both versions; the rest is added or removed as a whole."""
    if isinstance(old, dict) and isinstance(new, dict):
        gone, came = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
        one = len(gone) == len(came) == 1 and steps in (("paths",), ("webhooks",))
        renamed = {came[0]: gone[0]} if one else {}
        for key in sorted(old.keys() | new.keys()):
            before = renamed.get(key, key)
            if key.startswith("x-") and steps[-1:] not in _NAMES:
                if key != "x-from" and old.get(key) != new.get(key):
                    yield Edit(steps, "modified", key, old.get(key), new.get(key), breaking=False)
            elif before in old and key in new:
                yield from _extensions(old[before], new[key], (*steps, key))
    elif isinstance(old, list) and isinstance(new, list):
        # Branches and parameters are the same if they have the same name, whatever their order.
        named = {name: item for item in old if (name := _name(item))}
        for index, item in enumerate(new):
            name = _name(item)
            before = named.get(name) if name else old[index] if index < len(old) else None
            if before is not None:
                yield from _extensions(before, item, (*steps, str(index)))


def _name(item: Any) -> str | None:
    if isinstance(item, dict) and "in" in item and "name" in item:
        return f"{item['in']} {item['name']}"
    return item.get("x-from") if isinstance(item, dict) else None
