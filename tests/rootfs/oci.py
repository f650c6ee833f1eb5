"""An image of uncompressed layers on disk, for programs that unpack images and not layers."""

import hashlib
import json
from pathlib import Path


def oci_layout(base: Path, layers: list[bytes]) -> None:
    """An OCI image layout of uncompressed layers (image-spec, "Image Layout")."""
    (base / "blobs/sha256").mkdir(parents=True)

    def blob(content: bytes, media_type: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (base / "blobs/sha256" / digest).write_bytes(content)
        return {
            "mediaType": f"application/vnd.oci.image.{media_type}",
            "digest": f"sha256:{digest}",
            "size": len(content),
        }

    tars = [blob(content, "layer.v1.tar") for content in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [t["digest"] for t in tars]},
    }
    manifest = {"schemaVersion": 2, "config": blob(json.dumps(config).encode(), "config.v1+json"), "layers": tars}
    root = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    root["annotations"] = {"org.opencontainers.image.ref.name": "x"}
    (base / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))
    (base / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
