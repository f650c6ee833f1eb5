"""Graphing: an image graph as text, and as JSON."""

import json
from collections.abc import Iterator

from puller.cli.lines import counted, size_text
from puller.cli.table import aligned
from puller.model.text import printable
from puller.ops.graphcheck import Checked
from puller.ops.graphs.finding import GraphFinding
from puller.ops.graphs.forest import Forest


def list_lines(grown: Forest) -> Iterator[str]:
    """Every image: ID, parent, bytes of its own layer, names."""
    rows = [("IMAGE", "PARENT", "SIZE", "NAMES")]
    for image_id in sorted([*grown.images, *grown.damaged]):
        image = grown.images.get(image_id)
        names = printable(", ".join(grown.names.get(image_id, ())), limit=2000)
        if image is None:
            rows.append((image_id[:12], "damaged", "?", names))
        else:
            rows.append((image_id[:12], printable(image.parent[:12]) or "-", size_text(image.size), names))
    yield from aligned(rows)


def list_json(grown: Forest) -> Iterator[str]:
    """The same, an object a line, with what is known beside it; sizes in bytes."""
    for image_id in sorted([*grown.images, *grown.damaged]):
        yield json.dumps(_facts(grown, image_id))


def tree_lines(grown: Forest) -> Iterator[str]:
    """Which image stands on which: `├─ 0123456789ab  4.2 MB  docker.io/library/debian:8`."""
    for image_id, _, stem, mark in _walk(grown):
        yield printable(f"{stem}{mark}{_label(grown, image_id)}", limit=4000)
    for image_id, error in grown.damaged.items():
        yield printable(f"{image_id[:12]}  damaged: {error}", limit=2000)


def tree_json(grown: Forest) -> Iterator[str]:
    """The same in the same order, an object a line; `depth` is 0 for what stands on nothing here."""
    for image_id, depth, _, _ in _walk(grown):
        yield json.dumps({"depth": depth} | _facts(grown, image_id))


def finding_line(finding: GraphFinding) -> str:
    """One thing that is not right."""
    names = f"  named {', '.join(finding.names)}" if finding.names else ""
    return printable(f"{finding.kind} {finding.image_id}  {finding.detail}{names}", limit=2000)


def check_lines(checked: Checked) -> Iterator[str]:
    """All that is not right, what could not be asked, and how much was looked at."""
    yield from map(finding_line, checked.findings)
    for image_id, remark in checked.remarks:
        yield printable(f"note {image_id}  {remark}", limit=2000)
    read = f", {size_text(checked.size)} read" if checked.size else ""
    bad = len(checked.findings)
    yield f"checked {counted(checked.images, 'image')}{read}: {f'{bad} not right' if bad else 'all right'}"


def check_json(checked: Checked) -> str:
    """The same as one object."""
    findings = [
        {"kind": one.kind, "image_id": one.image_id, "names": one.names, "detail": one.detail}
        for one in checked.findings
    ]
    remarks = [{"image_id": image_id, "remark": remark} for image_id, remark in checked.remarks]
    document = {"images": checked.images, "size": checked.size, "findings": findings, "remarks": remarks}
    return json.dumps(document, indent=2)


def _facts(grown: Forest, image_id: str) -> dict[str, object]:
    image = grown.images.get(image_id)
    names = list(grown.names.get(image_id, ()))
    if image is None:
        return {"image_id": image_id, "names": names, "damaged": str(grown.damaged[image_id])}
    return {
        "image_id": image_id,
        "parent": image.parent or None,
        "size": image.size,
        "virtual_size": grown.total(image_id),
        "names": names,
        "checksum": image.checksum,
    }


def _label(grown: Forest, image_id: str) -> str:
    image = grown.images[image_id]
    gone = image.parent and image.parent not in grown.images
    notes = [f"(parent {image.parent[:12]} is not here)"] if gone else []
    return "  ".join([image_id[:12], size_text(image.size), *notes, ", ".join(grown.names.get(image_id, ()))]).rstrip()


def _walk(grown: Forest) -> Iterator[tuple[str, int, str, str]]:
    """Every image once, parents before children: ID, depth, and the lines drawn before it."""
    children = grown.children()
    seen: set[str] = set()
    for root in grown.roots():
        waiting = [(root, 0, "", "")]
        while waiting:
            image_id, depth, stem, mark = waiting.pop()
            seen.add(image_id)
            yield image_id, depth, stem, mark
            below = [child for child in children.get(image_id, ()) if child not in seen]
            stem += {"├─ ": "│  ", "└─ ": "   "}.get(mark, "")
            marks = ["├─ "] * (len(below) - 1) + ["└─ "]
            waiting += [(child, depth + 1, stem, mark) for child, mark in zip(below, marks, strict=False)][::-1]
