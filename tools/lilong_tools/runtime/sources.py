"""The apt sources of this machine: which of them is the Debian archive."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

SUITE = "trixie"
"""Debian 13, the first release with a MicroPython that is new enough."""


@dataclass(frozen=True)
class Source:
    """One entry: the fields of a deb822 stanza (sources.list(5)), names in lower case."""

    fields: Mapping[str, str]

    def words(self, name: str) -> list[str]:
        """Give the words of a field, none when it is absent."""
        return self.fields.get(name, "").split()

    def for_suite(self, suite: str) -> str:
        """Give the stanza for the packages of another suite, from the same place and signer.

        What could weaken the verification (Trusted, Allow-Insecure) is not taken along.
        """
        kept = ("uris", "signed-by", "check-valid-until")
        fields = {name: self.fields[name] for name in kept if name in self.fields}
        fields |= {"types": "deb", "suites": suite, "components": "main", "targets": "Packages"}
        return "".join(f"{name}: {value}\n" for name, value in fields.items())


def debian_sources(folder: Path, codename: str) -> list[Source]:
    """Give the entries in `folder` (/etc/apt) that can be the Debian archive, the surest first."""
    wanted = {codename, SUITE}
    found = [
        source
        for source in _all_sources(folder)
        if wanted.intersection(source.words("suites"))
        and "main" in source.words("components")
        and "deb" in source.words("types")
        and source.fields.get("enabled", "yes").lower() not in {"no", "false", "0", "off"}
        and not source.fields.get("uris", "").startswith("cdrom:")
    ]
    return sorted(found, key=_doubt)


def _doubt(source: Source) -> int:
    """Rank by signer: others also publish a suite called as Debian's release, component main."""
    signer = source.fields.get("signed-by", "")
    if "debian-archive" in signer:
        return 0
    return 2 if signer else 1


def _all_sources(folder: Path) -> Iterator[Source]:
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.suffix not in {".list", ".sources"} or not path.is_file():
            continue
        lines = path.read_text("utf-8", "replace").splitlines()
        yield from _stanzas(lines) if path.suffix == ".sources" else _one_liners(lines)


def _stanzas(lines: Iterable[str]) -> Iterator[Source]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*lines, ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield Source(fields)
            fields, name = {}, ""
        elif line[0].isspace() and name:
            fields[name] += f"\n{line}"
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _one_liners(lines: Iterable[str]) -> Iterator[Source]:
    for line in lines:
        kind, _, rest = line.partition("#")[0].strip().partition(" ")
        rest = rest.strip()
        options, _, place = rest[1:].partition("]") if rest.startswith("[") else ("", "", rest)
        words = place.split()
        if kind != "deb" or len(words) < 3:  # noqa: PLR2004 - a place, a suite, a component
            continue
        fields = {"types": kind, "uris": words[0], "suites": words[1]}
        fields["components"] = " ".join(words[2:])
        for option in options.split():
            name, _, value = option.partition("=")
            fields[name.lower()] = value.replace(",", " ")
        yield Source(fields)
