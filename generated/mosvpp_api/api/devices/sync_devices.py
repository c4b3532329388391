# Generated from spec/openapi.yaml by `python3 scripts/regenerate.py`. Do not edit; edit the source and run it.
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.device_sync_reply import DeviceSyncReply
from ...models.problem import Problem
from ...types import Response


def _get_kwargs(
    molecule_id: str,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/{molecule_id}/devicesync".format(
            molecule_id=quote(str(molecule_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> DeviceSyncReply | Problem | None:
    if response.status_code == 200:
        response_200 = DeviceSyncReply.from_dict(response.json())

        return response_200

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())

        return response_404

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
) -> Response[DeviceSyncReply | Problem]:
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
) -> Response[DeviceSyncReply | Problem]:
    """Learn the devices of a site

     Returns every device that Molecule knows at the site, with its type code and, where listed, its
    capabilities. It changes nothing, so it may be repeated. New type codes and new capabilities must be
    expected at any time.

    Args:
        molecule_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DeviceSyncReply | Problem]
    """

    kwargs = _get_kwargs(
        molecule_id=molecule_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> DeviceSyncReply | Problem | None:
    """Learn the devices of a site

     Returns every device that Molecule knows at the site, with its type code and, where listed, its
    capabilities. It changes nothing, so it may be repeated. New type codes and new capabilities must be
    expected at any time.

    Args:
        molecule_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DeviceSyncReply | Problem
    """

    return sync_detailed(
        molecule_id=molecule_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> Response[DeviceSyncReply | Problem]:
    """Learn the devices of a site

     Returns every device that Molecule knows at the site, with its type code and, where listed, its
    capabilities. It changes nothing, so it may be repeated. New type codes and new capabilities must be
    expected at any time.

    Args:
        molecule_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DeviceSyncReply | Problem]
    """

    kwargs = _get_kwargs(
        molecule_id=molecule_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    molecule_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> DeviceSyncReply | Problem | None:
    """Learn the devices of a site

     Returns every device that Molecule knows at the site, with its type code and, where listed, its
    capabilities. It changes nothing, so it may be repeated. New type codes and new capabilities must be
    expected at any time.

    Args:
        molecule_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DeviceSyncReply | Problem
    """

    return (
        await asyncio_detailed(
            molecule_id=molecule_id,
            client=client,
        )
    ).parsed
