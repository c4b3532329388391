"""Files out of npm packages, each fetched once and compared with the hash in scripts/node/packed.json.

Only what stands in the package itself is used, so that nothing else is installed: the console as one script,
axe-core as one script, and a headless Chromium.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import _setup

FOLDER = _setup.NODE / "packed"
LIST = _setup.NODE / "packed.json"
_UNPACK = (
    "const fs = require('fs'), zlib = require('zlib'), {pipeline} = require('stream');"
    "pipeline(fs.createReadStream(process.argv[1]), zlib.createBrotliDecompress(),"
    " fs.createWriteStream(process.argv[2]), error => process.exit(error ? 1 : 0));"
)


def package(name: str) -> Path:
    """The folder of a package, with its files.

    Raises:
        SetupError: npm failed, or the package is not the one that was reviewed.

    """
    wanted: dict[str, str] = json.loads(LIST.read_text("utf-8"))[name]
    target = FOLDER / f"{name.replace('/', '+')}-{wanted['version']}"
    if not target.exists():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as scratch:
            archive = _fetched(f"{name}@{wanted['version']}", wanted["integrity"], Path(scratch))
            with tarfile.open(archive) as tar:
                tar.extractall(scratch, filter="data")
            try:
                (Path(scratch) / "package").replace(target)
            except OSError:
                if not target.exists():  # else another process was faster
                    raise
    return target


def _fetched(spec: str, integrity: str, into: Path) -> Path:
    npm = _setup.node_tools().npm
    command = [*npm, "pack", spec, "--pack-destination", str(into), "--loglevel=error"]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True, check=False)
    found = list(into.glob("*.tgz"))
    if done.returncode or not found:
        raise _setup.SetupError(f"npm could not fetch {spec}:\n{done.stdout}{done.stderr}")
    digest = base64.b64encode(hashlib.sha512(found[0].read_bytes()).digest()).decode()
    if f"sha512-{digest}" != integrity:
        raise _setup.SetupError(f"{spec} is not the package that {LIST.name} names: sha512-{digest}")
    return found[0]


def unbrotli(source: Path, target: Path) -> None:
    """Decompress a file with Node, since Python cannot.

    Raises:
        SetupError: it is no Brotli stream.

    """
    node = _setup.node_tools().pyright[0]
    part = target.with_suffix(".part")
    if subprocess.run([node, "-e", _UNPACK, str(source), str(part)], check=False).returncode:
        raise _setup.SetupError(f"{source} could not be decompressed")
    part.replace(target)
