"""What refers to an image, brought with it: listed by API or tag, named by cosign's tags; hints all of it."""

import json
from pathlib import Path

import pytest

from puller.errors import DigestMismatch
from puller.model.digest import Digest
from puller.model.referrer import tag_of
from puller.ops.copying.bringing import Bringing
from puller.ops.copying.gathering import Gathering
from puller.ops.copying.reading import Bounds
from puller.ops.copying.referrers import Referring
from puller.ops.copying.tally import CopyTally
from testregistry import faults, images
from testregistry.documents import OCI_INDEX
from testregistry.manner import Manner
from tests.ops.copying.scene import ARM, INDEX, blob, described, manifest, scene, tags
from tests.ops.story import BASE, IMAGE

SIGNATURE = images.artifact(images.blob(b"a signature"), subject=IMAGE)
OF_SIGNATURE = images.artifact(images.blob(b"a time stamp"), subject=SIGNATURE)
OF_INDEX = images.artifact(images.blob(b"bill of materials"), subject=INDEX)
WITHOUT = Manner(referrers=False)


def fallback(subject: images.Manifest) -> str:
    return tag_of(Digest.parse(subject.digest))


def listing(*entries: dict[str, object]) -> bytes:
    return images.document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)})


async def test_what_refers_to_the_index_and_to_its_images_comes_and_what_refers_to_that(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        for thing in (SIGNATURE, OF_SIGNATURE, OF_INDEX):
            s.a.add("app", thing)
        carried = await s.copy(referrers=True)
        for thing in (SIGNATURE, OF_SIGNATURE, OF_INDEX):
            assert manifest(s.b, "copy", thing.digest) == thing.raw
            assert blob(s.b, "copy", thing.blobs[0].digest) == thing.blobs[0].raw
        assert (carried.root, carried.warnings, tags(s.b)) == (INDEX.digest, (), {"1": INDEX.digest})


async def test_without_being_asked_for_none_comes(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", SIGNATURE)
        await s.copy()
        assert s.a.journal.count(kind="referrers") == 0
        assert manifest(s.b, "copy", SIGNATURE.digest) is None


async def test_referrers_come_before_the_name(tmp_path: Path) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", SIGNATURE)
        await s.copy(referrers=True)
        puts = [r.path.rpartition("/")[2] for r in s.b.journal.find("PUT", kind="manifest")]
        assert puts == [SIGNATURE.digest, "1"]


async def test_where_registries_keep_no_list_the_tag_for_it_is_read_and_kept(tmp_path: Path) -> None:
    async with scene(tmp_path, manner=WITHOUT, from_manner=WITHOUT) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", SIGNATURE)
        s.a.add_manifest("app", listing(images.descriptor(SIGNATURE)), OCI_INDEX, fallback(IMAGE))
        await s.copy(referrers=True)
        raw = manifest(s.b, "copy", fallback(IMAGE))
        assert raw is not None
        assert [entry["digest"] for entry in json.loads(raw)["manifests"]] == [SIGNATURE.digest]
        assert manifest(s.b, "copy", SIGNATURE.digest) == SIGNATURE.raw


@pytest.mark.parametrize("kind", ["directory", "store"])
async def test_referrers_survive_a_directory_or_store(tmp_path: Path, kind: str) -> None:
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", SIGNATURE)
        place = getattr(s, kind)
        await s.copy("app:1", place, referrers=True)
        s.again()
        await s.copy("any:1", source=place, referrers=True)
        assert manifest(s.b, "copy", SIGNATURE.digest) == SIGNATURE.raw


async def test_the_tags_that_cosign_makes_of_a_digest_come_as_tags(tmp_path: Path) -> None:
    signed = images.artifact(images.blob(b"signed"), artifact_type=None)
    async with scene(tmp_path) as s:
        s.a.add("app:1", INDEX)
        names = [f"{INDEX.digest.replace(':', '-')}.sig", f"{ARM.digest.replace(':', '-')}.att"]
        for name in names:
            s.a.add(f"app:{name}", signed)
        await s.copy(referrers=True)
        assert tags(s.b) == {"1": INDEX.digest} | dict.fromkeys(names, signed.digest)
        s.again()
        await s.copy(referrers=True)
        assert s.a.journal.gets(signed.digest) == 0


async def test_c20_what_is_listed_and_refers_to_another_is_not_brought_and_told(tmp_path: Path) -> None:
    other = images.artifact(images.blob(b"for another"), subject=ARM)
    async with scene(tmp_path, from_manner=WITHOUT) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", other)
        s.a.add("app", SIGNATURE)
        entries = [images.descriptor(other), images.descriptor(BASE_IMAGE), images.descriptor(SIGNATURE)]
        s.a.add("app", BASE_IMAGE)
        s.a.add_manifest("app", listing(*entries), OCI_INDEX, fallback(IMAGE))
        carried = await s.copy(referrers=True)
        assert manifest(s.b, "copy", SIGNATURE.digest) == SIGNATURE.raw
        assert [manifest(s.b, "copy", one.digest) for one in (other, BASE_IMAGE)] == [None, None]
        said = sorted(text.split()[0].rstrip(",") for text in carried.warnings)
        assert said == sorted([other.digest, BASE_IMAGE.digest])
        assert tags(s.b)["1"] == IMAGE.digest


BASE_IMAGE = images.image(BASE)


async def test_c20_a_circle_of_lists_ends(tmp_path: Path) -> None:
    async with scene(tmp_path, from_manner=WITHOUT) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", SIGNATURE)
        round_trip = [images.descriptor(SIGNATURE), images.descriptor(IMAGE)]
        for subject in (IMAGE, SIGNATURE):
            s.a.add_manifest("app", listing(*round_trip), OCI_INDEX, fallback(subject))
        await s.copy(referrers=True)
        assert tags(s.b)["1"] == IMAGE.digest
        assert s.a.journal.count("GET", kind="manifest", digest=SIGNATURE.digest) == 1


@pytest.mark.parametrize("raw", [b"[]", b"{}", ARM.raw, listing({"digest": "no"})])
async def test_c20_a_list_that_is_none_keeps_no_image_from_being_brought(tmp_path: Path, raw: bytes) -> None:
    async with scene(tmp_path, from_manner=WITHOUT) as s:
        s.a.add("app:1", IMAGE)
        s.a.add_manifest("app", raw, OCI_INDEX, fallback(IMAGE))
        carried = await s.copy(referrers=True)
        assert tags(s.b)["1"] == IMAGE.digest
        assert carried.warnings[0].startswith(f"what refers to {IMAGE.digest} was not brought")


async def test_c20_of_very_many_only_so_many_are_looked_at(tmp_path: Path) -> None:
    many = [images.artifact(images.blob(str(n).encode()), subject=IMAGE) for n in range(30)]
    async with scene(tmp_path) as s:
        s.a.add("app:1", IMAGE)
        for one in many:
            s.a.add("app", one)
        source, target = await s.places.source(s.a.name("app")), await s.places.target(s.directory)
        tally = CopyTally("a copy", s.events.append)
        gathering = Gathering(source, target, s.claims, tally.warn)
        bringing = Bringing(gathering, tally, s.limiter, s.events.append)
        gathered = await gathering.gather(described(IMAGE))
        await bringing.bring(gathered)
        await Referring(gathering, bringing, tally.warn, Bounds(documents=20)).bring([gathered.root.digest])
        await bringing.name(gathered, ["1"])
        assert "more than 20 manifests" in tally.carried(gathered.root.digest).warnings[-1]
        assert sum(s.a.journal.count("GET", kind="manifest", digest=one.digest) for one in many) == 20
        assert len(await source.referrers(gathered.root.digest)) == 30
        kept = await s.places.source(s.directory)
        assert len(await kept.referrers(gathered.root.digest)) == 20


async def test_c20_more_than_a_list_may_hold_is_told(tmp_path: Path) -> None:
    entries = [{**images.descriptor(IMAGE), "digest": f"sha256:{n:064x}"} for n in range(10_001)]
    async with scene(tmp_path, from_manner=WITHOUT) as s:
        s.a.add("app:1", IMAGE)
        s.a.add_manifest("app", listing(*entries), OCI_INDEX, fallback(IMAGE))
        carried = await s.copy(referrers=True)
        assert len(carried.warnings) == 1
        assert s.a.journal.count("GET", kind="manifest", digest=str(entries[0]["digest"])) == 0


async def test_what_is_listed_and_gone_is_told(tmp_path: Path) -> None:
    async with scene(tmp_path, from_manner=WITHOUT) as s:
        s.a.add("app:1", IMAGE)
        s.a.add_manifest("app", listing(images.descriptor(SIGNATURE)), OCI_INDEX, fallback(IMAGE))
        carried = await s.copy(referrers=True)
        assert (SIGNATURE.digest in carried.warnings[0], tags(s.b)["1"]) == (True, IMAGE.digest)


async def test_wrong_bytes_of_a_referrer_end_the_copy(tmp_path: Path) -> None:
    async with scene(tmp_path, faults=[faults.flip(SIGNATURE.digest, at=-1, times=None)]) as s:
        s.a.add("app:1", IMAGE)
        s.a.add("app", SIGNATURE)
        with pytest.raises(DigestMismatch):
            await s.copy(referrers=True)
        assert tags(s.b) == {}


async def test_of_many_images_the_tags_are_listed_once_instead_of_asked_for(tmp_path: Path) -> None:
    many = images.index(*(images.image(BASE, platform=("linux", f"cpu{n}")) for n in range(8)))
    name = f"{many.manifests[3].digest.replace(':', '-')}.sig"
    signed = images.artifact(images.blob(b"signed"), artifact_type=None)
    async with scene(tmp_path) as s:
        s.a.add("app:1", many)
        s.a.add(f"app:{name}", signed)
        await s.copy(referrers=True)
        assert tags(s.b) == {"1": many.digest, name: signed.digest}
        assert (s.a.journal.count(kind="tags"), s.a.journal.count("HEAD")) == (1, 2)


async def test_who_may_not_list_tags_asks_for_each(tmp_path: Path) -> None:
    many = images.index(*(images.image(BASE, platform=("linux", f"cpu{n}")) for n in range(8)))
    name = f"{many.manifests[3].digest.replace(':', '-')}.sig"
    async with scene(tmp_path, faults=[faults.status(403, kind="tags", times=None)]) as s:
        s.a.add("app:1", many)
        s.a.add(f"app:{name}", images.artifact(images.blob(b"signed"), artifact_type=None))
        await s.copy(referrers=True)
        assert name in tags(s.b)
