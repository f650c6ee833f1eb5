"""Choice: which images of an index are brought, and what goes in its place then. Pure.

`sparse` leaves the index as it is, so its digest stays, and images of it are not there. `rewritten` makes an index of
the chosen ones alone. `single` goes without an index. Attestations that buildkit made of a chosen image (entries that
name it in `vnd.docker.reference.digest`) come with it, but for `single`.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from puller.errors import InvalidConfig, Unsupported
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.manifest import ATTESTATION, Index
from puller.model.platform import Platform
from puller.model.sync import Manner

_OF_IMAGE: Final = "vnd.docker.reference.digest"  # buildkit, docs/attestations/attestation-storage.md
_SPACE: Final = re.compile(r"[ \t\n\r]*", re.ASCII)
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Choice:
    """Of one index: the entries to bring, those left out, and what is to be said of it."""

    brought: tuple[Descriptor, ...]
    absent: tuple[Digest, ...] = ()
    warnings: tuple[str, ...] = ()


def platforms_of(manner: Manner) -> tuple[Platform, ...]:
    """The platforms that are wanted; empty: all of them. Raises InvalidConfig."""
    platforms = tuple(Platform.parse(text) for text in manner.platforms)
    if manner.index == "single" and len(platforms) > 1:
        raise InvalidConfig("a single image serves one platform", got=", ".join(manner.platforms))
    return platforms


def choose(index: Index, platforms: Sequence[Platform]) -> Choice:
    """The entries that serve `platforms`, in the order of the index; all that can be read where there are none.

    A platform that the index has not is told. Raises Unsupported where it has none of them.
    """
    if not platforms:
        unread = tuple(entry for entry in index.manifests if entry not in index.readable)
        kinds = ", ".join(sorted({entry.media_type for entry in unread}))
        said = (f"left out of the index, being of unknown kind: {kinds}",) if unread else ()
        return Choice(index.readable, tuple(entry.digest for entry in unread), said)
    wanted: set[Digest] = set()
    lacking: list[Unsupported] = []
    for platform in platforms:
        try:
            wanted.add(index.choose(platform).digest)
        except Unsupported as error:
            lacking.append(error)
    if not wanted:
        raise lacking[0]
    names = {str(digest) for digest in wanted}
    brought = tuple(entry for entry in index.readable if entry.digest in wanted or _attests(entry, names))
    there = {entry.digest for entry in brought}
    absent = tuple(dict.fromkeys(entry.digest for entry in index.manifests if entry.digest not in there))
    return Choice(brought, absent, tuple(f"the index has no image for {error.wanted}" for error in lacking))


def rewritten(index: Index, brought: Sequence[Descriptor]) -> bytes:
    """The index with those entries alone: each as it is written there, as is all that stands around them."""
    kept = {entry.digest for entry in brought}
    text = index.raw.decode("utf-8")
    start, end = next(span for key, span in _members(text, _past(text, 0)) if key == "manifests")
    entries = list(_elements(text, start))
    chosen = [text[a:b] for (a, b), entry in zip(entries, index.manifests, strict=True) if entry.digest in kept]
    return f"{text[:start]}[{','.join(chosen)}]{text[end:]}".encode()


def _attests(entry: Descriptor, names: set[str]) -> bool:
    is_attestation = entry.platform is not None and entry.platform.os == ATTESTATION
    return is_attestation and entry.annotations.get(_OF_IMAGE) in names


def _members(text: str, at: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The members of the object that begins at `at`, in JSON found to be valid: key, and where the value is."""
    at = _past(text, at + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        start = _past(text, _past(text, at) + 1)
        end = _DECODER.raw_decode(text, start)[1]
        yield key, (start, end)
        at = _next(text, end)


def _elements(text: str, at: int) -> Iterator[tuple[int, int]]:
    at = _past(text, at + 1)
    while text[at] != "]":
        end = _DECODER.raw_decode(text, at)[1]
        yield at, end
        at = _next(text, end)


def _next(text: str, at: int) -> int:
    at = _past(text, at)
    return _past(text, at + 1) if text[at] == "," else at


def _past(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()
