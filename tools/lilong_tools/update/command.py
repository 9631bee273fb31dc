"""`lilong update`: make, sign and check updates of the nodes."""

import argparse
import json
import sys
from pathlib import Path

from lilong_protocol import cose
from lilong_protocol.manifest import APPLICATION
from lilong_tools.console import FAILED, count
from lilong_tools.errors import UpdateError
from lilong_tools.update.bundle import SUFFIX, Bundle, read_bundle, write_bundle
from lilong_tools.update.compiler import compile_modules
from lilong_tools.update.imports import source_tree
from lilong_tools.update.keys import (
    SigningKey,
    generate,
    public_path_of,
    read_public_keys,
    read_signing_key,
)
from lilong_tools.update.passphrase import VARIABLE, system_passphrase
from lilong_tools.update.release import Terms, ready_made, signed, unsigned
from lilong_tools.update.verdict import judge

_CLASS = "lilong-esp32"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of `lilong update`."""
    parts = parser.add_subparsers(dest="part", required=True, metavar="WHAT")
    keygen = parts.add_parser("keygen", help="make a pair of keys")
    keygen.add_argument("file", type=Path, metavar="FILE", help="the private key; FILE.pub beside")
    keygen.add_argument(
        "--passphrase", action="store_true", help=f"ask for one ({VARIABLE} is taken unasked)"
    )
    build = parts.add_parser("build", help="compile the application and make a bundle of it")
    _add_terms(build, required=True)
    build.add_argument("--key", type=Path, metavar="FILE", help="private key (absent: unsigned)")
    build.add_argument("--source", type=Path, metavar="DIR", help="tree (default: the installed)")
    sign = parts.add_parser("sign", help="sign a bundle, a folder of modules or a base image")
    sign.add_argument("input", type=Path, metavar="INPUT", help=f"*{SUFFIX}, folder or image")
    _add_terms(sign, required=False)
    sign.add_argument("--key", type=Path, metavar="FILE", required=True, help="private key")
    for made in (build, sign):
        made.add_argument("--output", type=Path, metavar=f"X{SUFFIX}", required=True)
    for name, purpose in (("show", "say what a bundle holds"), ("verify", "check a bundle")):
        part = parts.add_parser(name, help=purpose)
        part.add_argument("bundle", type=Path, metavar=f"X{SUFFIX}")
        part.add_argument(
            "--public", type=Path, metavar="FILE", required=name == "verify", help="public key(s)"
        )
        part.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Do the part that was asked for; 1 when a bundle is not good."""
    if options.part == "keygen":
        return _keygen(options)
    if options.part == "build":
        return _write(options.output, _built(options), options.key)
    if options.part == "sign":
        return _write(options.output, _given(options), options.key)
    return _show(options)


def _add_terms(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--sequence", type=count, metavar="N", required=required, help="higher than any before"
    )
    parser.add_argument(
        "--version", metavar="V", required=required, help="what people call it, as 1.4.0"
    )
    parser.add_argument(
        "--oldest", type=_number, metavar="N", help="lowest sequence that may take it (0)"
    )
    parser.add_argument(
        "--class", dest="device_class", metavar="C", help=f"kind of node it is for ({_CLASS})"
    )


def _number(text: str) -> int:
    return 0 if text == "0" else count(text)


def _keygen(options: argparse.Namespace) -> int:
    passphrase = system_passphrase().chosen(options.file, wanted=options.passphrase)
    public = generate(options.file, passphrase)
    kept = "protected by the passphrase" if passphrase else "not protected by a passphrase"
    sys.stdout.write(
        f"{options.file}: private key {cose.key_id(public).hex()}, {kept}\n"
        f"{public_path_of(options.file)}: public key, for update.pub of the nodes\n"
    )
    return 0


def _built(options: argparse.Namespace) -> Bundle:
    files = compile_modules(source_tree(options.source).modules())
    return unsigned(_terms(options), APPLICATION, files)


def _given(options: argparse.Namespace) -> Bundle:
    """Read what is to be signed; its manifest, if it has one, stays as it is."""
    if options.input.suffix != SUFFIX:
        if options.sequence is None or options.version is None:
            problem = f"{options.input} has no manifest yet"
            raise UpdateError(problem, "give --sequence and --version")
        kind, files = ready_made(options.input)
        return unsigned(_terms(options), kind, files)
    names = ("sequence", "version", "oldest", "device_class")
    if any(getattr(options, name) is not None for name in names):
        problem = f"{options.input} has a manifest, which is signed as it is"
        raise UpdateError(problem, "leave out --sequence, --version, --oldest and --class")
    return read_bundle(options.input)


def _terms(options: argparse.Namespace) -> Terms:
    named = _CLASS if options.device_class is None else options.device_class
    return Terms(named, options.sequence, options.oldest or 0, options.version)


def _write(path: Path, bundle: Bundle, key_path: Path | None) -> int:
    if path.suffix != SUFFIX:
        raise UpdateError(f"{path} is no name of a bundle", f"end it in {SUFFIX}")
    key = None if key_path is None else read_signing_key(key_path, system_passphrase())
    if key is not None:
        bundle = signed(bundle, key)
    write_bundle(path, bundle)
    sys.stdout.write(f"{path}: {_summary(bundle, key)}\n")
    return 0


def _summary(bundle: Bundle, key: SigningKey | None) -> str:
    manifest = bundle.contents()
    told = "not signed" if key is None else f"signed with key {cose.key_id(key.public).hex()}"
    return (
        f"{manifest.device_class} {manifest.version}, sequence {manifest.sequence},"
        f" {len(manifest.segments)} files, {manifest.size} bytes, {told}"
    )


def _show(options: argparse.Namespace) -> int:
    keys = None if options.public is None else read_public_keys(options.public)
    verdict = judge(read_bundle(options.bundle), keys)
    text = json.dumps(verdict.as_dict()) if options.json else "\n".join(verdict.lines())
    sys.stdout.write(text + "\n")
    return 0 if verdict.problem is None else FAILED
