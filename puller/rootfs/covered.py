"""What a layer in overlayfs form changes, told from its own directory: the marks in it are the deletions."""

from collections.abc import Iterator

from puller.model.alteration import Report, unreported
from puller.model.change import Change
from puller.rootfs.changes import compare
from puller.rootfs.changes import size as size_of
from puller.rootfs.pack import in_chunks, member, opaque, whiteout
from puller.rootfs.survey import Strata, Stratum, Survey
from puller.stream.tarentry import DIRECTORY


def changes(
    upper: Stratum,
    lowers: Strata,
    *,
    is_root_opaque: bool = False,
    strict: bool = False,
    directory_times: bool = False,
) -> list[Change]:
    """What the layer in `upper` makes different upon `lowers`, the nearest first; none: upon the empty tree.

    The same that `compare` finds between the two whole trees, but only what is in `upper` is looked at, unless
    `is_root_opaque`: it hides all below it, for which overlayfs has no mark. Raises as Survey does.
    """
    tree = (upper,) if is_root_opaque else (upper, *lowers)
    return compare(lowers or None, tree, strict=strict, directory_times=directory_times)


def pack(upper: Stratum, *, is_root_opaque: bool = False, told: Report = unreported) -> Iterator[bytes]:
    """All that the layer says, as a layer, also what the layers below say likewise. Raises as pack_tree does."""
    return in_chunks(_said(upper, is_root_opaque, told))


def size(upper: Stratum, lowers: Strata, *, is_root_opaque: bool = False) -> int:
    """Bytes of content in the files that it adds or modifies, each file once. Raises as Survey does."""
    return size_of((upper, *lowers), changes(upper, lowers, is_root_opaque=is_root_opaque))


def _said(upper: Stratum, is_root_opaque: bool, told: Report) -> Iterator[bytes]:
    with Survey((upper,), marks=True) as survey:
        for finding in survey:
            if finding.is_mark:
                directory, _, name = finding.path.rpartition(b"/")
                yield whiteout(directory, name)
                continue
            yield from member(finding, told)
            if finding.type == DIRECTORY and (finding.opaque or (is_root_opaque and not finding.path)):
                yield opaque(finding.path)
