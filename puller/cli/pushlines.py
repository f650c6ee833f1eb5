"""Pushlines: facts of a push as text for people."""

from typing import TYPE_CHECKING

from puller.cli.lines import counted, short, size_text
from puller.model.text import printable

if TYPE_CHECKING:
    from puller.model.copy import CopyReport
    from puller.model.push import PushedBlob, PushReport


_OF_COPIES = {"pushed": "brought", "exists": "there already"}


def delivered_line(blob: "PushedBlob", *, copied: bool = False) -> str:
    """One blob that is there: `layer 1   83ffb5d9dd27  51.4 MB  pushed`; an image's layer under the image's ID.

    `copied`: in the words of copies, which may go to a file.
    """
    name = blob.image_id[:12] if blob.image_id else short(blob.digest)
    outcome = _OF_COPIES.get(blob.outcome, blob.outcome) if copied else blob.outcome
    return f"{printable(blob.role):<9} {name}  {size_text(blob.size):>9}  {outcome}"


def pushed_line(report: "PushReport") -> str:
    """The result: what was pushed, under which digest, and what it took."""
    layers = sum(blob.role.startswith(("layer", "blob")) for blob in report.blobs)
    mounted = sum(blob.outcome == "mounted" for blob in report.blobs)
    told = [counted(layers, "layer"), f"{size_text(report.sent)} sent" if report.sent else "nothing to send"]
    told += [f"{counted(mounted, 'blob')} mounted"] if mounted else []
    took = ", ".join([*told, f"{report.seconds:.1f} s"])
    return f"pushed {report.reference}  {report.digest}  {took}"


def copied_line(report: "CopyReport") -> str:
    """The result: what is where now, under which digest, and what it took."""
    carried = report.carried
    told = []
    if carried is not None:
        counts = {"brought": carried.brought, "mounted": carried.mounted, "there already": carried.present}
        told = [f"{count} {what}" for what, count in counts.items() if count]
        told += [f"{size_text(carried.sent)} sent" if carried.sent else "nothing to send", f"{carried.seconds:.1f} s"]
    return f"copied {printable(report.target, limit=2000)}  {report.root}  {', '.join(told)}"
