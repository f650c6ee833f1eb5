"""Which images of an index are brought, and the index of those alone."""

import json

import pytest

from puller.errors import InvalidConfig, Unsupported
from puller.model.digest import Digest
from puller.model.manifest import Index, parse_manifest
from puller.model.platform import Platform
from puller.model.sync import Manner
from puller.ops.copying.choice import choose, platforms_of, rewritten
from testregistry import images
from tests.ops.copying.scene import ARM, INDEX
from tests.ops.story import IMAGE

AMD64, ARM64, RISCV = (Platform.parse(f"linux/{name}") for name in ("amd64", "arm64", "riscv64"))


def index_of(raw: bytes) -> Index:
    index = parse_manifest(raw, None)
    assert isinstance(index, Index)
    return index


def attested(image: images.Image) -> dict[str, object]:
    """The entry of an attestation, as buildkit writes it."""
    return {
        **images.descriptor(images.blob(image.digest.encode(), "application/vnd.oci.image.manifest.v1+json")),
        "annotations": {
            "vnd.docker.reference.digest": image.digest,
            "vnd.docker.reference.type": "attestation-manifest",
        },
        "platform": {"architecture": "unknown", "os": "unknown"},
    }


ATTESTED = images.document({**json.loads(INDEX.raw), "manifests": [
    *json.loads(INDEX.raw)["manifests"], attested(IMAGE), attested(ARM),
]})  # fmt: skip


def digests(*made: images.Image) -> list[Digest]:
    return [Digest.parse(one.digest) for one in made]


def test_without_platforms_all_are_brought() -> None:
    choice = choose(index_of(INDEX.raw), ())
    assert ([entry.digest for entry in choice.brought], choice.absent) == (digests(IMAGE, ARM), ())


def test_a_platform_brings_its_image_and_leaves_out_the_others() -> None:
    choice = choose(index_of(INDEX.raw), [ARM64])
    assert ([entry.digest for entry in choice.brought], list(choice.absent)) == (digests(ARM), digests(IMAGE))


def test_what_attests_a_chosen_image_comes_with_it() -> None:
    index = index_of(ATTESTED)
    choice = choose(index, [ARM64])
    assert choice.brought == (index.manifests[1], index.manifests[3])


def test_a_platform_that_is_not_there_is_told_and_none_at_all_refused() -> None:
    assert choose(index_of(INDEX.raw), [RISCV, AMD64]).warnings == ("the index has no image for linux/riscv64",)
    with pytest.raises(Unsupported, match="no image for this platform"):
        choose(index_of(INDEX.raw), [RISCV])


def test_entries_of_unknown_kind_are_left_out_and_told() -> None:
    entry = {"mediaType": "application/x-other", "digest": IMAGE.digest, "size": 1}
    choice = choose(index_of(images.document({**json.loads(INDEX.raw), "manifests": [entry]})), ())
    assert (choice.brought, list(choice.absent)) == ((), digests(IMAGE))
    assert "application/x-other" in choice.warnings[0]


def test_a_single_image_serves_one_platform() -> None:
    assert platforms_of(Manner(("linux/arm64",), "single")) == (ARM64,)
    with pytest.raises(InvalidConfig, match="one platform"):
        platforms_of(Manner(("linux/arm64", "linux/amd64"), "single"))


def test_a_rewritten_index_keeps_all_else_as_it_is_to_the_byte() -> None:
    one = (
        '{ "digest": "%s", "size": %d, "mediaType": "%s", "x": 1.50, "y": "\\u00e9[{\\"",\n '
        '"platform": {"os":"linux","architecture":"%s"} }'
    )
    first, second = (one % (i.digest, i.size, i.media_type, a) for i, a in ((IMAGE, "amd64"), (ARM, "arm64")))
    around = (
        '{ "schemaVersion": 2,\t"annotations": {"manifests": "[]"},\n "manifests": %s , "extra": [1, {"a": []}] }\n'
    )
    index = index_of((around % f"[ {first} ,\n{second}\n]").encode())
    for chosen in (choose(index, [AMD64]), choose(index, [ARM64]), choose(index, ())):
        kept = [text for entry, text in zip(index.manifests, (first, second), strict=True) if entry in chosen.brought]
        assert rewritten(index, chosen.brought).decode() == around % f"[{','.join(kept)}]"


def test_an_index_may_be_rewritten_to_nothing() -> None:
    index = index_of(INDEX.raw)
    assert json.loads(rewritten(index, ())) == {**json.loads(INDEX.raw), "manifests": []}
