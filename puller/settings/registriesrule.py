"""Rule: one `[[registry]]` of a registries.conf: which names it speaks of, and where these are to be had from. Pure.

By containers-registries.conf(5), and by sysregistriesv2 of containers/image where that leaves it open.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from puller.errors import InvalidConfig, InvalidReference
from puller.model.reference import Reference

Usage: TypeAlias = Literal["all", "digest-only", "tag-only"]
_WILD = "*."


@dataclass(frozen=True, slots=True)
class Location:
    """Where what follows a prefix is to be had from; `name` "": where it says itself."""

    name: str
    insecure: bool = False
    proxy: str = ""
    usage: Usage = "all"


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for names that begin with `prefix`; `*.example.com` for all hosts below example.com.

    `blocked`: the registry itself is not to be asked. Its mirrors are, as containers/image has it: a cluster that
    must never contact the source is set up so.
    """

    prefix: str
    location: Location
    mirrors: tuple[Location, ...]
    blocked: bool
    file: Path

    @property
    def is_wild(self) -> bool:
        """Whether it speaks of all hosts below one."""
        return self.prefix.startswith(_WILD)

    def matched(self, reference: Reference) -> int | None:
        """How many characters of the name the prefix stands for; None: it does not speak of this name."""
        text = str(reference)
        if self.is_wild:
            host = reference.registry.partition(":")[0]
            return len(host) if host.endswith(self.prefix[1:]) else None
        if not text.startswith(self.prefix):
            return None
        rest = text[len(self.prefix) :]
        # A colon after a host begins its port, and that is another host then.
        ends = "/:@" if "/" in self.prefix else "/"
        return len(self.prefix) if not rest or rest[0] in ends else None

    def chosen(self, reference: Reference) -> Iterator[Location]:
        """The mirrors that this reference may be had from, in order. One by digest may be had from all but those for
        tags; one by tag from all: but of mirrors for digests only the content, which is known by its digest then.
        """
        return (mirror for mirror in self.mirrors if reference.digest is None or mirror.usage != "tag-only")

    def rewritten(self, reference: Reference, location: Location) -> Reference:
        """The name at `location`. Raises InvalidConfig where that is no name of an image."""
        matched = self.matched(reference)
        assert matched is not None
        if not location.name:
            return reference
        text = location.name + str(reference)[matched:]
        try:
            found = Reference.parse(text)
        except InvalidReference as error:
            raise self._unusable(location, text) from error
        same = (found.tag, found.digest) == (reference.tag, reference.digest)
        if not same or not str(found).startswith(location.name):
            raise self._unusable(location, text)
        return found

    def _unusable(self, location: Location, text: str) -> InvalidConfig:
        return InvalidConfig(
            "a location does not make the name of an image",
            where=f"{self.file}: location {location.name}",
            wanted="host[:port][/path]",
            got=text,
        )
