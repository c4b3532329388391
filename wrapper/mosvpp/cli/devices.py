"""`mosvpp devices`."""

from __future__ import annotations

from . import options
from .terminal import Terminal

__all__ = ["devices"]


def devices(
    site: options.Site,
    base_url: options.BaseUrl = None,
    api_version: options.ApiVersion = "v1",
    api_key: options.ApiKey = None,
    ca_file: options.CaFile = None,
    timeout: options.TimeoutS = 30.0,
    as_json: options.Json = False,
) -> None:
    """List the devices of a site, and what they can do.

    Changes nothing. A device without a list of capabilities may have some all the same.
    """
    from .connection import Connection
    from .exits import Exit
    from .outcomes import heading
    from .tables import devices_table

    terminal = Terminal(as_json=as_json)
    connection = Connection(
        base_url=base_url, api_version=api_version, api_key=api_key, timeout=timeout, ca_file=ca_file
    )
    with connection.client(on_drift=terminal.warn_of) as client:
        client.check_site(site)
        found = client.sync_devices(site)
    terminal.show(heading("devices", found.molecule_id, connection))
    if len(found):
        terminal.show(devices_table(found))
    else:
        terminal.show("MosVPP knows no device at this site.")
    listed = [
        {
            "device_id": device.device_id,
            "device_type": device.device_type.value,
            "type_name": device.device_type.name,
            "name": device.name,
            "capabilities": None if device.capabilities is None else list(device.capabilities),
        }
        for device in found
    ]
    terminal.finish(Exit.OK, molecule_id=found.molecule_id, devices=listed)
