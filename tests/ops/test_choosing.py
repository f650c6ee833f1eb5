"""Choosing IDs over a graph on disk: every recorded graph, its files written as they were."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from puller.contracts.graph import NewImage
from puller.errors import ContentCorrupt, StoreBusy, StoreError
from puller.legacy.history import fold_layers
from puller.legacy.idchain import Candidate, id_chain
from puller.legacy.reuse import Choice
from puller.model.digest import Digest
from puller.ops.graphs.graph import Graph
from puller.ops.pulling.choosing import choose, chosen, disk_proof
from puller.ops.tarsum import tarsum_of
from tests.graph.images import plant
from tests.graph.plainvfs import PlainVfs
from tests.graph.recorded import from_base64, golden, graph_over, layer, quiet, story
from tests.graph.replay import Replay
from tests.legacy.golden import cases, named
from tests.legacy.test_reuse import chain_of

pytestmark = pytest.mark.slow  # many small tests: for `make test`

CASES = cases("idreuse")


async def graph_of(case: dict[str, Any], root: Path) -> Graph:
    """The graph that a case begins with."""
    files: dict[str, dict[str, str]] = case.get("graph") or {}
    for image_id, held in files.items():
        folder = root / "graph" / image_id
        folder.mkdir(parents=True)
        for name, text in held.items():
            (folder / name).write_bytes(from_base64(text))
        if image_id not in (case.get("no_driver") or ()):
            (root / "vfs" / "dir" / image_id).mkdir(parents=True)
    return await graph_over(root, PlainVfs(root))


@pytest.mark.slow  # many small tests: for `make test`
@pytest.mark.parametrize("case", CASES, ids=named)
async def test_ids_parents_lines_and_texts_are_those_recorded(case: dict[str, Any], tmp_path: Path) -> None:
    graph, log = await graph_of(case, tmp_path / "docker"), list[str]()
    chain = chain_of(case)
    choices = await choose(chain, graph, log=log.append)
    found = [(choice.image_id, choice.parent or "") for choice in choices]
    assert found[::-1] == [(image["id"], image["parent"]) for image in case["images"]]
    root = str(graph.place)
    assert [line.replace(root, "$ROOT") for line in log] == [json.loads(line) for line in case["debug_log"]]
    texts = {path.parent.name: path.read_bytes() for path in graph.place.glob("graph/*/v1Compatibility")}
    assert texts == {name: from_base64(raw) for name, raw in case["v1compat_after_b64"].items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=named)
async def test_images_are_read_as_the_original_read_them(case: dict[str, Any], tmp_path: Path) -> None:
    graph = await graph_of(case, tmp_path / "docker")
    for image_id, wanted in (case["graph_get"] or {}).items():
        assert graph.images.has(image_id) == wanted["exists"]
        if wanted["exists"]:
            image = graph.images.get(image_id)
            assert (image.parent, image.size) == (wanted["parent"], wanted["size"])
        else:
            with pytest.raises(StoreError) as error:
                graph.images.get(image_id)
            assert error.value.what == wanted["error"]


PULL = story("pull_fresh")["request"]
LEGACY = story("legacy_all_with_digest_then_pull")["request"]


def chain_in(request: dict[str, Any]) -> tuple[Candidate, ...]:
    return id_chain(fold_layers(request["Layers"], [from_base64(text) for text in request["Hist"]]))


def put(graph: Graph, candidate: Candidate, choice: Choice) -> None:
    """Register what a pull would."""
    new = NewImage(
        choice.image_id,
        choice.parent or "",
        config=candidate.config,
        checksum=candidate.layer.blob,
        v1_compatibility=candidate.layer.v1_compatibility,
    )
    with layer(golden(PULL["Files"][candidate.layer.blob])) as blob:
        graph.images.register(new, blob, quiet)


async def pulled(graph: Graph, **more: Any) -> list[Choice]:
    """Choose, and register what is missing."""
    chain = chain_in(PULL)
    async with chosen(chain, graph, log=more.pop("log", unheard), **more) as choices:
        for candidate, choice in zip(chain, choices, strict=True):
            put(graph, candidate, choice)
    return choices


def unheard(_: str) -> None:
    pass


@pytest.fixture
async def graph(tmp_path: Path) -> Graph:
    return await graph_over(tmp_path / "docker", PlainVfs(tmp_path / "docker"))


async def legacy(graph: Graph) -> list[str]:
    """Images of the same content, built or loaded under legacy IDs, with their digests; base first."""
    replay = Replay(graph)
    told = {"Legacy": LEGACY["Legacy"], "LegacyDigest": LEGACY["LegacyDigest"]}
    await replay.run({"request": told})
    return [image_id for image_id, _ in reversed(LEGACY["LegacyDigest"])]


async def test_a_second_choice_finds_all_that_the_first_one_registered(graph: Graph) -> None:
    first = await pulled(graph)
    again = await pulled(graph)
    assert [(one.image_id, one.parent) for one in again] == [(one.image_id, one.parent) for one in first]
    assert all(choice.is_present for choice in again)


async def test_pull_conflict_a_taken_strong_id_gives_the_hash_of_it_and_the_second_pull_keeps_that(
    graph: Graph,
) -> None:
    chain = chain_in(PULL)
    top = (await pulled(graph))[-1].image_id
    (graph.place / "graph" / top / "checksum").unlink()  # as if it had been loaded
    probed = hashlib.sha256(top.encode()).hexdigest()
    assert (await pulled(graph))[-1].image_id == probed
    again = await choose(chain, graph, log=unheard)
    assert (again[-1].image_id, again[-1].is_present) == (probed, True)


async def test_pull_migration_legacy_images_that_are_proved_are_reused(graph: Graph) -> None:
    ids = await legacy(graph)
    choices = await choose(chain_in(LEGACY), graph, log=unheard)
    assert [(choice.image_id, choice.is_present) for choice in choices] == [(image_id, True) for image_id in ids]


async def test_a_text_that_cannot_be_made_is_an_error_and_the_original_s_line_is_logged(graph: Graph) -> None:
    base, _, _ = await legacy(graph)
    shutil.rmtree(graph.place / "graph" / base)  # so children cannot tell their parent's v1 ID
    log: list[str] = []
    with pytest.raises(ContentCorrupt, match="damaged"):
        await choose(chain_in(LEGACY), graph, log=log.append)
    assert log == [f"Migration v1Compatibility generation error: could not find image: no such id: {base}"]


async def test_a_graph_that_only_has_other_images_may_be_damaged_without_harm(graph: Graph) -> None:
    plant(graph.place, "other", json=b"{")
    assert not (await choose(chain_in(PULL), graph, log=unheard))[0].is_present


async def test_verify_disk_an_image_that_is_not_right_on_the_disk_is_probed_past(graph: Graph) -> None:
    first = await pulled(graph)
    asked: list[str] = []
    log: list[str] = []

    async def verify(image_id: str, candidate: Candidate) -> str | None:
        asked.append(image_id)
        return "bad" if image_id == first[1].image_id else None

    again = await choose(chain_in(PULL), graph, verify=verify, log=log.append)
    assert asked == [first[0].image_id, first[1].image_id]
    assert [choice.is_present for choice in again] == [True, False, False]
    assert again[1].image_id == hashlib.sha256(first[1].image_id.encode()).hexdigest()
    assert "not using existing strongID: disk: bad" in log


async def test_verify_disk_a_legacy_image_that_is_not_right_is_not_reused(graph: Graph) -> None:
    await legacy(graph)
    log: list[str] = []

    async def verify(image_id: str, candidate: Candidate) -> str | None:
        return "bad"

    choices = await choose(chain_in(LEGACY), graph, verify=verify, log=log.append)
    assert not any(choice.is_present for choice in choices)
    assert log == ["stopping ID reuse: disk: bad"]


async def test_what_was_chosen_cannot_be_removed_before_it_is_built_on(graph: Graph) -> None:
    await pulled(graph)
    async with chosen(chain_in(PULL), graph, log=unheard) as choices:
        with pytest.raises(StoreBusy, match="in use"):
            await graph.run(graph.images.delete, choices[-1].image_id)
        async with graph.making(choices[-1].image_id), graph.choosing():
            pass  # others may work meanwhile
    await graph.run(graph.images.delete, choices[-1].image_id)


async def test_one_chain_is_chosen_at_a_time_and_all_it_asks_for_is_locked(graph: Graph) -> None:
    chain = chain_in(PULL)
    await pulled(graph)
    (graph.place / "graph" / chain[-1].strong_id / "checksum").unlink()
    probed = hashlib.sha256(chain[-1].strong_id.encode()).hexdigest()
    await pulled(graph)
    locks = graph.place / "graph" / "_tmp" / "locks"
    busy: list[bool] = []

    async def verify(image_id: str, candidate: Candidate) -> str | None:
        for name in ("choosing", f"image-{candidate.legacy_id}", f"image-{image_id}", f"image-{probed}"):
            async with graph.store.locks.attempted(locks / name) as is_free:
                busy.append(not is_free)
        return None

    await choose(chain, graph, verify=verify, log=unheard)
    # The probed ID is locked only once it is looked at: for the last question, that is.
    assert busy == [True, True, True, False, True, True, True, False, True, True, True, True]


async def test_two_who_choose_one_chain_at_once_register_it_once(graph: Graph) -> None:
    found: list[list[Choice]] = []

    async def one() -> None:
        chain = chain_in(PULL)
        async with chosen(chain, graph, log=unheard) as choices:
            for candidate, choice in zip(chain, choices, strict=True):
                async with graph.making(choice.image_id):
                    await graph.run(put, graph, candidate, choice)
        found.append(choices)

    async with anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
    assert [choice.image_id for choice in found[0]] == [choice.image_id for choice in found[1]]
    driver = graph.images.driver
    assert isinstance(driver, PlainVfs)
    assert len(driver.made) == 3


async def test_a_cancelled_choice_leaves_nothing_locked_or_held(graph: Graph) -> None:
    await pulled(graph)
    with anyio.CancelScope() as scope:
        async with chosen(chain_in(PULL), graph, log=unheard) as choices:
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    async with graph.choosing(), graph.making(choices[-1].image_id):
        await graph.run(graph.images.delete, choices[-1].image_id)


async def test_a_layer_is_proved_by_what_is_on_the_disk(graph: Graph) -> None:
    choices = await pulled(graph)
    image_id, checksum = choices[0].image_id, chain_in(PULL)[0].layer.blob
    archive = golden("graph/layer0.tar")
    diff_id = Digest.of(archive)

    async def proof(checksum: str = checksum, diff_id: Digest | None = diff_id) -> str | None:
        return await disk_proof(graph, image_id, diff_id=diff_id, checksum=checksum)

    assert await proof() is None
    assert await proof(diff_id=None) is None
    assert await proof(diff_id=Digest.of(archive, "sha512")) is None
    label = tarsum_of([archive], "tarsum.v1+sha256")
    assert await proof(label) is None
    assert await proof(label.upper().replace("TARSUM.V1+SHA256", "tarsum.v1+sha256")) is None
    assert await proof(f"{label[:-4]}0000") == f"tarsum mismatch: {label} {label[:-4]}0000"
    other = Digest.of(b"other")
    assert await proof(diff_id=other) == f"diff ID mismatch: {diff_id} {other}"


async def test_d1_a_changed_byte_on_the_disk_is_found_without_any_diff_id(graph: Graph) -> None:
    image_id = (await pulled(graph))[0].image_id
    tree = graph.place / "vfs" / "dir" / image_id
    changed = next(path for path in sorted(tree.rglob("*")) if path.is_file() and path.stat().st_size)
    raw = bytearray(changed.read_bytes())
    raw[-1] ^= 1
    changed.write_bytes(raw)
    reason = await disk_proof(graph, image_id, diff_id=None, checksum="sha256:ab")
    assert reason is not None
    assert reason.startswith("file integrity checksum failed")
    changed.unlink()
    assert await disk_proof(graph, image_id, diff_id=None, checksum="sha256:ab") is not None


async def test_a_layer_that_nothing_tells_how_to_put_together_is_not_proved(graph: Graph) -> None:
    image_id = (await pulled(graph))[0].image_id
    (graph.place / "graph" / image_id / "tar-data.json.gz").unlink()
    assert await disk_proof(graph, image_id, diff_id=None, checksum="") == (
        "no tar-data.json.gz tells how to put the layer together"
    )
