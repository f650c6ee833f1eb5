"""Put the built layouts into docker-registry's data by `skopeo`, each only if it is not there yet."""

from collections.abc import Mapping

from bench.cache import Cache
from bench.layout import INDEX, MANIFEST, TAG, Image
from bench.registry import Registry, manifest_digest, serve
from bench.tool import run

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SIGNED_MANIFEST = "application/vnd.docker.distribution.manifest.v1+prettyjws"

# The small image in Docker's own formats: name to push under, skopeo's word for the format, media type to ask for.
CONVERSIONS = (
    ("small-docker", "v2s2", DOCKER_MANIFEST),
    ("small-schema1", "v2s1", SIGNED_MANIFEST),
)


def repository(set_name: str, name: str) -> str:
    """The repository an image of a set is pushed to, such as `full/medium`; its tag is `1`."""
    return f"{set_name}/{name}"


def push_all(cache: Cache, set_name: str, images: Mapping[str, Image]) -> None:
    """Push a set, the small image also as Docker schema 2 and schema 1; raises MissingTool or ToolFailed."""
    with serve(cache.registry, cache.root / "push") as registry:
        for image in images.values():
            _push(registry, set_name, image)
        for name, form, media_type in CONVERSIONS:
            _convert(registry, set_name, images["small"], name, form, media_type)


def _push(registry: Registry, set_name: str, image: Image) -> None:
    target = repository(set_name, image.name)
    if manifest_digest(registry, target, TAG, f"{INDEX}, {MANIFEST}") == image.digest:
        return
    _copy(image, registry.name(target), "--all", "--preserve-digests")


def _convert(registry: Registry, set_name: str, image: Image, name: str, form: str, media_type: str) -> None:
    target = repository(set_name, name)
    # A converted manifest has no digest known beforehand, so the tag names what it was made from.
    made_from = f"of-{image.digest.removeprefix('sha256:')[:12]}"
    if manifest_digest(registry, target, made_from, media_type) is None:
        _copy(image, registry.name(target), "--format", form)
        _copy(image, registry.name(target, made_from), "--format", form)


def _copy(image: Image, target: str, *options: str) -> None:
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *options]
    run([*command, f"oci:{image.layout}:{TAG}", f"docker://{target}"])
