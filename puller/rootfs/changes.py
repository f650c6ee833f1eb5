"""What makes one tree another: comparison of two surveys, path by path, in one pass over both.

As moby has it (pkg/archive, changes.go): a file is the same when type, mode, owner, size, time and attributes are; of
what was deleted only the top is listed. Not as moby has it: directories in which something changed are listed only
where they differ themselves, and attributes are compared whole.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from puller.model.change import Change, Kind
from puller.rootfs.content import same_content
from puller.rootfs.finding import Finding
from puller.rootfs.survey import Strata, Survey, strata
from puller.stream.tarentry import DIRECTORY, REGULAR, SYMLINK

_SECOND: Final = 10**9


class Rules(NamedTuple):
    """What counts. `directory_times`: that only the time of a directory differs. `contents`: bytes are compared where
    all else is the same, and which names are one file.

    The time of a directory in which anything is listed always counts.
    """

    directory_times: bool = False
    contents: bool = False


class _Open(NamedTuple):
    """A directory that both trees have and that the walk is in."""

    prefix: bytes
    listed: int  # changes before any below it
    aged: bool  # only its time differs, which counts if something below it is listed


def compare(
    old: int | Strata | None,
    new: int | Strata,
    *,
    old_sidecars: Sequence[Path | int] = (),
    new_sidecars: Sequence[Path | int] = (),
    strict: bool = False,
    directory_times: bool = False,
) -> list[Change]:
    """What must be done to `old` (None: the empty tree) to get `new`, in the order of Survey.

    Trees are open directories, or several upon each other; `…_sidecars` are those of a single directory. Times are the
    same to the second where either has no finer one (tar writes none). `strict` counts all there is: times to the
    nanosecond, content byte by byte, which names are hard links of which, and the times of all directories, for which
    alone `directory_times` asks. Raises as Survey does.
    """
    rules = Rules(directory_times or strict, strict)
    after = strata(new, new_sidecars)
    with Survey(after) as now:
        if old is None:
            return [Change(Kind.ADDED, finding.path) for finding in now]
        base = strata(old, old_sidecars)
        with Survey(base) as before:
            return _Comparison(before, now, shares=_is_upon(base, after), rules=rules).run()


def chosen(survey: Survey, changes: Iterable[Change]) -> Iterator[Finding]:
    """What a tree has at the paths that were added or modified; directories with none below them are not entered."""
    wanted = {change.path for change in changes if change.kind is not Kind.DELETED}
    above = ancestors(wanted)
    for finding in survey:
        if finding.type == DIRECTORY and finding.path not in above:
            survey.skip()
        if finding.path in wanted:
            yield finding


def ancestors(paths: Iterable[bytes]) -> set[bytes]:
    """All directories that these paths are in."""
    found: set[bytes] = set()
    for path in paths:
        while path:
            path = path.rpartition(b"/")[0]
            if path in found:
                break
            found.add(path)
    return found


def size(new: int | Strata, changes: Iterable[Change], sidecars: Sequence[Path | int] = ()) -> int:
    """Bytes of content in the files that were added or modified, each file once, however many names it has.

    Raises as Survey does.
    """
    with Survey(strata(new, sidecars)) as survey:
        files = {finding.identity: finding.size for finding in chosen(survey, changes)}
    return sum(files.values())


class _Comparison:
    """Two surveys side by side."""

    def __init__(self, before: Survey, now: Survey, *, shares: bool, rules: Rules) -> None:
        self._before = before
        self._now = now
        self._shares = shares
        self._rules = rules
        self._changes: list[Change] = []
        self._open: list[_Open] = []

    def run(self) -> list[Change]:
        old, new = next(self._before, None), next(self._now, None)
        while old or new:
            place = _place(old, new)
            if place < 0:
                assert old is not None
                self._leave(old.path)
                self._changes.append(Change(Kind.DELETED, old.path))
                self._before.skip()
            elif place > 0:
                assert new is not None
                self._leave(new.path)
                self._changes.append(Change(Kind.ADDED, new.path))
            else:
                assert old is not None
                assert new is not None
                self._leave(new.path)
                self._pair(old, new)
            if place <= 0:
                old = next(self._before, None)
            if place >= 0:
                new = next(self._now, None)
        self._leave(None)
        return self._changes

    def _pair(self, old: Finding, new: Finding) -> None:
        """One path that both trees have."""
        differs = differences(old, new, self._rules)
        if not differs and self._shares and old.identity == new.identity:
            # One directory in both, so the nearer layers that only one tree has say nothing of what is in it.
            self._before.skip()
            self._now.skip()
            return
        listed = len(self._changes)
        aged = differs == ("mtime",) and new.type == DIRECTORY and not self._rules.directory_times
        if differs and not aged:
            self._changes.append(Change(Kind.MODIFIED, new.path, differs))
        if old.type != new.type:
            self._before.skip()
        elif new.type == DIRECTORY:
            self._open.append(_Open(new.path + b"/" if new.path else b"", listed, aged))

    def _leave(self, path: bytes | None) -> None:
        """The walk goes on at `path`: directories it is not in are behind us."""
        while self._open and (path is None or not path.startswith(self._open[-1].prefix)):
            left = self._open.pop()
            if left.aged and len(self._changes) > left.listed:
                self._changes.insert(left.listed, Change(Kind.MODIFIED, left.prefix[:-1], ("mtime",)))


def _is_upon(one: Strata, other: Strata) -> bool:
    """Whether one of the two is the other with more upon it, or the same."""
    return all(
        os.path.samestat(os.fstat(left.fd), os.fstat(right.fd)) and left.sidecars == right.sidecars
        for left, right in zip(reversed(one), reversed(other), strict=False)
    )


def _place(old: Finding | None, new: Finding | None) -> int:
    """Below 0: `old` comes first; above: `new` does; 0: they are of one path."""
    if old is None:
        return 1
    if new is None:
        return -1
    if old.path == new.path:
        return 0
    # With NUL for the slash, everything below a name comes before any longer name.
    return -1 if old.path.replace(b"/", b"\0") < new.path.replace(b"/", b"\0") else 1


def differences(old: Finding, new: Finding, rules: Rules) -> tuple[str, ...]:
    """In what respects one path differs, in the order that Change names."""
    same_type = old.type == new.type
    is_file = new.type == REGULAR and same_type
    found = (
        ("type", not same_type),
        ("content", is_file and rules.contents and old.size == new.size and not same_content(old, new)),
        ("size", is_file and old.size != new.size),
        ("target", same_type and old.target != new.target),
        ("device", same_type and old.device != new.device),
        ("mode", old.mode != new.mode and SYMLINK not in (old.type, new.type)),
        ("owner", (old.uid, old.gid) != (new.uid, new.gid)),
        ("mtime", not _same_time(old.mtime, new.mtime, exact=rules.contents)),
        ("xattrs", old.xattrs != new.xattrs),
        ("links", rules.contents and same_type and old.link != new.link),
    )
    return tuple(name for name, differs in found if differs)


def _same_time(one: int, other: int, *, exact: bool) -> bool:
    if one == other or exact:
        return one == other
    return one // _SECOND == other // _SECOND and not (one % _SECOND and other % _SECOND)
