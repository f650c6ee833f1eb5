"""What a layer must say aloud of paths that sidecars of lower layers speak of, and that it replaces.

A full tree is told of by the sidecars of all its layers, and the later line holds. A file that a layer brings whole
needs no line of its own; over a lower layer's line about the same path it does, or that line would outlive its file.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from puller.model.alteration import Alteration, What
from puller.rootfs.corrections import Corrections, ThingTold, kind_of
from puller.rootfs.finding import Finding, look
from puller.rootfs.openat2 import open_stepwise
from puller.rootfs.sidecar import read_sidecar
from puller.stream.tarentry import BLOCK_DEVICE, CHARACTER_DEVICE

REASON: Final = "stands where a lower layer has something else"
_MISSING: Final = (FileNotFoundError, NotADirectoryError)


def restated(
    upper: int, own: Sequence[Path | int], below: Sequence[Path | int], without_entry: Collection[bytes]
) -> Iterator[Alteration]:
    """Lines to be added to the sidecar of the layer that was unpacked apart, alone in `upper`.

    `own` is its sidecar, `below` are those of the layers below it, the lowest first; its directories `without_entry`
    keep what is said of them there. Raises OSError, and ContentCorrupt for damaged sidecars.
    """
    said = Corrections(upper, own)
    kept = frozenset(without_entry)
    for path, kinds in _spoken_of(below).items():
        if path in kept:
            continue
        finding = _at(upper, path)
        if finding is None:
            continue
        told = {kind_of(alteration) for alteration in said.told_of(finding)}
        finding = said.corrected(finding)
        for what, attribute in sorted(kinds - told):
            value = _value(finding, what, attribute)
            if value is not None:
                yield Alteration(path, what, value, REASON)


def inherited(directories: Mapping[bytes, Path]) -> Iterator[Alteration]:
    """What sidecars say of directories that an upper layer has taken over, each with the sidecar of whose it was."""
    wanted: dict[Path, set[bytes]] = {}
    for path, sidecar in directories.items():
        wanted.setdefault(sidecar, set()).add(path)
    for sidecar, paths in wanted.items():
        yield from (line for line in read_sidecar(sidecar) if line.path in paths and line.what != "entry")


def _spoken_of(sidecars: Sequence[Path | int]) -> dict[bytes, set[ThingTold]]:
    found: dict[bytes, set[ThingTold]] = {}
    for sidecar in sidecars:
        for alteration in read_sidecar(sidecar):
            if alteration.what != "entry":
                found.setdefault(alteration.path, set()).add(kind_of(alteration))
    return found


def _at(upper: int, path: bytes) -> Finding | None:
    head, _, base = path.rpartition(b"/")
    try:
        parent = open_stepwise(upper, head)
    except _MISSING:
        return None
    try:
        name = base or b"."
        return look(parent, name, path, os.stat(name, dir_fd=parent, follow_symlinks=False))
    except _MISSING:
        return None
    finally:
        os.close(parent)


def _value(finding: Finding, what: What, attribute: str) -> str | None:
    """What is so now, in the words of Alteration; of what is not there, the empty value."""
    if what == "owner":
        return f"{finding.uid}:{finding.gid}"
    if what == "mode":
        return f"{finding.mode:#o}"
    if what == "mtime":
        return str(finding.mtime)
    if what == "device":
        # A real device needs no line: only empty files are taken for what a line says.
        return None if finding.type in (CHARACTER_DEVICE, BLOCK_DEVICE) else ""
    value = finding.xattrs.get(os.fsencode(attribute))
    return attribute if value is None else f"{attribute}={value.hex()}"
