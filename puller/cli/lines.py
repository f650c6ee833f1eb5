"""Lines: facts of a pull as text for people."""

import math
from collections.abc import Iterable
from datetime import datetime

from puller.model.event import Waiting
from puller.model.report import WEAK, BlobReport, Check, ImageReport, PullReport
from puller.model.text import printable

_CHECK_NAMES = {"digest": "digest", "signature": "signature", "diff_id": "diff ID", "tarsum": "tarsum"}


def size_text(size: float | None) -> str:
    """`size` bytes in decimal units, as registries count: `1.0 kB`, `51.4 MB`."""
    if size is None:
        return "?"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def counted(number: int, noun: str) -> str:
    """`1 blob`, `2 blobs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def short(digest: str) -> str:
    """The first twelve hex digits of a digest."""
    return digest.partition(":")[2][:12]


def blob_line(blob: BlobReport) -> str:
    """One finished blob: `layer 1  83ffb5d9dd27  51.4 MB  fetched  digest ✓ diff ID ✓ tarsum ✓`."""
    words: str = blob.outcome
    if blob.outcome == "resumed":
        words = f"resumed at {size_text(blob.resumed)}"
    if blob.graph:
        words = f"reused from graph {blob.graph[:12]}"
    line = f"{printable(blob.role):<9} {short(blob.digest)}  {size_text(blob.size):>9}  {words}"
    checks = checks_text(blob.checks)
    return f"{line:<52}  {checks}".rstrip() if checks else line


def image_line(image: ImageReport) -> str:
    """One image of a chain: `image     5c2630d8aeeb    51.4 MB  registered  strong ID`."""
    line = f"{'image':<9} {image.image_id[:12]}  {size_text(image.size):>9}  {image.outcome}"
    return f"{line:<52}  {printable(image.reason, limit=160)}"


def waiting_line(event: Waiting) -> str:
    """`waiting for registry-1.docker.io: pull quota used up: 0 of 100 left per 6h; until 17:05:09, 5h 12m from now`."""
    until = datetime.fromtimestamp(event.until).astimezone()
    shape = "%H:%M:%S" if event.seconds < 12 * 3600 else "%Y-%m-%d %H:%M"
    when = f"until {until.strftime(shape)}, {duration_text(event.seconds)} from now"
    return f"waiting for {printable(event.host)}: {printable(event.reason)}; {when}"


def duration_text(seconds: float) -> str:
    """`42 s`, `5m 3s`, `5h 12m`, `3d 4h`: rounded up to what is worth a word."""
    rest = math.ceil(seconds)
    if rest < 60:
        return f"{rest} s"
    units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    most = next(place for place, (size, _) in enumerate(units) if rest >= size)
    (size, unit), (smaller, its) = units[most], units[most + 1]
    less = rest % size // smaller
    return f"{rest // size}{unit} {less}{its}" if less else f"{rest // size}{unit}"


def checks_text(checks: Iterable[Check]) -> str:
    """`digest ✓ diff ID ✓ tarsum: none (reason)`; the size goes without saying."""
    words = []
    for check in checks:
        name = _CHECK_NAMES.get(check.name)
        if name is None:
            continue
        if check.passed:
            words.append(f"{WEAK} ✓" if check.note == WEAK else f"{name} ✓")
        elif check.name == "tarsum" and check.note:
            words.append(f"tarsum: {printable(check.note, limit=120)}")
    return " ".join(words)


def unpacked_words(report: PullReport) -> list[str]:
    """`156.2 MB unpacked`, or that it was before; nothing where nobody asked for it."""
    if not report.unpacked:
        return []
    size = sum(image.size for image in report.unpacked)
    is_new = any(layer.outcome == "unpacked" for image in report.unpacked for layer in image.layers)
    return [f"{size_text(size)} unpacked" if is_new else "unpacked before"]


def pulled_line(report: PullReport) -> str:
    """The result: what was pulled, and what it took."""
    layers = sum(blob.role.startswith("layer") for blob in report.blobs)
    blobs = sum(blob.role.startswith("blob") for blob in report.blobs)  # of artifacts
    new = sum(image.outcome == "registered" for image in report.images)
    if report.images:
        contents = [f"{counted(len(report.images), 'image')}, {new or 'none'} of them new"]
    else:
        contents = [counted(layers, "layer")] if layers or not blobs else []
    contents += [counted(blobs, "blob")] if blobs else []
    amounts = [
        (report.fetched, "fetched"),
        (report.resumed, "resumed"),
        (report.copied, "copied"),
        (report.reused, "reused"),
    ]
    told = [f"{size_text(amount)} {word}" for amount, word in amounts if amount] or ["nothing to fetch"]
    took = ", ".join([*contents, *told, *unpacked_words(report), f"{report.seconds:.1f} s"])
    return f"pulled {report.reference}  {report.digest}  {took}"
