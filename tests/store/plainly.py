"""Layouts of plain tags for tests: made by hand as other tools make them, and images copied into them."""

import json
from pathlib import Path
from typing import Any

from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.store.naming import REF_NAME
from puller.store.plain import PlainLayout
from tests.contracts.sample import Blob, Image, blob_of

MARK = '{"imageLayoutVersion": "1.0.0"}'


def write_layout(folder: Path, *entries: dict[str, Any], blobs: tuple[Blob, ...] = ()) -> Path:
    """A layout as skopeo leaves it: nothing but what image-layout.md asks for."""
    (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (folder / "oci-layout").write_text(MARK)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": list(entries)}))
    for one in blobs:
        (folder / "blobs" / "sha256" / one.digest.hex).write_bytes(one.content)
    return folder


def entry(wanted: Blob, name: str | None = None) -> dict[str, Any]:
    return wanted.descriptor.encode() | ({} if name is None else {"annotations": {REF_NAME: name}})


def listed(folder: Path) -> dict[str | None, str]:
    """What index.json says: name to digest."""
    document = json.loads((folder / "index.json").read_text())
    return {one.get("annotations", {}).get(REF_NAME): one["digest"] for one in document["manifests"]}


def referring(to: Blob, config: Blob, *, seed: int = 0) -> Blob:
    """An artifact that refers to a manifest; its only blob is `config`."""
    document = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "artifactType": "application/x.signature",
        "config": config.descriptor.encode(),
        "layers": [],
        "subject": to.descriptor.encode(),
        "annotations": {"seed": str(seed)},
    }
    return blob_of(json.dumps(document).encode(), mediatype.OCI_MANIFEST)


async def bring(layout: PlainLayout, *blobs: Blob) -> None:
    for one in blobs:
        async with layout.ingest(one.descriptor) as ingest:
            if ingest is not None:
                await ingest.write(memoryview(one.content)[ingest.offset :])
                await ingest.commit()


async def put(layout: PlainLayout, wanted: Image, name: str | None = None) -> Descriptor:
    """Copy an image: its blobs, then its manifest under a name, or by its digest."""
    await bring(layout, wanted.config, *wanted.layers)
    manifest = wanted.manifest
    await layout.put_manifest(manifest.content, manifest.descriptor, name or str(manifest.digest))
    return manifest.descriptor
