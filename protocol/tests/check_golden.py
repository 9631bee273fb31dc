"""The golden vectors, both ways, on whichever Python runs it; prints how many held.

usage: check_golden.py FOLDER
"""

import binascii
import json
import sys

from golden_messages import READERS, WRITERS, plain, understood
from vector_items import block_bytes

from lilong_protocol import (
    advert,
    blocks,
    cbor,
    columns,
    frame,
    handshake,
    kdf,
    pieces,
    schedule,
    serial,
)
from lilong_protocol.advert_reader import AdvertOpener, read_advert
from lilong_protocol.cipher import GATEWAY_ID, NODE_ID, FrameCipher
from lilong_protocol.errors import AuthenticationError, DecodeError
from lilong_protocol.events import BatchReceived, Described, HelloReceived
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.greeting import Greeting
from lilong_protocol.memory_outbox import MemoryOutbox
from lilong_protocol.node_keys import NodeKeys
from lilong_protocol.node_session import OPEN, NodeSession
from lilong_protocol.request import REKEY

DELAY_MS = 2


def octets(text):
    return binascii.unhexlify(text)


def text_of(data):
    return binascii.hexlify(data).decode()


def check(condition, text):
    if not condition:
        raise SystemExit("failed: " + text)


def outcome(decode, *arguments):
    """Return what decode returns, or the class of error that it raises."""
    try:
        return decode(*arguments)
    except DecodeError:
        return DecodeError
    except AuthenticationError:
        return AuthenticationError


# Columns


def check_columns(golden):
    for case in golden["encoded"]:
        data = columns.encode_column(case["values"])
        check(data == octets(case["hex"]), "encode " + case["why"])
    for case in golden["encoded"] + golden["accepted"]:
        values = columns.decode_column(octets(case["hex"]), len(case["values"]))
        check(values == case["values"], "decode " + case["why"])
    for case in golden["refused"]:
        refused = outcome(columns.decode_column, octets(case["hex"]), case["count"])
        check(refused is DecodeError, "refuse " + case["why"])


def check_items(golden):
    for case in golden["encoded"]:
        check(text_of(block_bytes(case)) == case["hex"], "encode " + case["why"])
        block = blocks.decode_block(octets(case["hex"]))
        held = [[channel, values] for channel, values in block.columns]
        read = (block.boot, block.times, held)
        check(read == (case["boot"], case["times"], case["columns"]), "decode " + case["why"])


def check_messages(golden):
    for case in golden["messages"]:
        rule, fields, data = case["rule"], plain(case["fields"]), octets(case["hex"])
        write = WRITERS.get(rule, cbor.encode_sequence)
        check(write(fields) == data, "write " + case["name"])
        read = READERS[rule](data)
        beyond_the_window = rule == "data-sequence" and read == []
        check(read == fields or beyond_the_window, "read " + case["name"])
    for case in golden["accepted"]:
        fields = READERS[case["rule"]](octets(case["hex"]))
        check(fields == plain(case["reads"]), "accept " + case["rule"] + ", " + case["why"])
    for case in golden["refused"]:
        read = understood(case["rule"], octets(case["hex"]))
        check(read is None, "refuse " + case["rule"] + ", " + case["why"])


# Secure frames


def check_keys(golden):
    key, salt, context = [octets(golden[name]) for name in ("key", "salt", "id_context")]
    for name, identifier in (("node_key", NODE_ID), ("gateway_key", GATEWAY_ID)):
        derived = schedule.derive(key, salt, context, identifier, "Key", 16)
        check(text_of(derived) == golden[name], name)
    derived = schedule.derive(key, salt, context, b"", "IV", 13)
    check(text_of(derived) == golden["common_iv"], "common IV")
    return key, salt, context


def sides(source):
    return (NODE_ID, GATEWAY_ID) if source == "node" else (GATEWAY_ID, NODE_ID)


def check_frames(golden):
    keys = check_keys(golden)
    for case in golden["frames"]:
        ours, theirs = sides(case["from"])
        nonce = schedule.nonce(octets(golden["common_iv"]), ours, case["counter"])
        check(text_of(nonce) == case["nonce"], "nonce of " + case["name"])
        cipher = FrameCipher(*(keys + (ours, theirs)))
        cipher.sent = case["counter"]
        sealed = cipher.seal(case["type"], octets(case["plaintext"]), case["stream"])
        check(text_of(sealed) == case["hex"], "seal " + case["name"])
        header = frame.parse_header(sealed)
        read = [header.kind, header.stream, header.counter, header.short_id]
        check(read == [case["type"], case["stream"], case["counter"], 0], case["name"])
        opened = FrameCipher(*(keys + (theirs, ours))).open(header, sealed)
        check(text_of(opened) == case["plaintext"], "open " + case["name"])
    for case in golden["refused"]:
        ours, theirs = sides(case["from"])
        cipher = FrameCipher(*(keys + (theirs, ours)))
        error = outcome(opened_with, cipher, octets(case["hex"]))
        wanted = DecodeError if case["error"] == "undecodable" else AuthenticationError
        check(error is wanted, "refuse " + case["why"])


def opened_with(cipher, data):
    return cipher.open(frame.parse_header(data), data)


# The serial line


def check_serial(golden):
    for case in golden["wrapped"]:
        data, line = octets(case["frame"]), octets(case["hex"])
        check(serial.wrap(data, leading=case["leading"]) == line, "wrap " + case["name"])
        check(serial.FrameReader().feed(line) == [data], "unwrap " + case["name"])
    for case in golden["streams"]:
        for size in (1, 7, 4096):
            check_stream(case, size)


def check_stream(case, size):
    line = octets(case["hex"])
    reader = serial.FrameReader()
    frames = []
    for at in range(0, len(line), size):
        frames += reader.feed(line[at : at + size])
    check([text_of(data) for data in frames] == case["frames"], "frames: " + case["why"])
    counted = [reader.take_text().decode(), reader.damaged, reader.oversized]
    check(counted == [case["text"], case["damaged"], case["oversized"]], case["why"])


# BLE


def check_pieces(golden):
    for case in golden["cut"]:
        size = case["mtu"] - 3
        writer = pieces.PieceWriter()
        for data in case["frames"]:
            writer.put(octets(data))
        values = []
        while writer.waiting:
            values.append(text_of(writer.take(size)))
        check(values == case["values"] and writer.pending == 0, "cut " + case["name"])
        check_values(case, 0, 0, case["name"])
    for case in golden["read"]:
        check_values(case, case["damaged"], case["oversized"], case["why"])


def check_values(case, damaged, oversized, why):
    reader = pieces.PieceReader()
    frames = []
    for value in case["values"]:
        frames += reader.feed(octets(value))
    check([text_of(data) for data in frames] == case["frames"], "frames: " + why)
    check([reader.damaged, reader.oversized] == [damaged, oversized], "counts: " + why)


def check_adverts(golden):
    for case in golden["encoded"]:
        key, eui, told = octets(case["key"]), octets(case["eui"]), advert.Told(**case["told"])
        check(text_of(told.pack()) == case["plaintext"], "pack " + case["name"])
        nonce = advert.advert_nonce(eui, case["counter"])
        check(text_of(nonce) == case["nonce"], "nonce of " + case["name"])
        derived = kdf.hkdf(key, b"", b"lilong advert", 16)
        check(text_of(derived) == case["advert_key"], "key of " + case["name"])
        data = advert.seal_advert(key, eui, case["counter"], told)
        check(text_of(data) == case["hex"], "seal " + case["name"])
        check(read_advert(data) == (eui, case["counter"]), "places of " + case["name"])
        check(text_of(advert.payload(data)) == case["payload"], "payload of " + case["name"])
        answer = text_of(advert.scan_response(eui))
        check(answer == case["scan_response"], "scan response of " + case["name"])
        check(fields_of(AdvertOpener(key).open(data)) == case["reads"], "open " + case["name"])
    for case in golden["accepted"]:
        told = AdvertOpener(octets(case["key"])).open(octets(case["hex"]))
        check(fields_of(told) == case["reads"], "accept " + case["why"])
    for case in golden["refused"]:
        data = octets(case["hex"])
        check((read_advert(data) is not None) == case["shape"], "shape " + case["why"])
        error = outcome(AdvertOpener(octets(case["key"])).open, data)
        check(error is AuthenticationError, "refuse " + case["why"])


def fields_of(told):
    names = ("alarm", "raised", "device_class", "waiting", "age_s", "supply_mv", "channel", "seq")
    return {name: getattr(told, name) for name in names}


# Whole sessions


class Replay:
    """Gives the random bytes that were drawn then."""

    def __init__(self, text):
        self.left = octets(text)

    def __call__(self, count):
        drawn = self.left[:count]
        self.left = self.left[count:]
        return drawn


def check_session(golden):
    check_derived(golden, golden)
    check_opened(golden["key"], golden["salt"], golden["steps"])
    check_node(golden)
    check_gateway(golden)


def check_rekey(golden):
    """Two sessions, the second one under the next key."""
    second = 1
    while golden["steps"][second]["name"] != "HELLO":
        second += 1
    parts = (golden["steps"][:second], golden["steps"][second:])
    for name, derived, steps in zip(("key", "next_key"), golden["sessions"], parts):
        check_derived({"key": golden[name]}, derived)
        check_opened(golden[name], derived["salt"], steps)
    node = check_node(golden)
    check(text_of(node.current) == golden["next_key"] and node.next is None, "the node's slots")
    check_gateway(golden)


def check_derived(keys, derived):
    whole = {}
    for part in (derived, keys):
        whole.update(part)
    check_keys(whole)
    hello_key = kdf.hkdf(octets(keys["key"]), b"", b"lilong hello", 16)
    check(text_of(hello_key) == derived["hello_key"], "HELLO key")


def check_opened(key, salt, steps):
    """Open and seal each frame anew from the keys that its HELLO and WELCOME give."""
    said, answered = [octets(step["frame"]) for step in steps[:2]]
    clear = handshake.welcome_head(answered)
    check(text_of(kdf.sha256(said + clear)) == salt, "salt")
    ends = {
        "node": handshake.session_cipher(octets(key), said, clear, node=True),
        "gateway": handshake.session_cipher(octets(key), said, clear, node=False),
    }
    for step in steps[1:]:
        data, source = octets(step["frame"]), step["from"]
        header = frame.parse_header(data)
        head = clear[8:] if header.kind == frame.WELCOME else b""
        sink = ends["gateway" if source == "node" else "node"]
        opened = sink.open(header, data, len(head))
        check(text_of(opened) == step["plaintext"], "open " + step["name"])
        sealed = ends[source].seal(header.kind, opened, header.stream, clear=head)
        check(sealed == data, "seal " + step["name"])


def node_of(golden, keys):
    outbox = MemoryOutbox(golden["epoch"])
    for row in golden["outbox"]:
        outbox.acknowledged(row[0], row[1])
        for item in row[2:]:
            outbox.append(row[0], octets(item))
    greeting = Greeting(golden["boot_id"], golden["reset_cause"], golden["firmware"])
    random = Replay(golden["node_random"])
    eui, descriptor = octets(golden["eui"]), octets(golden["descriptor"])
    return NodeSession(eui, keys, outbox, random, greeting, descriptor)


def check_node(golden):
    """The node says, byte for byte, what it said then; return its keys."""
    keys = NodeKeys(octets(golden["key"]))
    node = node_of(golden, keys)
    for step in golden["steps"]:
        data = octets(step["frame"])
        if step["from"] == "node":
            said = node.poll(step["at_ms"])
            if said is None:
                # Ending a session says nothing; the HELLO after it does.
                said = node.poll(step["at_ms"])
            check(said == data, "the node's " + step["name"])
        else:
            node.receive(data, step["at_ms"] + DELAY_MS)
    check(node.state == OPEN and node.idle, "the node is done")
    return keys


def check_gateway(golden):
    """The gateway answers, byte for byte, as it answered then."""
    keys = [octets(golden[name]) for name in ("key", "next_key") if name in golden]
    gateway = GatewaySession({octets(golden["eui"]): keys}.get, Replay(golden["gateway_random"]))
    durable = list(golden["gateway_durable"])
    for step in golden["steps"]:
        data, now_ms = octets(step["frame"]), step["at_ms"]
        if step["name"] == "REQUEST":
            gateway.request(REKEY, keys[1])
        if step["from"] == "gateway":
            check(gateway.poll(now_ms) == data, "the gateway's " + step["name"])
            continue
        for event in gateway.receive(data, now_ms + DELAY_MS):
            handle(golden, gateway, durable, event, now_ms + DELAY_MS)


def handle(golden, gateway, durable, event, now_ms):
    if isinstance(event, HelloReceived):
        start_ms = golden["gateway_time_ms_at_0"]
        time_ms = None if start_ms is None else start_ms + now_ms
        known = golden["gateway_knows_descriptor"]
        gateway.accept(event.hello, durable, time_ms, now_ms, descriptor_known=known)
    elif isinstance(event, Described):
        gateway.described()
    elif isinstance(event, BatchReceived):
        held = golden["outbox"][event.stream]
        check(text_of(event.item) == held[2 + event.seq - held[1]], "the item of a batch")
        check(blocks.decode_block(event.item).count > 0, "readings of a batch")
        late = [event.stream, event.seq] == golden.get("late")
        if not late or gateway.key != octets(golden["key"]):
            durable[event.stream] = event.seq + 1
            gateway.stored(event.epoch, event.stream, event.seq)


CHECKS = (
    ("columns", check_columns),
    ("items", check_items),
    ("messages", check_messages),
    ("frames", check_frames),
    ("serial", check_serial),
    ("pieces", check_pieces),
    ("adverts", check_adverts),
    ("session_first", check_session),
    ("session_resumed", check_session),
    ("session_rekey", check_rekey),
)


def main(folder):
    for name, run in CHECKS:
        with open(folder + "/" + name + ".json") as source:
            golden = json.load(source)
        run(golden)
        counts = [len(golden[part]) for part in sorted(golden) if isinstance(golden[part], list)]
        print(name, sum(counts))


if __name__ == "__main__":
    main(sys.argv[1])
