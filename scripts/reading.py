"""Reading YAML with libyaml: the same as with the reader in Python, and several times as fast."""

from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # every wheel of PyYAML has it


def read_yaml(path: Path) -> Any:
    """What a file holds.

    Raises:
        OSError: it is missing.
        yaml.YAMLError: it is no YAML.

    """
    return yaml.load(path.read_text("utf-8"), _LOADER)  # noqa: S506  a safe one, as above


def read_nodes(path: Path) -> yaml.Node | None:
    """The same as nodes, which know their line and column."""
    return yaml.compose(path.read_text("utf-8"), _LOADER)
