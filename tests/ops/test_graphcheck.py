"""Checks of a graph: everything that is not right is told by its kind, and nothing found there makes them fail."""

import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.ops.graphcheck import Checked, check
from puller.ops.graphs.names import name_image
from puller.ops.tarsum import tarsum_of
from tests.contracts.sample import blob_of, put
from tests.graph.images import archive, register
from tests.ops.two_worlds import BASE, TwoWorlds, blob_in, name, registered, two_worlds

pytestmark = pytest.mark.slow  # many small tests: for `make test`


async def checked(
    worlds: TwoWorlds, image_ids: Sequence[str] | None = None, *, disk: bool = False, tarsum: bool = False
) -> Checked:
    return await check(worlds.graph, worlds.store, image_ids, disk=disk, tarsum=tarsum)


def kinds(found: Checked) -> list[tuple[str, str]]:
    return [(finding.kind, finding.image_id) for finding in found.findings]


def tar(text: str) -> bytes:
    """The layer that `registered` gives an image."""
    return archive(**{text: text * 3})


async def test_a_graph_in_which_all_is_right_has_no_findings(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        await name_image(name("app"), top, worlds.store, worlds.graph)
        found = await checked(worlds, disk=True, tarsum=True)
        assert (found.images, found.findings, found.remarks) == (2, (), ())
        assert found.size == len(tar("base")) + len(tar("top"))
        assert await checked(worlds) == Checked(2, 0, (), ())
        assert worlds.images.tarsum(base) == tarsum_of([tar("base")], "tarsum.v1+sha256")


async def test_an_empty_store_has_nothing_to_check(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        assert await checked(worlds, disk=True) == Checked(0, 0, (), ())


@pytest.mark.parametrize("length", [1, 2, 3])
async def test_g3_a_parent_cycle_is_a_finding_within_a_second(tmp_path: Path, length: int) -> None:
    names = [f"{number}" * 64 for number in range(length)]
    async with two_worlds(tmp_path) as worlds:
        for image_id, parent in zip(names, [*names[1:], names[0]], strict=True):
            worlds.plant(image_id, json.dumps({"id": image_id, "parent": parent}))
        above = worlds.plant("f" * 64, json.dumps({"id": "f" * 64, "parent": names[0]})).name
        started = time.monotonic()
        assert kinds(await checked(worlds)) == [("cycle", image_id) for image_id in names]
        assert kinds(await checked(worlds, [above])) == [("cycle", image_id) for image_id in names]
        assert time.monotonic() - started < 1


async def test_a_parent_that_is_not_here_is_told_with_the_names_it_concerns(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        worlds.plant("a" * 64, json.dumps({"id": "a" * 64, "parent": "b" * 64}))
        await name_image(name("app"), "a" * 64, worlds.store, worlds.graph)
        (finding,) = (await checked(worlds)).findings
        assert (finding.kind, finding.names) == ("dangling", ("docker.io/library/app:latest",))
        assert "b" * 64 in finding.detail


@pytest.mark.parametrize("text", ["{", "", "[]", '{"id":"' + "b" * 64 + '"}', '{"id":7}'])
async def test_files_that_cannot_be_read_damage_that_image_alone(tmp_path: Path, text: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        worlds.plant("a" * 64).joinpath("json").write_text(text)
        found = await checked(worlds, disk=True)
        assert kinds(found) == [("damaged", "a" * 64)]
        assert found.images == 2
        assert kinds(await checked(worlds, [base], disk=True)) == []


async def test_an_image_above_a_damaged_one_leads_to_it(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        (worlds.root / "graph" / base / "json").write_bytes(b"{")
        assert kinds(await checked(worlds, [top])) == [("damaged", base)]


async def test_trees_without_an_image_and_images_without_a_tree_are_told(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        await name_image(name("app"), top, worlds.store, worlds.graph)
        (worlds.root / "vfs/dir" / top).rename(worlds.root / "vfs/dir" / ("c" * 64))
        assert kinds(await checked(worlds)) == sorted([("treeless", top), ("stray", "c" * 64)], key=lambda one: one[1])
        (worlds.root / "vfs/dir" / base).rename(tmp_path / "gone")
        assert ("treeless", base) in kinds(await checked(worlds))


@pytest.mark.parametrize("owner", ["containers", "volumes"])
async def test_trees_of_containers_and_volumes_are_no_findings(tmp_path: Path, owner: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        worlds.stack("base")
        for inner in (f"{owner}/{'c' * 64}", f"vfs/dir/{'c' * 64}", f"vfs/dir/{'c' * 64}-init"):
            (worlds.root / inner).mkdir(parents=True)
        assert kinds(await checked(worlds)) == []


async def test_a_name_without_an_image_is_told(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        await name_image(name("app"), base, worlds.store, worlds.graph)
        worlds.images.delete(base)
        assert kinds(await checked(worlds)) == [("unknown", base)]
        assert kinds(await checked(worlds, [base])) == [("unknown", base)]


async def test_an_id_must_follow_from_a_config_that_a_pull_wrote(tmp_path: Path) -> None:
    config = json.dumps({"layer_id": "sha256:" + "ab" * 32, "os": "linux"})
    strong = hashlib.sha256(config.encode()).hexdigest()
    async with two_worlds(tmp_path) as worlds:
        probed = hashlib.sha256(hashlib.sha256(strong.encode()).hexdigest().encode()).hexdigest()
        for image_id in (strong, probed, "a" * 64):
            worlds.plant(image_id, config)
        worlds.plant("b" * 64, json.dumps({"id": "b" * 64, "layer_id": "sha256:" + "ab" * 32}))  # saved and loaded
        (finding,) = (await checked(worlds)).findings
        assert (finding.kind, finding.image_id) == ("misnamed", "a" * 64)
        assert strong in finding.detail


async def test_a_changed_file_of_a_tree_is_found_by_its_crc(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        (worlds.root / "vfs/dir" / base / "base").write_text("basebasebasf")
        found = await checked(worlds, disk=True)
        assert kinds(found) == [("layer", base)]
        assert kinds(await checked(worlds)) == []
        (worlds.root / "vfs/dir" / top / "top").unlink()
        assert ("layer", top) in kinds(await checked(worlds, [top], disk=True))


async def test_a_checksum_of_the_uncompressed_layer_is_compared(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        registered(worlds.images, "right", checksum=str(Digest.of(tar("right"))))
        registered(worlds.images, "sha512", checksum=str(Digest.of(tar("sha512"), "sha512")))
        registered(worlds.images, "elsewhere", checksum=str(Digest.of(b"a blob that is not here")))
        assert kinds(await checked(worlds, disk=True)) == []


async def test_a_checksum_is_compared_with_what_its_blob_unpacks_to(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        other, own = blob_in(BASE), blob_of(tar("right"), "application/octet-stream")
        await put(worlds.store, other, own)
        registered(worlds.images, "right", checksum=str(own.digest))
        wrong = registered(worlds.images, "wrong", checksum=str(other.digest))
        for _ in range(2):
            (finding,) = (await checked(worlds, disk=True)).findings
            assert (finding.kind, finding.image_id) == ("checksum", wrong)
            await worlds.store.prove(other.digest, Facts(diff_id=Digest.parse(BASE.diff_id), verified=True))


async def test_a_layer_without_a_record_of_its_archive_is_not_called_wrong(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        await put(worlds.store, blob_in(BASE))
        image_id = registered(worlds.images, "base", checksum=BASE.digest)
        (worlds.root / "graph" / image_id / "tar-data.json.gz").unlink()
        found = await checked(worlds, disk=True)
        assert (found.findings, [one for one, _ in found.remarks]) == ((), [image_id])


@pytest.mark.parametrize("text", ["sha256", "", "md5:" + "a" * 32, f"{Digest.of(b'')}\n"])
async def test_a_checksum_that_docker_did_not_take_is_told(tmp_path: Path, text: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        image_id = registered(worlds.images, "base", checksum=text)
        assert kinds(await checked(worlds, disk=True)) == [("checksum", image_id)]


# --- tarsum ---


async def test_tarsums_are_filled_in_and_stay_out_of_json_and_checksum(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        base, top = worlds.stack("base", "top")
        before = worlds.images.get(base)
        assert kinds(await checked(worlds, tarsum=True)) == []
        for image_id, text in ((base, "base"), (top, "top")):
            assert worlds.images.tarsum(image_id) == tarsum_of([tar(text)], "tarsum.v1+sha256")
        assert worlds.images.get(base) == before


async def test_a_kept_tarsum_that_is_no_v1_is_computed_again_and_replaced(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        worlds.images.set_tarsum(base, tarsum_of([tar("base")], "tarsum.dev+sha512"))
        assert kinds(await checked(worlds, tarsum=True)) == []
        assert worlds.images.tarsum(base) == tarsum_of([tar("base")], "tarsum.v1+sha256")


@pytest.mark.parametrize("label", ["tarsum.v1+sha256", "tarsum.dev+sha256", "tarsum+sha512", "tarsum.v1+sha512"])
async def test_a_kept_tarsum_that_the_layer_does_not_have_is_told_and_left(tmp_path: Path, label: str) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        wrong = tarsum_of([tar("another")], label)
        worlds.images.set_tarsum(base, wrong)
        (finding,) = (await checked(worlds, tarsum=True)).findings
        assert (finding.kind, finding.image_id) == ("tarsum", base)
        assert wrong in finding.detail
        assert tarsum_of([tar("base")], label) in finding.detail
        assert worlds.images.tarsum(base) == wrong


async def test_d1_a_checksum_that_is_a_tarsum_is_compared(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        registered(
            worlds.images,
            "right",
            checksum=tarsum_of([tar("right")], "tarsum.v1+sha256")
            .upper()
            .replace("TARSUM.V1+SHA256", "tarsum.v1+sha256"),
        )
        wrong = registered(worlds.images, "wrong", checksum=tarsum_of([tar("right")], "tarsum+sha512"))
        assert kinds(await checked(worlds, tarsum=True)) == [("tarsum", wrong)]
        assert kinds(await checked(worlds, disk=True)) == [("tarsum", wrong)]


async def test_a_tarsum_in_json_of_2014_is_compared(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        (base,) = worlds.stack("base")
        wrong = tarsum_of([tar("another")], "tarsum.dev+sha256")
        folder = worlds.root / "graph" / base
        folder.joinpath("json").write_text(json.dumps({"id": base, "checksum": wrong}))
        assert kinds(await checked(worlds, tarsum=True)) == [("tarsum", base)]


async def test_a_layer_that_the_reader_of_2015_refuses_has_no_tarsum_and_says_why(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        image_id = register(worlds.images, "odd", "", odd_archive())
        found = await checked(worlds, tarsum=True)
        assert found.findings == ()
        ((remarked, remark),) = found.remarks
        assert remarked == image_id
        assert remark.startswith("no tarsum: ")
        assert worlds.images.tarsum(image_id) is None


def odd_archive() -> bytes:
    """An entry with a mode of more digits than the writer had."""
    header = bytearray(archive(file="content"))
    header[100:108] = b"\x80\0\0\0\x7f\0\x01\xa4"
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header[:512])
    return bytes(header)


async def test_an_image_that_is_removed_meanwhile_is_passed_over(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        first, second = worlds.stack("first")[0], worlds.stack("second")[0]
        order = sorted([first, second])

        def told(image_id: object, size: int) -> None:
            if image_id == order[0]:
                worlds.images.delete(order[1])

        found = await check(worlds.graph, worlds.store, disk=True, told=told)
        assert found.findings == ()


async def test_a_check_that_is_stopped_holds_nothing(tmp_path: Path) -> None:
    async with two_worlds(tmp_path) as worlds:
        worlds.stack("base", "top")
        with anyio.CancelScope() as scope:
            await check(worlds.graph, worlds.store, disk=True, told=lambda image_id, size: scope.cancel())
        assert scope.cancelled_caught
        assert not any(worlds.images.is_held(image_id) for image_id in worlds.images.ids())
