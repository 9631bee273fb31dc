"""What batches cost the flash of a node, and what power cuts do to it."""

from typing import Any

from lilong_tools.bench.program import NodeProgram

_SEED = 1
_SECTORS = 4
_JOURNAL_ROUNDS = 6
_FILE_ROUNDS = 4


def measure_journal(program: NodeProgram) -> dict[str, Any]:
    """Return erases and programmed bytes of the flash, and what power cuts were tried.

    `journal_full_*` are those of a journal that is full and thins, `journal_files_*` those of one
    without a partition, `journal_peer_*` those of one file a batch on LittleFS. Single figures
    are for items of 110 bytes, lists for all of `journal_item_bytes`. Cuts are tried before,
    after and twice amid every erase and program.
    """
    wear = program.run("journal_wear")
    swept = [
        program.run("journal_sweep", _SEED, _SECTORS, _JOURNAL_ROUNDS),
        program.run("files_sweep", _FILE_ROUNDS),
    ]
    return dict(sorted(wear.items())) | {
        "power_cuts_tried": sum(sweep["tried"] for sweep in swept),
        "power_cuts_failed": sum(sweep["failed"] for sweep in swept),
    }
