"""THREATS A1, C12 and G1 to G8 against loads: crafted archives are refused, and change nothing."""

import os
import tarfile
import time
from pathlib import Path

import pytest

from puller.errors import (
    DiffIDMismatch,
    DigestMismatch,
    InvalidArchive,
    LayerError,
    LimitExceeded,
    PullerError,
    Unsupported,
    VerificationError,
)
from testregistry import images
from testregistry.images import Directory, Hardlink, Symlink
from tests.archive.building import (
    BASE,
    OTHER,
    TOP,
    A,
    B,
    C,
    Part,
    config,
    docker,
    document,
    entries_of,
    folder,
    hex_of,
    layout,
    of_type,
    record,
    replaced,
    repositories,
    without,
)
from tests.ops.loader import IMAGE, loader, refused

pytestmark = pytest.mark.slow  # many small tests: for `make test`


# --- A1: IDs ---------------------------------------------------------------------------------------------------------

NO_IDS = ["../x", "..", "/etc", "a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n", "a" * 63 + "\0", "\u0661" * 64, "abc"]


@pytest.mark.parametrize("text", [*NO_IDS, ""], ids=repr)
async def test_a1_an_id_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    await refused(tmp_path, replaced(folder(A), f"{A}/json", record(text)))


@pytest.mark.parametrize("text", NO_IDS, ids=repr)
async def test_a1_a_parent_that_is_no_id_is_refused(tmp_path: Path, text: str) -> None:
    await refused(tmp_path, replaced(folder(A), f"{A}/json", record(A, text)))


@pytest.mark.parametrize("name", ["../evil", "/evil", "x/../../evil"])
async def test_a1_members_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    await refused(tmp_path, [*folder(A), (name, b"evil")], LayerError)
    assert not [found for _, _, files in os.walk(tmp_path) for found in files if found == "evil"]


# --- G1: links -------------------------------------------------------------------------------------------------------

LINKS: dict[str, list[Part]] = {
    "absolute": [("x", Symlink("/etc/shadow"))],
    "out": [("x", Symlink("../../../../etc/shadow"))],
    "out and back": [("x", Symlink(f"../../{B}/layer.tar"))],
    "loop": [("x", Symlink("layer.tar"))],
    "chain": [("x", Symlink("../hop")), ("hop", Symlink(f"{B}/layer.tar"))],
    "nowhere": [("x", Symlink("../nothing"))],
    "folder": [("x", Symlink(f"../{B}"))],
    "hard link out": [("x", Hardlink("../../etc/shadow"))],
    "hard link absolute": [("x", Hardlink("/etc/shadow"))],
    "hard link to a link": [("hop", Symlink(f"{B}/layer.tar")), ("x", Hardlink("hop"))],
}


@pytest.mark.parametrize("links", LINKS)
@pytest.mark.parametrize("place", ["layer.tar", "json"])
async def test_g1_links_lead_nowhere_but_to_one_member(tmp_path: Path, links: str, place: str) -> None:
    parts = without([*folder(A), *folder(B)], f"{A}/{place}")
    linked = [(f"{A}/{place}" if name == "x" else name, content) for name, content in LINKS[links]]
    await refused(tmp_path, [*parts, *linked], LayerError)


@pytest.mark.parametrize("name", ["manifest.json", "repositories"])
async def test_g1_documents_may_not_be_links_out(tmp_path: Path, name: str) -> None:
    await refused(tmp_path, [*folder(A), (name, Symlink("/etc/passwd"))], LayerError)


@pytest.mark.parametrize(
    "link", [Symlink(f"../{A}/layer.tar"), Symlink(f".././{A}//layer.tar"), Hardlink(f"{A}/layer.tar")]
)
async def test_g1_a_link_to_the_layer_of_another_image_is_followed_whatever_comes_first(
    tmp_path: Path, link: Symlink | Hardlink
) -> None:
    for name, late in (("early", False), ("late", True)):
        linked: list[Part] = [(f"{B}/json", record(B)), (f"{B}/layer.tar", link)]
        async with loader(tmp_path / name) as s:
            await s.load([*linked, *folder(A)] if late else [*folder(A), *linked])
            assert [b"".join(s.graph.images.layer_tar(image)) for image in (A, B)] == [BASE, BASE]


# --- G2: large documents ---------------------------------------------------------------------------------------------

LARGE = b" " * ((1 << 20) + 1)


@pytest.mark.parametrize("name", [f"{A}/json", "repositories", "manifest.json"])
async def test_g2_documents_of_more_than_a_megabyte_are_not_read(tmp_path: Path, name: str) -> None:
    parts = [*folder(A), repositories({"r": {"latest": A}})]
    parts = replaced(parts, name, LARGE) if name != "manifest.json" else [*parts, (name, LARGE)]
    await refused(tmp_path, parts, LimitExceeded)


async def test_g2_a_config_of_more_than_a_megabyte_is_not_read(tmp_path: Path) -> None:
    parts = docker([BASE])
    await refused(tmp_path, replaced(parts, parts[0][0], LARGE), LimitExceeded)


async def test_g2_an_index_of_more_than_four_megabytes_is_not_read(tmp_path: Path) -> None:
    await refused(tmp_path, replaced(layout((IMAGE, "app:1")), "index.json", LARGE * 5), LimitExceeded)


async def test_g2_documents_together_have_a_bound_too(tmp_path: Path) -> None:
    many = [f"{number:064x}" for number in range(60)]
    parts = [part for image in many for part in folder(image, comment="x" * 1_000_000)]
    await refused(tmp_path, parts, LimitExceeded)


# --- G3: ancestors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ring", [[A], [A, B], [A, B, C]], ids=len)
@pytest.mark.parametrize("compat", [False, True])
async def test_g3_a_parent_cycle_is_refused_at_once(tmp_path: Path, ring: list[str], compat: bool) -> None:
    parents = [*ring[1:], ring[0]]
    parts = [part for image, parent in zip(ring, parents, strict=True) for part in folder(image, parent)]
    async with loader(tmp_path) as s:
        began = time.monotonic()
        error = await s.refused(parts, PullerError, compat=compat)
        assert time.monotonic() - began < 1
        assert "ancestor" in error.what


async def test_g3_a_parent_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    error = await refused(tmp_path, [*folder(A, B)], PullerError)
    assert str(error.wanted) == B


async def test_g3_a_line_of_too_many_ancestors_is_refused(tmp_path: Path) -> None:
    ids = [f"{number:064x}" for number in range(1_002)]
    parts = [part for image, parent in zip(ids[1:], ids, strict=False) for part in folder(image, parent)]
    parts += folder(ids[0])
    async with loader(tmp_path) as s:
        began = time.monotonic()
        await s.refused(parts, LimitExceeded)
        assert time.monotonic() - began < 20


# --- G4, G5, G7 ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [B, "f" * 64])
async def test_g4_an_image_in_the_folder_of_another_is_refused(tmp_path: Path, said: str) -> None:
    await refused(tmp_path, [*replaced(folder(A), f"{A}/json", record(said)), *folder(B)])


@pytest.mark.parametrize("name", ["somewhere", A[:12], A.upper()])
async def test_g4_an_image_in_a_folder_without_an_id_is_refused(tmp_path: Path, name: str) -> None:
    await refused(tmp_path, [(f"{name}/json", record(A)), (f"{name}/layer.tar", BASE)])


TWICE: dict[str, list[Part]] = {
    "json": [*folder(A), (f"{A}/json", record(A, comment="another"))],
    "layer": [*folder(A), (f"{A}/layer.tar", TOP)],
    "repositories": [*folder(A), repositories({}), repositories({"r": {"latest": A}})],
    "other spelling": [*folder(A), (f"./{A}//json", record(A))],
    "manifest.json": [*docker([BASE]), *docker([BASE])[-1:]],
    "blob": [*layout((IMAGE, "app:1")), layout((IMAGE, "app:1"))[0]],
    "file and link": [*folder(A), (f"{A}/layer.tar", Symlink(f"../{A}/VERSION"))],
    "file and folder": [*folder(A), (f"{A}/json/", Directory())],
    "nothing of interest": [*folder(A), ("README", b"1"), ("README", b"2")],
}


@pytest.mark.parametrize("kind", TWICE)
async def test_g5_one_name_twice_is_refused(tmp_path: Path, kind: str) -> None:
    error = await refused(tmp_path, TWICE[kind])
    assert "twice" in error.what


OTHERS = [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE]


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", ["json", "layer.tar"])
async def test_g7_what_is_read_must_be_a_regular_file(tmp_path: Path, kind: bytes, name: str) -> None:
    await refused(tmp_path, replaced(folder(A), f"{A}/{name}", of_type(kind)))


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("place", [0, 1, 2])
async def test_g7_the_same_of_a_config_a_layer_and_manifest_json(tmp_path: Path, kind: bytes, place: int) -> None:
    parts = docker([BASE])
    await refused(tmp_path, replaced(parts, parts[place][0], of_type(kind)))


@pytest.mark.parametrize("place", [0, 1])
async def test_g7_what_is_missing_is_not_looked_for_elsewhere(tmp_path: Path, place: int) -> None:
    parts = docker([BASE])
    await refused(tmp_path, without(parts, parts[place][0]))


async def test_g7_a_layer_that_lies_elsewhere_is_not_fetched(tmp_path: Path) -> None:
    parts = docker([BASE])
    entry = entries_of(parts)[0] | {
        "LayerSources": {f"sha256:{hex_of(BASE)}": {"urls": ["http://127.0.0.1:9/layer"], "size": 1}}
    }
    await refused(tmp_path, without(replaced(parts, "manifest.json", document([entry])), parts[1][0]))


# --- C12, G6: layers and diff IDs ------------------------------------------------------------------------------------


def listed(layers: list[bytes], promised: list[bytes], **more: object) -> list[Part]:
    """An image of today whose config promises other layers than there are."""
    parts, raw = docker(layers), config(promised, **more)
    entry = entries_of(parts)[0] | {"Config": f"{hex_of(raw)}.json"}
    return [*parts[1:-1], (f"{hex_of(raw)}.json", raw), ("manifest.json", document([entry]))]


@pytest.mark.parametrize("promised", [[BASE], [BASE, TOP, OTHER], []], ids=len)
async def test_g6_c12_as_many_layers_as_diff_ids(tmp_path: Path, promised: list[bytes]) -> None:
    await refused(tmp_path, listed([BASE, TOP], promised))


@pytest.mark.parametrize("promised", [[TOP, BASE], [BASE, OTHER], [BASE, BASE]])
async def test_g6_c12_every_layer_is_held_to_its_diff_id(tmp_path: Path, promised: list[bytes]) -> None:
    await refused(tmp_path, listed([BASE, TOP], promised), DiffIDMismatch)


async def test_c12_the_root_file_system_is_made_of_layers(tmp_path: Path) -> None:
    await refused(tmp_path, listed([BASE], [BASE], rootfs={"type": "other", "diff_ids": [f"sha256:{hex_of(BASE)}"]}))


async def test_g6_a_config_that_is_not_what_it_is_called_is_refused(tmp_path: Path) -> None:
    parts = docker([BASE])
    await refused(tmp_path, replaced(parts, parts[0][0], config([BASE], author="another")), DigestMismatch)


@pytest.mark.parametrize("place", range(4), ids=["layer", "layer 2", "config", "manifest"])
async def test_g6_every_blob_of_a_layout_is_held_to_its_digest(tmp_path: Path, place: int) -> None:
    parts = layout((IMAGE, "app:1"))
    name, raw = parts[place]
    assert isinstance(raw, bytes)
    broken = bytes([raw[0] ^ 1]) + raw[1:]
    await refused(tmp_path, replaced(parts, name, broken), VerificationError)


async def test_g6_a_blob_of_another_length_is_refused(tmp_path: Path) -> None:
    parts = layout((IMAGE, "app:1"))
    name, raw = next(part for part in parts if part[0].endswith(IMAGE.layers[0].digest.partition(":")[2]))
    assert isinstance(raw, bytes)
    await refused(tmp_path, replaced(parts, name, raw + b"x"), VerificationError)


# --- G8: what fails late ---------------------------------------------------------------------------------------------

ESCAPING = images.tar({"../victim": b"escaped"})


@pytest.mark.parametrize(
    "bad", [ESCAPING, b"no archive" * 99, BASE[:700], b""], ids=["escapes", "junk", "cut", "empty"]
)
async def test_g8_a_layer_that_cannot_be_unpacked_takes_the_images_before_it_with_it(
    tmp_path: Path, bad: bytes
) -> None:
    parts = [*folder(A), *folder(B, A, TOP), *folder(C, B, bad), repositories({"r": {"latest": A}})]
    await refused(tmp_path, parts, LayerError)


async def test_g8_a_bad_image_of_today_keeps_those_of_old_out_too(tmp_path: Path) -> None:
    good, bad = docker([BASE], ["good:1"]), listed([TOP], [OTHER])
    parts = [*without(good, "manifest.json"), *without(bad, "manifest.json")]
    await refused(
        tmp_path, [*parts, ("manifest.json", document([*entries_of(good), *entries_of(bad)]))], DiffIDMismatch
    )


@pytest.mark.parametrize(
    ("archive", "kind"),
    [
        ([("README", b"no images")], InvalidArchive),
        ([("manifest.json", b"[]")], InvalidArchive),
        ([("manifest.json", b"{}")], InvalidArchive),
        ([("manifest.json", b"[" * 100_000)], InvalidArchive),
        (
            [("index.json", b'{"schemaVersion":2,"manifests":[]}'), ("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')],
            InvalidArchive,
        ),
        ([*layout((IMAGE, ""))[:-1], ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}')], Unsupported),
    ],
    ids=range(6),
)
async def test_what_holds_no_images_is_refused(tmp_path: Path, archive: list[Part], kind: type[PullerError]) -> None:
    await refused(tmp_path, archive, kind)
