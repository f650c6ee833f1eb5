"""THREATS A against whole pulls: no name, digest or title from outside becomes a path or a request of its own."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puller.errors import InvalidManifest, InvalidReference, PullerError
from puller.model.reference import Reference
from testregistry import images
from testregistry.documents import OCI_INDEX
from tests.ops.story import BASE, IMAGE, document, files_with, names_in, story

pytestmark = pytest.mark.slow  # many small tests: together too long for `make check`

HEX = "a" * 64
BAD_DIGESTS = [
    "sha256:../../../v2/other/manifests/1",
    "sha256:..%2f..%2fx",
    "sha256:" + "../" * 21 + "x",
    "sha256:",
    "sha256:" + HEX.upper(),
    "sha256:" + HEX[:-1],
    "sha256:" + HEX + "a",
    "sha256:" + HEX + "\n",
    "sha256:" + HEX[:-1] + "\0",
    "sha256:" + "\N{ARABIC-INDIC DIGIT ONE}" * 64,
    "md5:" + "a" * 32,
    "sha1:" + "a" * 40,
    "SHA256:" + HEX,
    "sha256+b64:" + HEX,
    "sha512:" + HEX,
    "tarsum.v1+sha256:" + HEX,
    HEX,
    "",
    "/etc/passwd",
]


def with_digest(place: str, digest: str) -> tuple[bytes, str]:
    """A document with a bad digest in one place, and its media type."""
    layers = json.loads(IMAGE.raw)["layers"]
    match place:
        case "layer":
            return document(IMAGE.raw, layers=[layers[0], layers[1] | {"digest": digest}]), IMAGE.media_type
        case "config":
            return document(IMAGE.raw, config=images.descriptor(IMAGE.config, digest=digest)), IMAGE.media_type
        case "subject":
            return document(IMAGE.raw, subject=images.descriptor(IMAGE, digest=digest)), IMAGE.media_type
        case _:
            entry = images.descriptor(IMAGE, digest=digest)
            return document(images.index(IMAGE).raw, manifests=[entry]), OCI_INDEX


@pytest.mark.parametrize("digest", BAD_DIGESTS)
async def test_a3_a_digest_that_is_none_is_refused_and_no_request_is_made_of_it(tmp_path: Path, digest: str) -> None:
    async with story(tmp_path) as s:
        for place in ("layer", "config", "subject", "index entry"):
            s.registry.journal.clear()
            raw, media_type = with_digest(place, digest)
            root = s.add_raw(raw, media_type)
            await s.refused(InvalidManifest, root)
            assert {request.reference for request in s.registry.journal} == {"1", root}
        assert await s.blobs() == set()
        assert names_in(tmp_path) == ["store"]


@pytest.mark.parametrize("digest", BAD_DIGESTS)
async def test_a3_a_diff_id_that_is_no_digest_is_refused_before_a_layer_is_fetched(tmp_path: Path, digest: str) -> None:
    image = images.image(BASE, config_extra={"rootfs": {"type": "layers", "diff_ids": [digest]}})
    async with story(tmp_path) as s:
        s.registry.add("app:1", image)
        await s.refused(InvalidManifest, image.config.digest)
        assert s.registry.journal.gets(BASE.digest) == 0


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_a3_a_reference_pinned_to_what_is_no_digest_is_none(digest: str) -> None:
    with pytest.raises(InvalidReference):
        Reference.parse(f"127.0.0.1:5000/app@{digest}")


# --- A4: whatever a registry says, only our own errors come out ----------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType")
CONFIG_KEYS = ("rootfs", "config", "history", "os", "architecture", "created", "variant")
DESCRIPTOR_KEYS = ("mediaType", "digest", "size", "annotations", "urls", "data", "platform")
SLOW_START = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)


def dumped(value: Any) -> bytes:
    """JSON with whatever Python would write: NaN and lone surrogates too."""
    return json.dumps(value).encode()


@settings(max_examples=8, deadline=None, suppress_health_check=SLOW_START)
@given(changes=st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1), min_size=3, max_size=10))
async def test_a4_no_manifest_makes_anything_but_our_own_errors(tmp_path: Path, changes: list[dict[str, Any]]) -> None:
    async with story(tmp_path) as s:
        for change in changes:
            s.add_raw(dumped(json.loads(IMAGE.raw) | change))
            await _ends_well(s.pull())


@settings(max_examples=8, deadline=None, suppress_health_check=SLOW_START)
@given(changes=st.lists(st.dictionaries(st.sampled_from(DESCRIPTOR_KEYS), JSON, min_size=1), min_size=3, max_size=10))
async def test_a4_no_descriptor_makes_anything_but_our_own_errors(
    tmp_path: Path, changes: list[dict[str, Any]]
) -> None:
    async with story(tmp_path) as s:
        for change in changes:
            s.add_raw(dumped(json.loads(IMAGE.raw) | {"config": images.descriptor(IMAGE.config) | change}))
            await _ends_well(s.pull())


@settings(max_examples=8, deadline=None, suppress_health_check=SLOW_START)
@given(changes=st.lists(st.dictionaries(st.sampled_from(CONFIG_KEYS), JSON, min_size=1), min_size=3, max_size=10))
async def test_a4_no_config_makes_anything_but_our_own_errors(tmp_path: Path, changes: list[dict[str, Any]]) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app", IMAGE)
        for change in changes:
            config = images.blob(dumped(json.loads(IMAGE.config.raw) | change), images.OCI_CONFIG)
            s.registry.add_blob("app", config.raw)
            s.add_raw(document(IMAGE.raw, config=images.descriptor(config)))
            await _ends_well(s.pull())


async def _ends_well(pulling: Any) -> None:
    error = None
    try:
        await pulling
    except PullerError as refusal:
        error = refusal
    assert error is None or str(error).isprintable()


# --- A6, A7: names --------------------------------------------------------------------------------------------------

BAD_NAMES = [
    "../x:1",
    "app/../../x:1",
    "app/./x:1",
    "app/..:1",
    "app//x:1",
    "/app:1",
    "app/:1",
    ".app:1",
    "app.:1",
    "App:1",
    "app:../1",
    "app:.1",
    "app:" + "x" * 129,
    "app:1\n",
    "app\n:1",
    "app:1\0",
    "app\\x:1",
    "app%2f..%2fx:1",
    "a" * 250 + "/aaaaaaa:1",
    "\N{LATIN SMALL LETTER A WITH DIAERESIS}:1",
    "app:\N{ARABIC-INDIC DIGIT ONE}",
    "",
]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_a6_a_name_outside_the_grammar_is_refused_before_anything_is_asked_or_made(
    tmp_path: Path, name: str
) -> None:
    async with story(tmp_path) as s:
        s.registry.add("app:1", IMAGE)
        with pytest.raises(InvalidReference):
            await s.pull(name)
        assert len(s.registry.journal) == 0
        assert await s.tags() == {}
        assert names_in(tmp_path) == ["store"]


def test_a6_sixty_four_hex_digits_are_no_repository_since_they_look_like_an_id() -> None:
    with pytest.raises(InvalidReference):
        Reference.parse("a" * 64)


@pytest.mark.parametrize("title", ["../x", "../../../../etc/cron.d/x", "/abs", "a/b", "\0", "CON", ".."])
async def test_a7_no_file_is_named_by_an_annotation(tmp_path: Path, title: str) -> None:
    blob = images.blob(b"content", "application/octet-stream")
    titled = images.descriptor(blob, annotations={"org.opencontainers.image.title": title})
    artifact = images.artifact(blob, annotations={"org.opencontainers.image.title": title})
    async with story(tmp_path) as s:
        s.registry.add("app", artifact)
        root = s.registry.add_manifest("app", document(artifact.raw, layers=[titled]), artifact.media_type, "1")
        await s.pull()
        assert await s.blobs() == {root, artifact.config.digest, blob.digest}
        assert names_in(tmp_path) == ["store"]
        assert files_with(blob.raw, tmp_path) == [blob.digest.partition(":")[2]]
