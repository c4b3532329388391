"""The arguments and options that several commands share, each with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "BASE_URL_VARIABLE",
    "ApiKey",
    "ApiVersion",
    "BaseUrl",
    "CaFile",
    "Json",
    "Live",
    "Save",
    "Site",
    "TimeoutS",
    "Yes",
]

BASE_URL_VARIABLE = "MOSVPP_BASE_URL"

_CONNECTION = "Connection"
_SAFETY = "Safety"

Site: TypeAlias = Annotated[
    str, typer.Argument(help="The molecule_id of the site, for example fecd0001c031e7e8.")
]
BaseUrl: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        metavar="URL",
        envvar=BASE_URL_VARIABLE,
        help="Scheme, host and port of MosVPP, without a path. Default: Molecule's gateway.",
        rich_help_panel=_CONNECTION,
    ),
]
ApiVersion: TypeAlias = Annotated[
    str,
    typer.Option(
        "--api-version",
        metavar="VERSION",
        help="The version in the path. That it is v1 is inferred.",
        rich_help_panel=_CONNECTION,
    ),
]
ApiKey: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--api-key",
        metavar="KEY",
        help="@FILE reads the key from a file, env:NAME from a variable. Default: env:MOSVPP_API_KEY.",
        rich_help_panel=_CONNECTION,
    ),
]
CaFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--ca-file",
        metavar="PEM",
        help="Trust the certificates in this file too, for example those of a proxy that opens TLS.",
        rich_help_panel=_CONNECTION,
    ),
]
TimeoutS: TypeAlias = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="SECONDS",
        help="How long one attempt may take.",
        rich_help_panel=_CONNECTION,
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Save: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--save",
        metavar="FILE",
        help="Keep the receipt in a new file; until it is there, the request.",
    ),
]
Live: TypeAlias = Annotated[
    bool, typer.Option("--live", help="Say that real devices may move.", rich_help_panel=_SAFETY)
]
Yes: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--yes", help="Do not ask for confirmation. Needed where nobody can type.", rich_help_panel=_SAFETY
    ),
]
