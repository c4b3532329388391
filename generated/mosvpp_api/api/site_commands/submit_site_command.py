# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.problem import Problem
from ...models.site_command_reply import SiteCommandReply
from ...models.site_command_request import SiteCommandRequest
from ...types import Response


def _get_kwargs(
    molecule_id: str,
    *,
    body: SiteCommandRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/{molecule_id}/sitecmd".format(
            molecule_id=quote(str(molecule_id), safe=""),
        ),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Problem | SiteCommandReply | None:
    if response.status_code == 200:
        response_200 = SiteCommandReply.from_dict(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())

        return response_404

    if response.status_code == 409:
        response_409 = Problem.from_dict(response.json())

        return response_409

    if response.status_code == 422:
        response_422 = Problem.from_dict(response.json())

        return response_422

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())

        return response_429

    if 500 <= response.status_code <= 599:
        response_5xx = Problem.from_dict(response.json())

        return response_5xx

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Problem | SiteCommandReply]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: SiteCommandRequest,
) -> Response[Problem | SiteCommandReply]:
    """Command devices of a site directly

     Switches or sets single devices for a number of seconds. No test mode, start time, cancel or read-
    back is documented. So take a command to act when it arrives, and a further one (`off`, `restore`)
    to be the only way back.

    Args:
        molecule_id (str):
        body (SiteCommandRequest): The body of a site command.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | SiteCommandReply]
    """

    kwargs = _get_kwargs(
        molecule_id=molecule_id,
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: SiteCommandRequest,
) -> Problem | SiteCommandReply | None:
    """Command devices of a site directly

     Switches or sets single devices for a number of seconds. No test mode, start time, cancel or read-
    back is documented. So take a command to act when it arrives, and a further one (`off`, `restore`)
    to be the only way back.

    Args:
        molecule_id (str):
        body (SiteCommandRequest): The body of a site command.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | SiteCommandReply
    """

    return sync_detailed(
        molecule_id=molecule_id,
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: SiteCommandRequest,
) -> Response[Problem | SiteCommandReply]:
    """Command devices of a site directly

     Switches or sets single devices for a number of seconds. No test mode, start time, cancel or read-
    back is documented. So take a command to act when it arrives, and a further one (`off`, `restore`)
    to be the only way back.

    Args:
        molecule_id (str):
        body (SiteCommandRequest): The body of a site command.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Problem | SiteCommandReply]
    """

    kwargs = _get_kwargs(
        molecule_id=molecule_id,
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
    body: SiteCommandRequest,
) -> Problem | SiteCommandReply | None:
    """Command devices of a site directly

     Switches or sets single devices for a number of seconds. No test mode, start time, cancel or read-
    back is documented. So take a command to act when it arrives, and a further one (`off`, `restore`)
    to be the only way back.

    Args:
        molecule_id (str):
        body (SiteCommandRequest): The body of a site command.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Problem | SiteCommandReply
    """

    return (
        await asyncio_detailed(
            molecule_id=molecule_id,
            client=client,
            body=body,
        )
    ).parsed
