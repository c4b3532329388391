"""Every statement of the documents names its evidence, every entry of the ledger is used, none is blurred."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import corpus
import verdicts

ROOT = verdicts.SPEC.parent
FACTS = {fact["id"]: fact for fact in verdicts.LEDGER["facts"]}


def everywhere(node: Any, address: str = "") -> Iterator[tuple[str, Any]]:
    """Every object of a document, with its JSON Pointer; the bodies of examples are none of its words."""
    if isinstance(node, dict):
        yield address, node
        for key, inner in node.items():
            is_body = key in {"value", "payload"} or (key == "examples" and isinstance(inner, list))
            if not is_body:
                yield from everywhere(inner, f"{address}/{str(key).replace('/', '~1')}")
    if isinstance(node, list):
        for index, inner in enumerate(node):
            yield from everywhere(inner, f"{address}/{index}")


def matching(document: str, *patterns: str) -> Iterator[tuple[str, Any]]:
    """The objects at these pointers, in which `*` is one step; a pattern without any is an error."""
    for pattern in patterns:
        form = re.compile(re.sub(r"(?<![.])\*", "[^/]+", pattern))
        everything = everywhere(verdicts.DOCUMENTS[document])
        found = [(address, node) for address, node in everything if form.fullmatch(address)]
        assert found, f"nothing in {document} is at {pattern}"
        own = [(address, node) for address, node in found if "$ref" not in node or "/properties/" in address]
        yield from ((f"{document}#{address}", node) for address, node in own)


def statements() -> Iterator[tuple[str, Any]]:
    """Everything that must name its evidence."""
    schemas = ("/components/schemas/*", "/components/schemas/.*/properties/*")
    servers = ("/info", "/servers/*", "/servers/*/variables/*")
    yield from matching("openapi.yaml", *servers, "/paths/*/(get|post)", "/paths/*/*/responses/*")
    yield from matching("openapi.yaml", *schemas, "/components/schemas/*/x-rules/*", "/components/examples/*")
    yield from matching("openapi.yaml", "/components/(securitySchemes|parameters|headers|responses)/*")
    yield from matching("asyncapi.yaml", *servers, "/channels/*", "/operations/*")
    yield from matching("asyncapi.yaml", *schemas, "/components/(messages|securitySchemes)/*")
    yield from matching(
        "lifecycle.arazzo.yaml", "/info", "/workflows/*", "/workflows/*/(steps|x-lifecycle)/*"
    )


STATEMENTS = list(statements())


@pytest.mark.parametrize("node", [node for _, node in STATEMENTS], ids=[address for address, _ in STATEMENTS])
def test_statement_names_facts_of_the_ledger(node):
    ids = node["x-evidence"]
    assert ids
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if one not in FACTS] == []


def test_evidence_stands_nowhere_else():
    """A key in a place that the list above forgets would never be checked."""
    marked = {id(node) for _, node in STATEMENTS}
    for document in verdicts.DOCUMENTS.values():
        assert [
            place for place, node in everywhere(document) if "x-evidence" in node and id(node) not in marked
        ] == []


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_entry_of_the_ledger_is_complete(fact):
    inferred = fact["status"] == "inferred"
    assert set(fact) == {"id", "statement", "status", "source", "we_do", *(["reason"] if inferred else [])}
    assert all(
        fact[name] and fact[name].endswith((".", "…"))
        for name in fact
        if name in {"statement", "we_do", "reason"}
    )
    assert fact["status"] in {"documented", "sample", "inferred", "unknown"}
    if fact["status"] in {"documented", "sample"}:
        assert fact["source"] in verdicts.LEDGER["pages"]
    else:
        assert fact["source"] in {None, *verdicts.LEDGER["pages"]}


def test_ids_of_the_ledger_are_unique_and_well_formed():
    ids = [fact["id"] for fact in verdicts.LEDGER["facts"]]
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if not re.fullmatch(r"[a-z]+\.[a-z0-9_]+", one)] == []


def strings_of(path: Path) -> Iterator[str]:
    """Every string of a Python file, docstrings included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


CODE = sorted((ROOT / "wrapper").rglob("*.py"))


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT / "wrapper").as_posix())
def test_code_names_only_facts_of_the_ledger(path):
    kinds = "|".join(sorted({one.split(".")[0] for one in FACTS}))
    for text in strings_of(path):
        alone = re.fullmatch(rf"(?:{kinds})\.[a-z0-9_]+", text)
        in_prose = re.findall(r"\bevidence:? ((?:[a-z]+\.[a-z0-9_]+(?:, | and )?)+)", text)
        named = (
            [text] if alone else [one for part in in_prose for one in re.findall(r"[a-z]+\.[a-z0-9_]+", part)]
        )
        assert [one for one in named if one not in FACTS and one != "evidence.yaml"] == []


def test_every_entry_of_the_ledger_is_used_by_a_document_or_by_code():
    documents = {one for _, node in STATEMENTS for one in node["x-evidence"]}
    words = " ".join(text for path in CODE for text in strings_of(path))
    in_code = set(re.findall(r"[a-z]+\.[a-z0-9_]+", words))
    reasons = {one for example in corpus.INVALID.values() for one in example.evidence}
    assert [one for one in FACTS if one not in documents | in_code | reasons] == []


def sentences(node: Any) -> list[str]:
    text = " ".join(str(node.get(name, "")) for name in ("title", "summary", "description", "statement"))
    return re.split(r"(?<=[.:;])\s+", text)


CLAIM = re.compile(
    r"\bdocumented\b|\bMolecule (documents|says|states)\b|\bthe pages? (document|list|name|say|state)s?\b",
    re.IGNORECASE,
)
SIGNING = re.compile(r"\bsignatures?\b|\bsigned\b|\bMolecule signs\b|\bHMAC\b", re.IGNORECASE)
DENIAL = re.compile(r"\b(not|no|none|never|nowhere|nothing|neither|cannot|undocumented)\b", re.IGNORECASE)


def test_what_is_inferred_or_unknown_never_sounds_documented():
    for address, node in STATEMENTS:
        if {FACTS[one]["status"] for one in node["x-evidence"]} <= {"inferred", "unknown"}:
            claims = [one for one in sentences(node) if CLAIM.search(one) and not DENIAL.search(one)]
            assert claims == [], address


def test_nothing_says_that_molecule_signs_what_it_sends():
    texts = [sentence for _, node in STATEMENTS for sentence in sentences(node)]
    texts += [fact[name] for fact in FACTS.values() for name in ("statement", "we_do")]
    about = [text for text in texts if SIGNING.search(text)]
    assert about
    assert [text for text in about if not DENIAL.search(text) and "our own" not in text] == []
