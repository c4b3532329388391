"""From spec/ to the files of generated/: lint, bundle, generate, tidy, note where it came from."""

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import _setup
import spec_evidence
from reading import read_yaml

COMMAND = "python3 scripts/regenerate.py"
TEMPLATES = "scripts/templates"
DOCUMENTS = {"mosvpp_api": "openapi", "mosvpp_events": "asyncapi"}  # package: document
INPUTS = ["openapi.yaml", "asyncapi.yaml", "lifecycle.arazzo.yaml", "evidence.yaml", "redocly.yaml"]


class StepFailedError(Exception):
    """The specification, or a tool that reads it, is at fault; the text is for the person at the terminal."""


def run(step: str, command: Sequence[object], *, cwd: Path, chatty: bool = False) -> None:
    """Run one tool and keep its words for the case that it fails; a chatty one has its faults on stdout."""
    environment = os.environ | {
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        # The linter also draws a box with advice on Node, and names an option that hides every finding.
        frank = (chatty and done.stdout) or re.sub(r"(?m)^ *[╔║╚].*\n", "", done.stdout + done.stderr)
        raise StepFailedError(f"{step} failed:\n\n{frank.strip()}")


def check_evidence(spec: Path) -> None:
    """Every statement names its evidence, and every id stands in the ledger."""
    lines = spec_evidence.faults(spec)
    if lines:
        raise StepFailedError("The evidence is not complete:\n\n" + "\n".join(lines))


def lint(spec: Path, redocly: list[str]) -> None:
    """Lint the three documents strictly, and look up what they refer to in the ledger."""
    run("Lint", [*redocly, "lint", "--config", spec / "redocly.yaml"], cwd=spec.parent, chatty=True)
    check_evidence(spec)


def bundle(spec: Path, into: Path, redocly: list[str]) -> None:
    """Write the two documents that code comes from as self-contained JSON."""
    target = ["--config", spec / "redocly.yaml", "--output", into, "--ext", "json"]
    run("Bundling", [*redocly, "bundle", *DOCUMENTS.values(), *target], cwd=spec.parent)


def generate_api(root: Path, into: Path) -> None:
    """openapi.yaml → mosvpp_api: attrs models, and the functions that prepare each call."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.json"
        config.write_text(json.dumps({"package_name_override": "mosvpp_api", "post_hooks": []}), "utf-8")
        generator = [
            sys.executable,
            "-m",
            "openapi_python_client",
            "generate",
            "--fail-on-warning",
            "--meta",
            "none",
        ]
        source = ["--path", root / "spec" / "openapi.yaml", "--output-path", into / "mosvpp_api"]
        options = ["--config", config, "--custom-template-path", root / TEMPLATES]
        run("openapi-python-client", [*generator, *source, *options], cwd=root)


def generate_events(spec: Path, into: Path) -> None:
    """asyncapi.yaml → mosvpp_events: msgspec Structs, strict when they decode."""
    package = into / "mosvpp_events"
    package.mkdir()
    # Without `-W error` and --strict-refs this generator drops what it cannot read and reports success.
    generator = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "datamodel_code_generator",
        "--ignore-pyproject",
        "--strict-refs",
    ]
    form = ["--output-model-type", "msgspec.Struct", "--output-datetime-class", "datetime"]
    style = ["--use-standard-primitive-types", "--use-schema-description", "--target-python-version", "3.11"]
    shared = ["--external-ref-mapping", f"{spec / 'openapi.yaml'}=mosvpp_api.models"]
    source = [
        "--input",
        spec / "asyncapi.yaml",
        "--input-file-type",
        "asyncapi",
        "--output",
        package / "events.py",
    ]
    quiet = ["--disable-timestamp", "--no-formatters"]
    run("datamodel-code-generator", [*generator, *form, *style, *shared, *source, *quiet], cwd=spec.parent)
    module = ast.parse((package / "events.py").read_text("utf-8"))
    classes = [node.name for node in module.body if isinstance(node, ast.ClassDef)]
    aliases = [node.target for node in module.body if isinstance(node, ast.AnnAssign)]
    names = sorted([*classes, *(alias.id for alias in aliases if isinstance(alias, ast.Name))])
    lines = [
        '"""What Molecule sends to the partner, as msgspec Structs."""\n',
        *(f"from .events import {name}" for name in names),
        f"\n__all__ = {names!r}\n",
    ]
    (package / "__init__.py").write_text("\n".join(lines), "utf-8")


def tidy(into: Path) -> None:
    """The same imports and layout everywhere, and a first line that says where the file comes from."""
    ruff: list[str] = [sys.executable, "-m", "ruff"]
    alone = ["--isolated", "--no-cache", "--target-version", "py311", "--line-length", "110"]
    run(
        "ruff check",
        [*ruff, "check", *alone, "--quiet", "--fix-only", "--select", "I,F401,UP", into],
        cwd=into,
    )
    run("ruff format", [*ruff, "format", *alone, "--quiet", into], cwd=into)
    for package, document in DOCUMENTS.items():
        source = f"spec/{document}.yaml"
        header = f"# Generated from {source} by `{COMMAND}`. Do not edit; edit the source and run it.\n"
        for path in sorted((into / package).rglob("*.py")):
            body = path.read_text("utf-8")
            path.write_bytes((header + body).encode())
        (into / package / "py.typed").touch()
        document_json = into / package / f"{document}.json"
        bundled = json.loads((into / f"{document}.json").read_text("utf-8"))
        document_json.write_bytes((json.dumps(bundled, indent=1, ensure_ascii=False) + "\n").encode())
        (into / f"{document}.json").unlink()


README = f"""# generated/

Nothing here is written by hand, and nothing here is kept: delete the folder and run

    {COMMAND}

to have it back bit for bit. To change it, edit `spec/`. `mosvpp_api` comes from `spec/openapi.yaml`
(openapi-python-client: attrs and httpx), `mosvpp_events` from `spec/asyncapi.yaml` (datamodel-code-generator:
msgspec Structs). `provenance.json` says from which inputs, and with which tools.
"""


def write_provenance(root: Path, into: Path, node: _setup.NodeTools) -> None:
    """Note the inputs by hash, the tools by version, and every file."""
    (into / "README.md").write_bytes(README.encode())
    inputs = [root / "spec" / name for name in INPUTS] + sorted((root / TEMPLATES).glob("*.jinja"))
    document = read_yaml(root / "spec" / "openapi.yaml")
    provenance = {
        "command": COMMAND,
        "contract_version": document["info"]["version"],
        "inputs": {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in inputs
        },
        "tools": {
            "@redocly/cli": node.redocly_version,
            **{name: version(name) for name in ("datamodel-code-generator", "openapi-python-client", "ruff")},
        },
        "files": sorted([*files_of(into), "provenance.json"]),
    }
    (into / "provenance.json").write_bytes((json.dumps(provenance, indent=1) + "\n").encode())


def files_of(folder: Path) -> dict[str, Path]:
    """All files below a folder, by their path inside it; caches of the interpreter are none of them."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path for path in found}


def generate(root: Path, into: Path) -> None:
    """The whole chain, into an empty folder.

    Raises:
        StepFailedError: the specification, or a tool that reads it, is at fault.

    """
    spec, node = root / "spec", _setup.node_tools()
    with ThreadPoolExecutor() as pool:  # none of the four needs another
        steps = [
            pool.submit(lint, spec, node.redocly),
            pool.submit(bundle, spec, into, node.redocly),
            pool.submit(generate_api, root, into),
            pool.submit(generate_events, spec, into),
        ]
    for step in steps:  # the linter says best what is wrong, so it is asked first
        step.result()
    tidy(into)
    write_provenance(root, into, node)
