"""The media types of the image world, as constants, and what kind each one is.

Sources: OCI image-spec media-types.md; Docker "Image Manifest Version 2, Schema 2" and schema 1.
"""

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = f"{OCI_LAYER}+gzip"
OCI_LAYER_ZSTD = f"{OCI_LAYER}+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_PLAIN_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCTETS = "application/octet-stream"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
SCHEMA1_MANIFESTS = frozenset({SCHEMA1, SCHEMA1_SIGNED})
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

# What each layer type promises of its compression. Docker's plain type names no gzip, yet old daemons put gzip under
# it, and the reverse: so Docker types promise nothing that the bytes must keep (THREATS D7).
_COMPRESSION = {
    OCI_LAYER: "none",
    OCI_LAYER_GZIP: "gzip",
    OCI_LAYER_ZSTD: "zstd",
    OCI_FOREIGN_LAYER: "none",
    f"{OCI_FOREIGN_LAYER}+gzip": "gzip",
    f"{OCI_FOREIGN_LAYER}+zstd": "zstd",
    DOCKER_LAYER: None,
    DOCKER_PLAIN_LAYER: None,
    DOCKER_FOREIGN_LAYER: None,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": None,
}


def is_index(media_type: str) -> bool:
    """A document of many platforms."""
    return media_type in INDEXES


def is_manifest(media_type: str) -> bool:
    """A document of one image or artifact; schema 1 is neither this nor an index."""
    return media_type in MANIFESTS


def is_layer(media_type: str) -> bool:
    """A root filesystem diff: a tar archive, perhaps compressed."""
    return media_type in _COMPRESSION


def is_foreign(media_type: str) -> bool:
    """A layer that its registry may not hand out (image-spec layer.md, "Non-Distributable Layers")."""
    return media_type == DOCKER_FOREIGN_LAYER or media_type.startswith(OCI_FOREIGN_LAYER)


def compression_of(media_type: str) -> str | None:
    """What a layer type promises: "none", "gzip" or "zstd"; None where it promises nothing to be held to."""
    return _COMPRESSION.get(media_type)
