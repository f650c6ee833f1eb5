"""The media types of the image world, as constants, and what kind each one is.

Sources: OCI image-spec media-types.md; Docker "Image Manifest Version 2, Schema 2" and schema 1.
"""

import re

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = f"{OCI_LAYER}+gzip"
OCI_LAYER_ZSTD = f"{OCI_LAYER}+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = f"{OCI_FOREIGN_LAYER}+gzip"
OCI_FOREIGN_LAYER_ZSTD = f"{OCI_FOREIGN_LAYER}+zstd"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_ARTIFACT = "application/vnd.oci.artifact.manifest.v1+json"

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_PLAIN_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_ZSTD_LAYER = f"{DOCKER_PLAIN_LAYER}.zstd"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_PLAIN_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

OCTETS = "application/octet-stream"

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
SCHEMA1_MANIFESTS = frozenset({SCHEMA1, SCHEMA1_SIGNED})
# What names other content, and is kept by registries under /manifests/; today's kinds do it by descriptors.
TODAYS_DOCUMENTS = INDEXES | MANIFESTS | {OCI_ARTIFACT}
DOCUMENTS = TODAYS_DOCUMENTS | SCHEMA1_MANIFESTS
CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})
# What early clients wrote for the config of a schema 2 image (docker/distribution issue 1621); moby reads them still.
EARLY_DOCKER_CONFIGS = frozenset({OCTETS, "application/json", "text/html"})

# What each layer type promises of its compression. Docker's plain type names no gzip, yet old daemons put gzip under
# it, and the reverse: so Docker types promise nothing that the bytes must keep (THREATS D7).
_COMPRESSION: dict[str, str | None] = {
    OCI_LAYER: "none",
    OCI_LAYER_GZIP: "gzip",
    OCI_LAYER_ZSTD: "zstd",
    OCI_FOREIGN_LAYER: "none",
    OCI_FOREIGN_LAYER_GZIP: "gzip",
    OCI_FOREIGN_LAYER_ZSTD: "zstd",
    DOCKER_LAYER: None,
    DOCKER_PLAIN_LAYER: None,
    DOCKER_ZSTD_LAYER: None,
    DOCKER_FOREIGN_LAYER: None,
    DOCKER_PLAIN_FOREIGN_LAYER: None,
}
_FOREIGN = frozenset(
    {
        OCI_FOREIGN_LAYER,
        OCI_FOREIGN_LAYER_GZIP,
        OCI_FOREIGN_LAYER_ZSTD,
        DOCKER_FOREIGN_LAYER,
        DOCKER_PLAIN_FOREIGN_LAYER,
    }
)

# RFC 6838 section 4.2, and what may follow as parameters: visible ASCII, so that it is safe in a header.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_MEDIA_TYPE = re.compile(rf"{_NAME}/{_NAME}(?: ?; ?[!-~]{{1,100}}){{0,4}}", re.ASCII)


def is_media_type(text: str) -> bool:
    """Whether `text` has the form `type/subtype`, perhaps with parameters."""
    return _MEDIA_TYPE.fullmatch(text) is not None


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
    return media_type in _FOREIGN


def compression_of(media_type: str) -> str | None:
    """What a layer type promises: "none", "gzip" or "zstd"; None where it promises nothing to be held to."""
    return _COMPRESSION.get(media_type)
