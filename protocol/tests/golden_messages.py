"""What our own end reads in the plaintext of each message, and what it writes."""

import binascii

from lilong_protocol import cbor, frame, handshake, kdf
from lilong_protocol.acknowledgement import Acknowledgement, parse_acknowledgements
from lilong_protocol.aead import Aead
from lilong_protocol.description import Description
from lilong_protocol.description_reader import parse_description
from lilong_protocol.descriptor import Channel, decode_descriptor, encode_descriptor
from lilong_protocol.errors import DecodeError
from lilong_protocol.gateway_session import GatewaySession
from lilong_protocol.question import parse_response
from lilong_protocol.receiver import pack_acknowledgements
from lilong_protocol.request import Request, Response, parse_request
from lilong_protocol.time_exchange import TimeExchange

KEY = bytes(range(16))


class Nobody:
    """Random numbers for who needs none."""

    def __call__(self, count):
        return bytes(count)


def hello_of(fields):
    boot_id, epoch, uptime_ms, first, after, digest, cause, firmware = fields
    return handshake.Hello(
        bytes(8), boot_id, epoch, uptime_ms, first, after, digest, cause, firmware
    )


def hello_frame(plaintext):
    head = handshake.Hello(bytes(8), 0, 0, 0, [0] * 4, [0] * 4, bytes(8)).pack(KEY, bytes(8))[:26]
    tag = Aead(kdf.hkdf(KEY, b"", b"lilong hello", 16)).seal(bytes(13), b"", head + plaintext)
    return head + plaintext + tag


def read_hello(plaintext):
    hello = handshake.open_hello(hello_frame(plaintext), KEY)
    return [
        hello.boot_id,
        hello.epoch,
        hello.uptime_ms,
        hello.first,
        hello.next,
        hello.descriptor_hash,
        hello.reset_cause,
        hello.firmware,
    ]


def write_hello(fields):
    return hello_of(fields).pack(KEY, bytes(8))[26:-8]


def read_welcome(plaintext):
    welcome = handshake.parse_welcome(plaintext)
    return [welcome.time_ms, welcome.descriptor_known, welcome.next]


def write_welcome(fields):
    return handshake.Welcome(fields[0], fields[2], descriptor_known=fields[1]).pack()


def read_describe(plaintext):
    told = parse_description(plaintext)
    clock = [told.boot_id, told.epoch_ms_at_boot, told.uncertainty_ms]
    return clock + [told.descriptor_hash, told.descriptor]


def write_describe(fields):
    return Description(*fields).pack()


def read_ack(plaintext):
    fields = []
    for entry in parse_acknowledgements(plaintext):
        fields += [entry.stream, entry.next, entry.bitmap, entry.window]
    return fields


def write_ack(fields):
    entries = [Acknowledgement(*fields[at : at + 4]) for at in range(0, len(fields), 4)]
    return pack_acknowledgements(entries)


def read_request(plaintext):
    request = parse_request(plaintext)
    return [request.number, request.method, request.body]


def read_response(plaintext):
    response = parse_response(plaintext)
    return [response.number, response.code, response.payload]


def read_descriptor(data):
    version, channels = decode_descriptor(data)
    return [[version, [channel.fields() for channel in channels]]]


def write_descriptor(fields):
    return encode_descriptor(fields[0][0], [Channel(*row) for row in fields[0][1]])


def read_time_answer(plaintext):
    exchange = TimeExchange(0)
    exchange.ask(250)
    timed = exchange.answered(plaintext, 260)
    fields = cbor.decode_sequence(plaintext)
    if not timed and (len(fields) < 2 or fields[1] is not None):
        raise DecodeError("no answer")
    return fields[:2]


def plain(field):
    """Return a field of JSON as CBOR has it: {"hex": ...} is a byte string."""
    if isinstance(field, dict):
        return binascii.unhexlify(field["hex"])
    return [plain(element) for element in field] if isinstance(field, list) else field


class Open:
    """A gateway whose session is open, and the node's keys."""

    def __init__(self):
        self.gateway = GatewaySession({bytes(8): [KEY]}.get, Nobody())
        hello = handshake.Hello(bytes(8), 1, 2, 3, [0] * 4, [0] * 4, bytes(8))
        said = hello.pack(KEY, bytes(8))
        (greeted,) = self.gateway.receive(said, 0)
        self.gateway.accept(greeted.hello, [0] * 4, None, 0, descriptor_known=True)
        head = handshake.welcome_head(self.gateway.poll(0))
        self.node = handshake.session_cipher(KEY, said, head, node=True)
        told = Description(1, None, 0, bytes(8), None)
        self.gateway.receive(self.node.seal(frame.DESCRIBE, told.pack(), 1), 0)
        self.gateway.described()
        self.answer()

    def say(self, kind, plaintext):
        events = self.gateway.receive(self.node.seal(kind, plaintext, 1), 0)
        if self.gateway.counters["undecodable"]:
            raise DecodeError("the gateway counts it")
        return events

    def answer(self):
        data = self.gateway.poll(0)
        return self.node.open(frame.parse_header(data), data)


def read_time_question(plaintext):
    link = Open()
    link.say(frame.TIME, plaintext)
    return cbor.decode_sequence(link.answer())[:1]


def read_data(plaintext):
    (event,) = Open().say(frame.DATA, plaintext) or [None]
    return [] if event is None else [event.seq] + cbor.decode_sequence(event.item)


READERS = {
    "hello-sequence": read_hello,
    "welcome-sequence": read_welcome,
    "describe-sequence": read_describe,
    "ack-sequence": read_ack,
    "time-question-sequence": read_time_question,
    "time-answer-sequence": read_time_answer,
    "request-sequence": read_request,
    "response-sequence": read_response,
    "descriptor-array": read_descriptor,
    "data-sequence": read_data,
}
WRITERS = {
    "hello-sequence": write_hello,
    "welcome-sequence": write_welcome,
    "describe-sequence": write_describe,
    "ack-sequence": write_ack,
    "request-sequence": lambda fields: Request(*fields).pack(),
    "response-sequence": lambda fields: Response(*fields).pack(),
    "descriptor-array": write_descriptor,
}


def understood(rule, data):
    """Return the fields that our own end reads; None where it refuses."""
    try:
        return READERS[rule](data)
    except DecodeError:
        return None
