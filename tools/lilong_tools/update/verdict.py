"""What a node would say of a bundle, for a person and for scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lilong_gateway.downlink.bundle import GOOD, Bundle, states
from lilong_protocol import cose
from lilong_protocol.errors import AuthenticationError
from lilong_protocol.manifest import BASE_IMAGE, Manifest, verify_by_any

_ROLES = ("active", "recovery")


@dataclass(frozen=True)
class Verdict:
    """A bundle under the eyes of these public keys; None: nobody asked whose signature it is."""

    manifest: Manifest
    key_id: str | None
    signed_by: str | None
    """Which of the node's keys it is signed with: active, recovery, or None."""
    problem: str | None
    """Why a node would refuse it, None when it would not."""
    checked: bool
    files: dict[str, str]

    @property
    def words(self) -> str:
        """The verdict in one word, or two, with the reason."""
        if self.problem is not None:
            return f"refused: {self.problem}"
        return "good" if self.checked else "signature not checked"

    def as_dict(self) -> dict[str, Any]:
        """Give everything for JSON."""
        manifest = self.manifest
        return {
            "class": manifest.device_class,
            "sequence": manifest.sequence,
            "oldest": manifest.oldest,
            "version": manifest.version,
            "kind": _kind(manifest),
            "bytes": manifest.size,
            "key_id": self.key_id,
            "signed_by": self.signed_by,
            "good": self.checked and self.problem is None,
            "verdict": self.words,
            "segments": [
                {
                    "name": segment.name,
                    "size": segment.size,
                    "sha256": segment.sha256.hex(),
                    "state": self.files[segment.name],
                }
                for segment in manifest.segments
            ],
        }

    def lines(self) -> Iterator[str]:
        """Give everything for a person."""
        manifest = self.manifest
        for segment in manifest.segments:
            state = self.files[segment.name]
            told = "" if state == GOOD else f"  {state}"
            yield f"{segment.size:>9}  {segment.sha256.hex()[:16]}  {segment.name}{told}"
        for name in sorted(self.files.keys() - {one.name for one in manifest.segments}):
            yield f"{'':>9}  {'':16}  {name}  {self.files[name]}"
        yield f"{manifest.size:>9}  bytes in {len(manifest.segments)} files"
        yield f"class     {manifest.device_class}"
        yield f"version   {manifest.version} ({_kind(manifest)})"
        taken = f"{manifest.oldest} to {manifest.sequence - 1}"
        yield f"sequence  {manifest.sequence}, for nodes that run {taken}"
        yield f"key       {self._key()}"
        yield f"verdict   {self.words}"

    def _key(self) -> str:
        role = "" if self.signed_by is None else f" ({self.signed_by})"
        return f"{self.key_id or 'not named'}{role}"


def judge(bundle: Bundle, public_keys: Sequence[bytes] | None) -> Verdict:
    """Give the verdict on a bundle that was read; without keys its signature is not checked."""
    files = states(bundle)
    key_id, signed_by, problem = None, None, None
    if bundle.signed:
        message = cose.parse_sign1(bundle.manifest)
        key_id = None if message.key_id is None else message.key_id.hex()
        if public_keys is not None:
            signed_by, problem = _signer(message, public_keys)
    elif public_keys is not None:
        problem = "it is not signed"
    if problem is None and (bad := sorted(name for name in files if files[name] != GOOD)):
        problem = f"{bad[0]} is {files[bad[0]]}"
    return Verdict(bundle.contents(), key_id, signed_by, problem, public_keys is not None, files)


def _signer(message: cose.Sign1, keys: Sequence[bytes]) -> tuple[str | None, str | None]:
    """Give the role of the key that it is signed with, or the reason why there is none."""
    try:
        signer = verify_by_any(message, keys)
    except AuthenticationError as error:
        return None, str(error)
    return _ROLES[keys.index(signer)], None


def _kind(manifest: Manifest) -> str:
    return "base image" if manifest.kind == BASE_IMAGE else "application"
