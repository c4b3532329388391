"""Which pages there are. A page is a path, a title and a template; everything else follows from these."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from mosvpp.statuses import status_words

from . import lifecycle, links, readings, reference, samples
from .fields import Table
from .sources import ROOT, SPEC, STATUSES, Call, Example, Sources, Webhook, resolve, statuses
from .versions import documents, versions

TEMPLATES = Path(__file__).parent / "templates"
DOCS = SPEC / "docs"

GUIDES = (
    "authentication",
    "signatures",
    "receiving-webhooks",
    "receiver",
    "runbook",
    "fleet",
    "unknown-outcomes",
    "test-and-live",
    "time-zones",
    "sandbox",
    "testing",
    "certify",
)
RECEIVERS = {
    "FastAPI": "fastapi_receiver.py",
    "Flask": "flask_receiver.py",
    "Django": "django_receiver.py",
    "AWS Lambda": "lambda_receiver.py",
}
PROGRAMS = (
    "receivers/nats_consumer.py",
    "partner/partner.py",
    "partner/tests/conftest.py",
    "partner/tests/test_partner.py",
)


@dataclass(frozen=True)
class Page:
    """`path` ends in .md and is the address of the page; `section` is its place in the navigation."""

    path: str
    title: str
    section: str
    text: str = field(repr=False)


class Renderer:
    """Renders templates; each page knows its way back to the root of the site."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self._env = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=jinja2.select_autoescape(["html.jinja"]),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._env.filters |= {
            "facts": lambda ids: [sources.facts[id_] for id_ in ids],
            "statuses": statuses,
            "is_guess": self.is_guess,
            "inline": inline,
            "tabs": tabs,
        }

    def is_guess(self, ids: list[str]) -> bool:
        """Whether nothing on which it rests was ever seen on a page of Molecule's."""
        return not any(self.sources.facts[id_].status in ("documented", "sample") for id_ in ids)

    def page(self, path: str, title: str, section: str, template: str, **values: Any) -> Page:
        """Render one page."""
        root = "../" * path.count("/")
        environment = self._env.overlay()
        environment.globals = {**self._env.globals, "root": root, "sources": self.sources}
        text = environment.get_template(template).render(title=title, **values)
        return Page(path, title, section, text)


def inline(text: str) -> Markup:
    """The little Markdown that the documents use, as HTML: code, and nothing else."""
    pieces = re.split(r"`([^`]+)`", text)
    return Markup("").join(
        Markup(f"<code>{escape(piece)}</code>" if index % 2 else escape(piece))  # noqa: S704  escaped just before
        for index, piece in enumerate(pieces)
    )


def tabs(entries: list[samples.Tab], indent: int = 0) -> str:
    """Tabs in Markdown, one code block each."""
    lines = []
    for tab in entries:
        lines += [f'=== "{tab.title}"', "", f"    ```{tab.language}"]
        lines += [f"    {line}" if line else "" for line in tab.code.splitlines()]
        lines += ["    ```", ""]
    return "\n".join(" " * indent + line if line else "" for line in lines)


def pages(sources: Sources) -> list[Page]:
    """Every page of the site, in the order of the navigation."""
    render = Renderer(sources)
    return [
        hand_written("index.md", ""),
        render.page("lifecycle.md", "Lifecycle", "", "lifecycle.md.jinja", **_lifecycle(sources)),
        *(_call_page(render, call) for call in sources.calls),
        *(_webhook_page(render, webhook) for webhook in sources.webhooks),
        *(hand_written(f"guides/{name}.md", "Guides") for name in GUIDES),
        _types_page(render),
        hand_written("errors.md", "Reference"),
        _evidence_page(render),
        *(Page(f"sdk/{name}.md", title, "SDK", text) for name, title, text in reference.sdk_pages()),
        Page("cli.md", "Command line", "SDK", reference.cli_page()),
        render.page(
            "downloads.md",
            "Downloads",
            "Project",
            "downloads.md.jinja",
            versions=[(version, [name for name, _ in documents(folder)]) for version, folder in versions()],
        ),
        Page("changelog.md", "Changelog", "Project", changelog()),
        hand_written("console.md", "Project"),
        hand_written("architecture.md", "Project"),
        hand_written("decisions.md", "Project"),
    ]


def hand_written(path: str, section: str) -> Page:
    """A page of spec/docs/; its title is its first heading."""
    text = (DOCS / path).read_text("utf-8")
    title = re.search(r"^# (.+?)(?: \{.*\})?$", text, re.MULTILINE)
    assert title, path
    return Page(path, "Start" if path == "index.md" else title[1], section, links.on_site(path, text))


def changelog() -> str:
    """CHANGELOG.md, with anchors made of the versions and not of the wording."""
    version = ""
    lines = []
    for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            version = re.sub(r"[\[\]]", "", line[3:].split(" ")[0]).lower()
            lines.append(f"{line} {{ #{version} }}")
        elif line.startswith("### "):
            lines.append(f"{line} {{ #{version}-{line[4:].lower().replace(' ', '-')} }}")
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _lifecycle(sources: Sources) -> dict[str, Any]:
    calls = {call.id: call for call in sources.calls}
    webhooks = {webhook.id: webhook for webhook in sources.webhooks}
    steps = []
    for step in sources.steps:
        entries: list[samples.Tab] = []
        if "step" in step:
            call = calls[step["step"]]
            requests = sources.of(call.id, "request")
            entries = samples.call_tabs(sources, call, requests[0] if requests else None)
        elif "x-webhook" in step:
            webhook = webhooks[step["x-webhook"]]
            entries = samples.webhook_tabs(webhook, sources.of(webhook.id, "event")[0])
        steps.append({**step, "target": lifecycle.target(step).replace(".html", ".md"), "tabs": entries})
    return {"drawing": lifecycle.drawing(sources), "steps": steps}


def _call_page(render: Renderer, call: Call) -> Page:
    sources = render.sources
    table = Table(sources, "openapi")
    parameters = [
        table.row(entry["name"], {**entry["schema"], **entry}, f"path.{entry['name']}", required=True)
        for entry in call.parameters
    ]
    body = call.document.get("requestBody")
    schema = body["content"]["application/json"]["schema"] if body else None
    resolved = resolve(sources.openapi, schema) if schema else {}
    responses = {
        status: resolve(sources.openapi, response) for status, response in call.document["responses"].items()
    }
    reply = responses["200"]["content"]["application/json"]["schema"]
    requests: list[Example | None] = [*sources.of(call.id, "request")]
    return render.page(
        f"operations/{call.id}.md",
        call.id,
        "Partner → Molecule",
        "operation.md.jinja",
        call=call,
        parameters=parameters,
        body=schema and schema["$ref"].rsplit("/", 1)[1],
        body_rows=table.rows(schema, "request") if schema else [],
        rules=_rules(sources, resolved),
        responses=responses,
        reply=reply["$ref"].rsplit("/", 1)[1],
        reply_rows=table.rows(reply, "reply"),
        problem_rows=table.rows({"$ref": "#/components/schemas/Problem"}, "problem"),
        samples=[(example, samples.call_tabs(sources, call, example)) for example in requests or [None]],
        replies=[(example, readings.of_reply(call, example)) for example in sources.of(call.id, "reply")],
        refused=[entry for entry in sources.refused if entry.name.startswith(f"{call.id}.")],
        situations=readings.situations(call.method),
    )


def _rules(sources: Sources, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The `x-rules` of a schema and of all that it holds."""
    found = list(schema.get("x-rules", []))
    for property_ in schema.get("properties", {}).values():
        items = resolve(sources.openapi, property_.get("items", {}))
        found += _rules(sources, items)
    return found


def _webhook_page(render: Renderer, webhook: Webhook) -> Page:
    sources = render.sources
    table = Table(sources, "asyncapi")
    events = sources.of(webhook.id, "event")
    messages = [
        {
            **message,
            "schema": message["payload"]["$ref"].rsplit("/", 1)[1],
            "rows": table.rows(message["payload"], message["name"]),
        }
        for message in webhook.messages
    ]
    return render.page(
        f"webhooks/{webhook.id}.md",
        webhook.id,
        "Molecule → partner",
        "webhook.md.jinja",
        webhook=webhook,
        kind=webhook.id.removeprefix("receive_"),
        messages=messages,
        samples=[(example, samples.webhook_tabs(webhook, example)) for example in events],
        readings=[(example, readings.of_delivery(webhook, example)) for example in events],
        receivers=RECEIVERS,
        security=sources.asyncapi["components"]["securitySchemes"]["partnerHeader"],
    )


def _types_page(render: Renderer) -> Page:
    sources = render.sources
    entries = []
    for name, (document, schema) in sorted(sources.schemas.items()):
        table = Table(sources, document)
        used = "calls" if document == "openapi" else "webhooks"
        rows = table.rows(schema, name) if "properties" in schema or "oneOf" not in schema else []
        entries.append(
            {"name": name, "schema": schema, "used": used, "rows": rows, "type": table.type(schema)}
        )
    device_types = sources.schemas["DeviceType"][1]
    codes = list(
        zip(
            device_types["enum"],
            device_types["x-enum-varnames"],
            device_types["x-enum-descriptions"],
            strict=True,
        )
    )
    return render.page(
        "types.md",
        "Types and units",
        "Reference",
        "types.md.jinja",
        entries=entries,
        codes=codes,
        words=status_words(),
    )


def _evidence_page(render: Renderer) -> Page:
    facts = list(render.sources.facts.values())
    return render.page(
        "evidence.md",
        "Evidence",
        "Reference",
        "evidence.md.jinja",
        facts=facts,
        counts=Counter(fact.status for fact in facts),
        areas=Counter(fact.id.split(".")[0] for fact in facts),
        statuses=STATUSES,
    )
