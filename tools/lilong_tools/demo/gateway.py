"""The files that a gateway of the demonstration is run with."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from lilong_tools.city.address import Address
from lilong_tools.demo.ether import ADAPTER
from lilong_tools.demo.plan import NodePlan

GATEWAY = "gw-1"
PREFIX = "lilong"

_REASON = "demonstration: a simulated person"


def write_gateway(
    folder: Path, plans: Sequence[NodePlan], broker: Address, form: str, site: str
) -> Path:
    """Write configuration and keys (mode 0600) into `folder`; give the configuration's path."""
    _write_keys(folder / "nodes.toml", plans)
    path = folder / "gateway.toml"
    path.write_text(
        "\n".join([*_settings(broker, form, site), *_links(folder, plans), *_grants(plans)])
        + "\n",
        "utf-8",
    )
    return path


def _settings(broker: Address, form: str, site: str) -> list[str]:
    return [
        "[gateway]",
        f"id = {_text(GATEWAY)}",
        f"site = {_text(site)}",
        'data = "gateway"',
        "[nodes]",
        'keys = "nodes.toml"',
        "[uplink]",
        f"host = {_text(broker.host)}",
        f"port = {broker.port}",
        f'format = "senml+{form}"',
        f"prefix = {_text(PREFIX)}",
        'confirm = "city"',
        "[status]",
        'file = "gateway.json"',
    ]


def _links(folder: Path, plans: Sequence[NodePlan]) -> list[str]:
    """Name the ports and the adapter over which the nodes talk."""
    lines = []
    if not plans or any(not plan.on_ble for plan in plans):
        ports = glob.escape(str(folder.resolve())) + "/nodes/*/tty"
        lines += ["[serial]", f"ports = [{_text(ports)}]", "scan_s = 0.2"]
    if any(plan.on_ble for plan in plans):
        lines += ["[ble]", f"adapters = [{_text(ADAPTER)}]"]
    return lines


def _grants(plans: Sequence[NodePlan]) -> list[str]:
    """Name each node whose raw readings may go north; the gateway denies all others."""
    lines = []
    for plan in plans:
        if plan.private:
            classes = ", ".join(map(_text, plan.private))
            lines += [
                "[[privacy.grant]]",
                f"node = {_text(plan.eui)}",
                f"classes = [{classes}]",
                f"reason = {_text(_REASON)}",
            ]
    return lines


def _write_keys(path: Path, plans: Sequence[NodePlan]) -> None:
    lines = ["[keys]", *(f"{_text(plan.eui)} = {_text(plan.key.hex())}" for plan in plans)]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")


def _text(value: str) -> str:
    """Write a TOML basic string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
