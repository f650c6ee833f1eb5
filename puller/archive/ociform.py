"""An OCI image layout as an archive (image-spec image-layout.md): documents and blobs as they are, named by digest."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from puller.archive.item import Directory, File, Item, Stream, in_order
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCI_INDEX

# The one is what image-layout.md defines, the other what containerd and so Docker look for first.
_NAME: Final = "org.opencontainers.image.ref.name"
_FULL_NAME: Final = "io.containerd.image.name"
MARK: Final = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class Root:
    """A manifest or index of the archive, with the full names it is to have."""

    descriptor: Descriptor
    names: Iterable[str]


def oci_items(roots: Iterable[Root], blobs: Mapping[Digest, bytes | Stream]) -> Sequence[Item]:
    """The members of an archive of `roots`, in order; `blobs` is all that they need, themselves included."""
    index = index_of((name, name, root.descriptor) for root in roots for name in _names(root))
    algorithms = sorted({digest.algorithm for digest in blobs})
    items: list[Item] = [Directory("blobs"), *(Directory(f"blobs/{algorithm}") for algorithm in algorithms)]
    items += [File(f"blobs/{digest.algorithm}/{digest.hex}", content) for digest, content in blobs.items()]
    items.append(File("index.json", index))
    items.append(File("oci-layout", MARK))
    return in_order(items)


def _names(root: Root) -> list[str]:
    return sorted(set(root.names)) or [""]


def index_of(entries: Iterable[tuple[str, str, Descriptor]]) -> bytes:
    """An index.json of these entries, in order; each has its name here, and that in full. Empty: there is none."""
    found = {(descriptor.digest, name): _entry(descriptor, name, full) for name, full, descriptor in entries}
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [found[key] for key in sorted(found)]}
    return json.dumps(index, ensure_ascii=False, separators=(",", ":")).encode()


def _entry(descriptor: Descriptor, name: str, full: str) -> dict[str, object]:
    named = {key: text for key, text in ((_FULL_NAME, full), (_NAME, name)) if text}
    plain = replace(descriptor, annotations=named, platform=None, artifact_type=None, urls=())
    return plain.encode()
