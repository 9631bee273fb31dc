"""Write the golden vectors of protocol/vectors, from fixed seeds and from what is written there.

In blocks.json and messages.json the meaning is written by hand, and the bytes beside it are made
here. All other files are made whole.

usage: make_vectors.py [FOLDER]
"""

import json
import pathlib
import sys

from vector_adverts import made_adverts
from vector_columns import made_columns
from vector_frames import made_frames, made_serial
from vector_items import block_bytes, made_items
from vector_move import rekey_session
from vector_pieces import made_pieces
from vector_session import first_session, resumed_session

from lilong_protocol import cbor, columns, descriptor

FOLDER = pathlib.Path(__file__).parent.parent / "vectors"


def made_blocks(written):
    for case in written["columns"]:
        data = columns.encode_column(case["values"])
        case["hex"] = None if data is None else data.hex()
    for case in written["blocks"]:
        case["hex"] = block_bytes(case).hex()
    for case in written["descriptors"]:
        channels = [descriptor.Channel(*row) for row in case["channels"]]
        case["hex"] = descriptor.encode_descriptor(case["version"], channels).hex()
    return written


def plain(field):
    """Return a field of JSON as CBOR has it: {"hex": ...} is a byte string."""
    if isinstance(field, dict):
        return bytes.fromhex(field["hex"])
    return [plain(element) for element in field] if isinstance(field, list) else field


def made_messages(written):
    for case in written["messages"] + written["accepted"] + written["refused"]:
        if "fields" in case:
            case["hex"] = cbor.encode_sequence([plain(field) for field in case["fields"]]).hex()
    return written


def laid_out(golden):
    """Return the JSON with one case on each line."""
    fields = []
    for name, value in golden.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join("    " + json.dumps(row, ensure_ascii=False) for row in value)
            fields.append(f"  {json.dumps(name)}: [\n{rows}\n  ]")
        else:
            fields.append(f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def written_in(path):
    return json.loads(path.read_text(encoding="utf-8"))


def made(folder=FOLDER):
    """Return the text of every file by its name."""
    sessions = [first_session(), resumed_session()]
    frames = made_frames(sessions[0])
    files = {
        "adverts.json": made_adverts(),
        "blocks.json": made_blocks(written_in(folder / "blocks.json")),
        "columns.json": made_columns(),
        "items.json": made_items(),
        "messages.json": made_messages(written_in(folder / "messages.json")),
        "session_first.json": sessions[0],
        "session_resumed.json": sessions[1],
        "session_rekey.json": rekey_session(),
        "frames.json": frames,
        "serial.json": made_serial(sessions, frames),
        "pieces.json": made_pieces(sessions),
    }
    return {name: laid_out(golden) for name, golden in files.items()}


def main(folder):
    for name, text in made(folder).items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
