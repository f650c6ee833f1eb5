"""Hypothesis strategies for the nouns: everything that the rules allow, and JSON as an enemy would write it."""

from typing import Any

from hypothesis import strategies as st

from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import HEX_LENGTH, Digest
from puller.model.platform import Platform
from puller.model.reference import DOCKER_HUB, MAX_HOST, MAX_REPOSITORY, Reference


def _hex(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length)


digests = st.sampled_from(sorted(HEX_LENGTH)).flatmap(lambda a: _hex(HEX_LENGTH[a]).map(lambda h: Digest(a, h)))

_labels = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,5}[a-zA-Z0-9])?", fullmatch=True) | st.just("x" * 63)
_ports = st.integers(1, 65535)
_dotted_hosts = st.lists(_labels, min_size=2, max_size=4).map(".".join).filter(lambda host: len(host) <= MAX_HOST)
# Python 3.13 writes some of them with an IPv4 address behind, which references do not take.
_v6_hosts = st.ip_addresses(v=6).map(lambda address: f"[{address}]").filter(lambda host: "." not in host)
registries = st.one_of(
    st.just(DOCKER_HUB),
    st.just("localhost"),
    _dotted_hosts.filter(lambda host: host != "index.docker.io"),
    _v6_hosts,
    st.builds("{}:{}".format, st.one_of(_labels, _dotted_hosts, _v6_hosts), _ports),
    _labels.filter(lambda label: label != label.lower()),  # upper case alone makes a host
)
# Some look like hosts, some like image IDs, some like the library: short forms must not trip over them.
_components = st.one_of(
    st.from_regex(r"[a-z0-9]{1,4}(?:(?:\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}", fullmatch=True),
    st.sampled_from(["localhost", "library", "docker.io", "index.docker.io", "a" * 64]),
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", fullmatch=True)


def _is_short_enough(components: list[str]) -> bool:
    return len("/".join(["library", *components])) <= MAX_REPOSITORY


@st.composite
def references(draw: st.DrawFn) -> Reference:
    """Every reference there can be."""
    registry = draw(registries)
    components = draw(st.lists(_components, min_size=1, max_size=4).filter(_is_short_enough))
    if registry == DOCKER_HUB and len(components) == 1:
        components.insert(0, "library")
    return Reference(registry, "/".join(components), draw(st.none() | tags), draw(st.none() | digests))


media_types = st.sampled_from(
    [
        *sorted(mediatype.INDEXES | mediatype.MANIFESTS | mediatype.CONFIGS | mediatype.SCHEMA1_MANIFESTS),
        mediatype.OCI_LAYER_GZIP,
        mediatype.OCI_ARTIFACT,
        "application/vnd.cncf.helm.config.v1+json",
        "text/plain",
    ]
)
platforms = st.sampled_from(
    ["linux/amd64", "linux/amd64/v2", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "windows/amd64", "unknown/unknown"]
).map(Platform.parse)
descriptors = st.builds(
    Descriptor,
    media_types,
    digests,
    st.integers(0, 2**63 - 1),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3),
    st.none() | platforms,
    st.none() | media_types,
    st.lists(st.text(min_size=1, max_size=8), max_size=2).map(tuple),
)

_KEYS = [
    "schemaVersion", "mediaType", "manifests", "config", "layers", "blobs", "fsLayers", "history", "signatures",
    "subject", "annotations", "artifactType", "digest", "size", "urls", "data", "platform", "os", "architecture",
    "variant", "os.version", "rootfs", "type", "diff_ids", "created", "created_by", "empty_layer", "User", "Labels",
]  # fmt: skip
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from([2, 1, "layers", "linux", "amd64", "v8", "0:0", "4294967296"]),
    media_types,
    digests.map(str),
)
# Objects that use the right keys for the wrong things reach further into a decoder than noise does.
hostile_values: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=6),
    max_leaves=25,
)
