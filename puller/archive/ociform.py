"""An OCI image layout as an archive (image-spec image-layout.md): documents and blobs as they are, named by digest."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from puller.archive.item import Directory, File, Item, Stream, in_order
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_INDEX

# The first is what image-layout.md defines, the second what containerd and so Docker look for first.
_NAME_KEYS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


@dataclass(frozen=True, slots=True)
class Root:
    """A manifest or index of the archive, with the full names it is to have."""

    descriptor: Descriptor
    names: Iterable[str]


def oci_items(roots: Iterable[Root], blobs: Mapping[Digest, bytes | Stream]) -> Sequence[Item]:
    """The members of an archive of `roots`, in order; `blobs` is all that they need, themselves included."""
    entries = {(root.descriptor.digest, name): _entry(root.descriptor, name) for root in roots for name in _names(root)}
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entries[key] for key in sorted(entries)],
    }
    algorithms = sorted({digest.algorithm for digest in blobs})
    items: list[Item] = [Directory("blobs"), *(Directory(f"blobs/{algorithm}") for algorithm in algorithms)]
    items += [File(f"blobs/{digest.algorithm}/{digest.hex}", content) for digest, content in blobs.items()]
    items.append(File("index.json", json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode()))
    items.append(File("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'))
    return in_order(items)


def _names(root: Root) -> list[str]:
    return sorted(set(root.names)) or [""]


def _entry(descriptor: Descriptor, name: str) -> dict[str, object]:
    annotations = dict.fromkeys(_NAME_KEYS, name) if name else {}
    plain = replace(descriptor, annotations=annotations, platform=None, artifact_type=None, urls=())
    return plain.encode()
