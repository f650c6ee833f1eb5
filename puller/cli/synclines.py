"""Synclines: facts of a sync as text for people."""

import re
from collections.abc import Iterable, Mapping

from puller.cli.lines import counted, short, size_text
from puller.cli.placenames import placename, shown
from puller.model.event import Mirrored
from puller.model.sync import Item, SyncReport
from puller.model.text import printable

_ORDER = ("new", "changed", "unchanged", "pruned", "waiting", "kept", "out", "failed")
_WORDS = {"kept": "held back from pruning", "waiting": "to be pruned later", "out": "not wanted"}


def item_line(item: Item) -> str | None:
    """One tag that is not as it was: `changed  docker.io/library/debian:12 → mirror.local/debian:12  3f1c…  51.4 MB`.

    None for one that is, and for one that failed.
    """
    if item.error is not None or item.action in ("unchanged", "out", "failed"):
        return None
    arrow = f"{shown(item.source, item.tag)} → {shown(item.target, item.name)}"
    if item.action in ("pruned", "waiting", "kept"):
        there = f"  {short(item.there)}" if item.there else ""
        return f"{item.action:<9} {shown(item.target, item.name)}{there}  {printable(item.why)}"
    carried = item.carried
    if carried is None:
        return f"{item.action:<9} {arrow}  {short(item.digest or '')}  {printable(item.why)}"
    told = [f"{size_text(carried.fetched)} fetched"] if carried.fetched else []
    told += [f"{counted(carried.mounted, 'blob')} mounted"] if carried.mounted else []
    told += [f"{carried.seconds:.1f} s"]
    root = f"  as {short(carried.root)}" if carried.root != item.digest else ""
    return f"{item.action:<9} {arrow}  {short(item.digest or '')}{root}  {', '.join(told)}"


def failed_line(item: Item) -> str:
    """One tag that failed: what, and all that is known."""
    name = f"{shown(item.source, item.tag)} → {shown(item.target, item.name)}"
    return f"failed    {name}: {facts_text(item.error or {})}"


def stumbled_line(source: str, error: Mapping[str, object]) -> str:
    """A list that could not be had."""
    return f"failed    {placename(source)}: {facts_text(error)}"


def facts_text(error: Mapping[str, object]) -> str:
    """An error of a report in one line: `no such manifest [NotFound], host registry.example`."""
    known = [f"{name} {error[name]}" for name in ("wanted", "got", "host", "phase") if name in error]
    known[:0] = [f"where {placename(str(error['where']))}"] if "where" in error else []
    return printable(", ".join([f"{error.get('what', '')} [{error.get('error', '')}]", *known]), limit=2000)


def hints(errors: Iterable[Mapping[str, object]]) -> list[str]:
    """What can be done about them, each once."""
    return list(dict.fromkeys(printable(str(error["hint"]), limit=2000) for error in errors if error.get("hint")))


def mirrored_line(event: Mirrored) -> str:
    """One mirror in sum: `docker.io/library/debian → mirror.local/debian: 12 tags: 1 changed, 11 unchanged; …`."""
    tags = sum(number for action, number in event.counts.items() if action not in ("pruned", "waiting", "kept", "out"))
    told = counts_text(event.counts, event.failed) or "nothing to do"
    amount = f"; {size_text(event.fetched)} fetched, {size_text(event.sent)} sent" if event.sent else ""
    target = printable(event.target.removesuffix(":"))  # `store:` alone is the store of this user
    return f"{printable(event.source)} → {target}: {counted(tags, 'tag')}: {told}{amount}"


def counts_text(counts: Mapping[str, int], failed: int = 0) -> str:
    """`1 new, 2 changed, 3 unchanged, 1 failed`."""
    shown = {**counts, "failed": failed}
    return ", ".join(f"{shown[action]} {_WORDS.get(action, action)}" for action in _ORDER if shown.get(action))


def synced_line(report: SyncReport) -> str:
    """The whole run: tags, copied, unchanged, pruned, failed, bytes, requests."""
    carried = [item.carried for item in report.items if item.carried is not None]
    failed = sum(item.error is not None for item in report.items) + len(report.problems)
    tags = [item for item in report.items if item.action in ("new", "changed", "unchanged", "failed")]
    fetched, sent = sum(one.fetched for one in carried), sum(one.sent for one in carried)
    parts = [
        counted(len(tags), "tag"),
        f"{len(carried)} copied",
        f"{sum(item.action == 'unchanged' for item in tags)} unchanged",
        f"{sum(item.action == 'pruned' and item.error is None for item in report.items)} pruned",
        f"{failed} failed",
        f"{size_text(fetched)} fetched, {size_text(sent)} sent",
        *([counted(_requests(report.requests), "request")] if report.requests else []),
        f"{max(0.0, report.ended - report.started):.1f} s",
    ]
    well = "synced" if report.is_well else "synced in part" if report.error is None else "not synced"
    return f"{well}  {', '.join(parts)}"


def _requests(requests: Mapping[str, Mapping[str, int]]) -> int:
    return sum(number for methods in requests.values() for number in methods.values())


def plan_rows(items: Iterable[Item], *, everything: bool) -> list[tuple[str, str, str, str]]:
    """Action, image and where it goes, what it names, and why; without `everything` only what would change something.

    Of what is only at the target, and of what is not wanted there, that one place is told. Registries list tags in any
    order, people read them in that of their numbers.
    """
    dull = () if everything else ("unchanged", "out")
    return [
        (
            item.action,
            _where(item),
            short(item.digest or item.there or "") or "-",
            printable(item.why),
        )
        for item in _in_order(items)
        if item.action not in dull
    ]


def _where(item: Item) -> str:
    there = shown(item.target, item.name)
    if item.action in ("pruned", "waiting", "kept") or not item.source:
        return there
    here = shown(item.source, item.tag)
    return here if item.action == "out" else f"{here} → {there}"


def _in_order(items: Iterable[Item]) -> list[Item]:
    """By place, as they come, and there by tag."""
    places: dict[tuple[int, str], int] = {}
    placed = [(places.setdefault((item.line, item.target), len(places)), item) for item in items]
    return [item for _, item in sorted(placed, key=lambda one: (one[0], _numbered(one[1].tag or one[1].name)))]


def _numbered(tag: str) -> list[tuple[str, int]]:
    """`v1.10` behind `v1.9`."""
    words = re.findall(r"([^0-9]*)([0-9]*)", tag)
    return [(word, int(digits or -1)) for word, digits in words]
