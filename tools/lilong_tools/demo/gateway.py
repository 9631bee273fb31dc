"""The files that a gateway of the demonstration is run with."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from lilong_tools.city.address import Address
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
        "\n".join([*_settings(folder, broker, form, site), *_grants(plans)]) + "\n", "utf-8"
    )
    return path


def _settings(folder: Path, broker: Address, form: str, site: str) -> list[str]:
    return [
        "[gateway]",
        f"id = {_text(GATEWAY)}",
        f"site = {_text(site)}",
        'data = "gateway"',
        "[nodes]",
        'keys = "nodes.toml"',
        "[serial]",
        f"ports = [{_text(glob.escape(str(folder.resolve())) + '/nodes/*/tty')}]",
        "scan_s = 0.2",
        "[uplink]",
        f"host = {_text(broker.host)}",
        f"port = {broker.port}",
        f'format = "senml+{form}"',
        f"prefix = {_text(PREFIX)}",
        'confirm = "city"',
        "[status]",
        'file = "gateway.json"',
    ]


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
